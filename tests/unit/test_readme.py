"""README.md tells the truth about the commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from xdpctl.cli import lab, rule
from xdpctl.cli import set as set_
from xdpctl.cli.base import COMMANDS

GROUPS = {"lab": lab, "rule": rule, "set": set_}
ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_table_of_commands_is_that_of_the_commands() -> None:
    """`make docs` writes it."""
    script = (
        "import sys; sys.path.insert(0, 'docs'); import commands;"
        "sys.exit(commands.with_table(commands.README.read_text()) != commands.README.read_text())"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0


def test_every_command_and_make_target_named_exists() -> None:
    verbs = {verb for verbs in COMMANDS.values() for verb in verbs}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for line in README.splitlines():
        words = line.strip().split()
        if line.startswith("    ") and words[:1] == ["xdpctl"]:
            assert words[1] in verbs
            if words[1] in GROUPS:
                assert words[2] in GROUPS[words[1]].COMMANDS
        if line.startswith("    ") and words[:1] == ["make"]:
            assert f"\n{words[1]}:" in makefile


def test_files_that_are_linked_to_exist() -> None:
    for part in README.split("](")[1:]:
        target = part.partition(")")[0]
        assert (ROOT / target).exists(), target


EXAMPLES = {
    block.partition("name: ")[2].split()[0]: block.partition("```")[0]
    for block in README.split("```yaml\n")[1:]
}


def test_example_of_a_rules_file_is_one(tmp_path: Path) -> None:
    from xdpctl.rules.reading import read_ruleset  # noqa: PLC0415

    (tmp_path / "edge.yaml").write_text(EXAMPLES["edge"], encoding="utf-8")
    (tmp_path / "spamhaus_drop.netset").write_text("198.51.100.0/24\n", encoding="utf-8")
    ruleset = read_ruleset(str(tmp_path / "edge.yaml"), 0).ruleset
    assert (ruleset.name, len(ruleset.rules), len(ruleset.sets)) == ("edge", 3, 2)


def test_example_of_a_lab_file_describes_a_lab(tmp_path: Path) -> None:
    from netns_lab.topology_file import load  # noqa: PLC0415

    example = tmp_path / "lab.yaml"
    example.write_text(EXAMPLES["office"], encoding="utf-8")
    name, topology = load(example)
    assert name == "office"
    assert [host.name for host in topology.hosts] == ["client", "server", "router", "switch"]
    assert [(link.mtu, link.queues) for link in topology.links] == [
        (1500, None),
        (1500, None),
        (9000, 4),
    ]
