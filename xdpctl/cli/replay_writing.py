"""What `xdpctl replay --write` writes: packets with what became of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from xdpctl.captures.batches import Batch
from xdpctl.captures.writing import CaptureWriter
from xdpctl.cli.outputs import output_file
from xdpctl.replay import Verdict

Write: TypeAlias = Callable[[Batch, Sequence[Verdict]], None]

_XDP_ACTIONS = {"aborted": 0, "drop": 1, "pass": 2}  # enum xdp_action


@contextmanager
def writing_to(
    path: str, inputs: Sequence[str], verdict: str | None, rule: str | None
) -> Iterator[Write]:
    """What writes those of a batch's packets that have a verdict, or that a rule decided on.

    Args:
        inputs: what is being read, and must not be overwritten.

    Raises WrongUsage, XdpctlError.
    """
    with output_file(path, inputs) as file:
        writer = CaptureWriter(file)
        interface = writer.add_interface("replay", description="xdpctl replay")

        def write(packets: Batch, verdicts: Sequence[Verdict]) -> None:
            data = memoryview(packets.data)
            rows = zip(packets.offsets, packets.lengths, packets.originals, verdicts, strict=True)
            for offset, length, original, each in rows:
                if each.verdict is None or (
                    each.rule != rule if verdict is None else each.verdict != verdict
                ):
                    continue
                writer.write(
                    interface,
                    max(0, each.time_ns),
                    data[offset : offset + length],
                    original,
                    verdict=_XDP_ACTIONS[each.verdict],
                    comment=decider(each),
                )

        yield write


def decider(verdict: Verdict) -> str:
    """What decided on a packet: `rule no-telnet`, `limit dns-flood`, `malformed: short-ipv4`."""
    if verdict.reason == "malformed":
        return f"malformed: {verdict.malformed}"
    return verdict.reason if verdict.rule is None else f"{verdict.reason} {verdict.rule}"
