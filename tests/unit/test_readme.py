"""README.md tells the truth about the commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from xdpctl.cli.base import COMMANDS
from xdpctl.cli.lab import COMMANDS as LAB_COMMANDS

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
            if words[1] == "lab":
                assert words[2] in LAB_COMMANDS
        if line.startswith("    ") and words[:1] == ["make"]:
            assert f"\n{words[1]}:" in makefile


def test_files_that_are_linked_to_exist() -> None:
    for part in README.split("](")[1:]:
        target = part.partition(")")[0]
        assert (ROOT / target).exists(), target


def test_example_of_a_lab_file_describes_a_lab(tmp_path: Path) -> None:
    from netns_lab.topology_file import load  # noqa: PLC0415

    example = tmp_path / "lab.yaml"
    example.write_text(README.partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
    name, topology = load(example)
    assert name == "office"
    assert [host.name for host in topology.hosts] == ["client", "server", "router", "switch"]
    assert [(link.mtu, link.queues) for link in topology.links] == [
        (1500, None),
        (1500, None),
        (9000, 4),
    ]
