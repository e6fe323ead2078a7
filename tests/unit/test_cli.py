"""The command line without any interface: help, completion, foreign verbs, imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import click
import pytest

from tests.forked import forked
from xdpctl.cli import lab, rule
from xdpctl.cli import set as set_
from xdpctl.cli.base import COMMANDS
from xdpctl.cli.main import xdpctl

VERBS = [verb for verbs in COMMANDS.values() for verb in verbs]
GROUPS = {"lab": lab, "rule": rule, "set": set_}
ALL_VERBS = VERBS + [f"{name} {verb}" for name, group in GROUPS.items() for verb in group.COMMANDS]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return forked().run(*arguments, environment=os.environ | environment)


def test_xdpctl_alone_shows_help_in_groups_with_five_examples() -> None:
    done = run()
    assert done.returncode == 0
    for title in COMMANDS:
        assert f"\n{title}:\n" in done.stdout
    examples = done.stdout.partition("Examples:\n")[2].strip().splitlines()
    assert len(examples) == 5
    assert all(each.strip().startswith("xdpctl ") for each in examples)


@pytest.mark.parametrize("verb", ALL_VERBS)
def test_help_ends_with_two_examples_of_the_command(verb: str) -> None:
    done = run(*verb.split(), "--help")
    assert done.returncode == 0
    examples = done.stdout.partition("Examples:\n")[2].strip().splitlines()
    assert len(examples) == 2
    assert all(each.strip().startswith(f"xdpctl {verb}") for each in examples)
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("verb", ALL_VERBS)
def test_examples_in_the_help_name_options_that_exist(verb: str) -> None:
    done = run(*verb.split(), "--help")
    options, _, examples = done.stdout.partition("Examples:\n")
    for example in examples.strip().splitlines():
        command = example.strip().split("   ")[0]
        for word in command.split():
            if word.startswith("-") and word != "-":  # alone it is a file
                assert word in options.replace(",", " ").split()


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("block", "xdpctl ban"),
        ("tui", "xdpctl dashboard"),
        ("drop", "xdpctl rule add IFACE drop"),
        ("list", "xdpctl status"),
        ("load", "xdpctl attach"),
        ("show", "xdpctl stats"),
        ("attahc", "xdpctl attach"),
        ("stat", "xdpctl stats"),
        ("shwo", "xdpctl stats"),
        ("unload", "xdpctl detach"),
    ],
)
def test_foreign_or_mistyped_verb_is_answered_with_the_right_one(wrong: str, right: str) -> None:
    done = run(wrong, "eth0")
    assert done.returncode == 2
    message, hint = done.stderr.splitlines()
    assert message == f"xdpctl: {wrong}: no such command"
    assert right in hint


def test_verb_that_is_like_nothing_is_answered_with_where_to_look() -> None:
    done = run("zzz")
    assert (done.returncode, done.stderr.splitlines()[1]) == (
        2,
        "hint: `xdpctl` alone lists the commands",
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["attach"], "Missing argument 'IFACE...'"),
        (["stats"], "name interfaces, or say --all"),
        (["stats", "eth0", "--all"], "name interfaces, or say --all"),
        (["detach"], "name interfaces, or say --all"),
        (["attach", "lo", "--mode", "turbo"], "Invalid value for '--mode'"),
        (["stats", "lo", "--watch", "0"], "Invalid value for '--watch'"),
        (["stats", "lo", "--watch", "-1"], "Invalid value for '--watch'"),
        (["stats", "lo", "--watch=nan"], "nan is not a number"),
        (["stats", "lo", "--watch=inf"], "inf is not in the range"),
        (["stats", "lo", "--count", "0"], "Invalid value for '--count'"),
        (["--colour"], "No such option"),
        (["stats", "nowhere:"], "nowhere:: an interface of a lab is HOST:IFACE"),
        (["stats", ":eth0"], ":eth0: an interface of a lab is HOST:IFACE"),
        (["stats", "../x:eth0"], "../x: no lab has such a host"),
        (["lab", "uup"], "lab uup: no such command"),
        (["lab", "up", "bridge", "--hosts", "x"], "Invalid value for '--hosts'"),
        (["lab", "up", "bridge", "--hosts", "1"], "1 hosts: not in 2..26"),
        (["lab", "up", "pair", "--hosts", "3"], "--hosts is for a bridge"),
        (["lab", "up", "/no/such/file"], "/no/such/file: no such file"),
        (["lab", "up", "/"], "/: Is a directory"),
        (["lab", "down", "x", "--all"], "name a lab, or say --all"),
        (["lab", "exec", "nowhere", "--", "true"], "nowhere: no lab has such a host"),
        (["lab", "exec"], "Missing argument 'HOST'"),
        (["lab", "send", "--rate", "1e-300", "nowhere", "udp"], "1e-300 is not in the range"),
        (["lab", "capture", "nowhere", "eth0", "-w", "x"], "nowhere: no lab has such a host"),
        (["stats", "lo", "lo", "--per-cup"], "No such option"),
    ],
)
def test_wrong_usage_is_one_line_a_hint_and_exit_code_2(arguments: list[str], message: str) -> None:
    done = run(*arguments)
    assert done.returncode in (2, 3)
    assert message in done.stderr.splitlines()[0]
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def command_of(verb: str) -> click.Command:
    command: click.Command | None = xdpctl
    for name in verb.split():
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(xdpctl), name)
    assert command is not None
    return command


@pytest.mark.parametrize("text", ["nan", "-nan", "inf", "-inf", "1e999"])
def test_no_option_takes_for_a_number_what_is_none(text: str) -> None:
    numbers = [
        option
        for verb in ALL_VERBS
        for option in command_of(verb).params
        if isinstance(option.type, type(click.FLOAT))
    ]
    assert {option.name for option in numbers} >= {"seconds", "watch_seconds", "rate_pps"}
    for option in numbers:
        with pytest.raises(click.BadParameter, match="is not "):
            option.type.convert(text, option, None)


def test_errors_under_json_are_json_even_when_the_options_are_wrong() -> None:
    done = run("stats", "--json")
    assert done.returncode == 2
    assert json.loads(done.stderr)["error"] == "name interfaces, or say --all"


def test_interface_names_are_completed_by_the_shell() -> None:
    done = run(COMP_WORDS="xdpctl stats l", COMP_CWORD="2", _XDPCTL_COMPLETE="bash_complete")
    assert "plain,lo" in done.stdout.splitlines()


def test_verbs_are_completed_by_the_shell() -> None:
    done = run(COMP_WORDS="xdpctl att", COMP_CWORD="1", _XDPCTL_COMPLETE="bash_complete")
    assert done.stdout.splitlines() == ["plain,attach"]


SLOW = {"pyroute2", "scapy", "numpy", "rich", "asyncio", "textual", "prometheus_client"}


@pytest.mark.parametrize("verb", VERBS)
def test_no_command_loads_what_takes_long(verb: str) -> None:
    script = (
        "import sys\nfrom xdpctl.cli.main import main\n"
        f"try:\n    main([{verb!r}, '--netns', 'no-such-namespace', 'lo'])\n"
        "except SystemExit:\n    pass\n"
        f"print(sorted({SLOW!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_version_is_the_package_version() -> None:
    from xdpctl import __version__  # noqa: PLC0415

    assert run("--version").stdout == f"xdpctl {__version__}\n"
