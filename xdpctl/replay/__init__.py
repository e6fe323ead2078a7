"""What a ruleset would do to packets: the very program that would run on an interface judges them,
in an instance of its own that touches no interface.

    with Replay("edge.yaml") as replay:
        for verdict in replay.run(packets):
            print(verdict.number, verdict.verdict, verdict.rule)
"""

from xdpctl.replay.api import Replay
from xdpctl.replay.explaining import Explanation, explain
from xdpctl.replay.packets import batches_of
from xdpctl.replay.verdicts import Summary, Verdict

__all__ = ["Explanation", "Replay", "Summary", "Verdict", "batches_of", "explain"]
