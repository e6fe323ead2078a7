"""What all commands share: the common options, the session that they fill in, the help's shape, and
the answer to a verb that is not ours."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from xdpctl.datapath.interfaces import all_interfaces, inside_namespace
from xdpctl.errors import WrongUsage, XdpctlError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

WATCH_SECONDS_DEFAULT = 2.0
WATCH_SECONDS_MIN = 0.1

# The commands of each group of the help, in its order; the module of the same name holds each.
COMMANDS = {
    "Put it on an interface": ("attach", "detach", "status"),
    "See what it counts": ("stats", "histogram", "dashboard", "export"),
    "See packets": ("top", "trace", "capture"),
    "Filter with rules": ("apply", "diff", "rollback", "check", "rule", "set"),
    "Ban sources for a while": ("ban", "unban", "bans"),
    "Try it before it is on": ("replay", "compare", "explain", "test"),
    "Build a lab": ("lab",),
}

# Other names of a command that are ours.
ALIASES = {"dash": "dashboard", "rules": "rule_list"}

# What other tools and other habits call our verbs.
FOREIGN_VERBS = {
    "add": "rule add IFACE drop",
    "block": "ban",
    "deny": "rule add IFACE drop",
    "drop": "rule add IFACE drop",
    "hist": "histogram",
    "info": "status",
    "list": "status",
    "live": "dashboard",
    "metrics": "export",
    "load": "attach",
    "ls": "status",
    "off": "detach",
    "on": "attach",
    "show": "stats",
    "prometheus": "export",
    "screen": "dashboard",
    "sizes": "histogram",
    "start": "attach",
    "statistics": "stats",
    "stop": "detach",
    "tui": "dashboard",
    "unblock": "unban",
    "unload": "detach",
    "watch": "stats --watch",
    "why": "explain",
}


class Session:
    """What the common options say, given before or after the verb."""

    def __init__(self) -> None:
        self.netns: str | None = None
        self.json = False
        self.verbose = False


def session_of(context: click.Context) -> Session:
    return context.find_root().ensure_object(Session)


def common_options() -> list[click.Parameter]:
    def remember(context: click.Context, option: click.Parameter, value: Any) -> None:
        if value and option.name:
            setattr(session_of(context), option.name, value)

    def option(*names: str, **settings: Any) -> click.Option:
        return click.Option(names, callback=remember, expose_value=False, is_eager=True, **settings)

    return [
        option("--netns", "-n", metavar="NAME", help="Act in this network namespace."),
        option("--json", "-j", is_flag=True, help="Write JSON to standard output."),
        option("--verbose", "-v", is_flag=True, help="Show details of what went wrong."),
    ]


class Command(click.Command):
    """A command with the common options and two examples at the end of its help."""

    def __init__(self, name: str, *, examples: tuple[str, str], **settings: Any) -> None:
        settings.setdefault("context_settings", {})["help_option_names"] = ["-h", "--help"]
        super().__init__(name, epilog=paragraph("Examples:", *examples), **settings)
        self.params += common_options()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if any(each.name == "watch_seconds" for each in self.params):
            args = _with_watch_seconds(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        with inside_namespace(self._namespace(ctx)):
            return super().invoke(ctx)

    def _namespace(self, ctx: click.Context) -> str | None:
        """Where the command acts. The interfaces in its parameters lose their `HOST:`."""
        namespace = session_of(ctx).netns
        for name in (each.name for each in self.params if isinstance(each.type, InterfaceName)):
            value = ctx.params.get(name or "") or ()
            words = (value,) if isinstance(value, str) else value
            if any(":" in word for word in words):
                from xdpctl.cli.lab_names import in_one_namespace  # noqa: PLC0415 - for labs

                namespace, words = in_one_namespace(words, namespace)
                ctx.params[name or ""] = words[0] if isinstance(value, str) else words
        return namespace


class Program(click.Group):
    """`xdpctl` itself. A command's module is imported when the command is asked for."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params += common_options()

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except BrokenPipeError:
            # The reader, such as `head`, has what it wanted: click would exit with 1, and Python
            # complain once more when it flushes.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return None

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for names in COMMANDS.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx) and cmd_name not in ALIASES:
            return None
        module = ALIASES.get(cmd_name, cmd_name)
        command: click.Command = import_module(f"xdpctl.cli.{module}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            raise WrongUsage(f"{name}: no such command", hint=self._right_verb(ctx, name))
        return super().resolve_command(ctx, args)

    def _right_verb(self, ctx: click.Context, name: str) -> str:
        ours = self.list_commands(ctx)
        from difflib import get_close_matches  # noqa: PLC0415 - for those who mistype

        known = get_close_matches(name.lower(), [*ours, *FOREIGN_VERBS], n=1)
        if known and known[0] in ours:
            return f"did you mean: xdpctl {known[0]}"
        foreign = FOREIGN_VERBS[known[0]] if known else ""
        if foreign and foreign.split()[0] in ours:
            return f"here it is: xdpctl {foreign}"
        if foreign:
            return f"it will be `xdpctl {foreign}`, which this version does not have yet"
        return "`xdpctl` alone lists the commands"

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in COMMANDS.items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(title):
                formatter.write_dl(
                    [(name, each.get_short_help_str(60)) for name, each in commands if each]
                )


def paragraph(*lines: str) -> str:
    return "\b\n" + "\n  ".join(lines)  # \b: click keeps the line breaks


def _with_watch_seconds(args: list[str]) -> list[str]:
    """`--watch eth0` is `--watch 2 eth0`: click would take the name for the number."""
    filled: list[str] = []
    for i, word in enumerate(args):
        filled.append(word)
        following = args[i + 1] if i + 1 < len(args) else ""
        if word in ("--watch", "-w") and not re.fullmatch(r"-?[0-9.]+", following):
            filled.append(str(WATCH_SECONDS_DEFAULT))
    return filled


class NumberRange(click.FloatRange):
    """A number in a range. NaN, which click's own lets pass, is none: it is neither below nor above
    anything."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not a number.", param, ctx)
        return number


SECONDS = NumberRange(min=0, min_open=True, max=1e9)
INTERVAL_SECONDS = NumberRange(min=WATCH_SECONDS_MIN, max=86400)


class InterfaceName(click.ParamType[str]):
    """An interface of the namespace chosen so far, or `HOST:IFACE` of a lab; for the shell both."""

    name = "interface"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - for shells

        from xdpctl.cli.lab_names import all_ports  # noqa: PLC0415

        try:
            with inside_namespace(session_of(ctx).netns):
                names = [each.name for each in all_interfaces()]
        except XdpctlError:
            names = []
        names += all_ports()
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def interface_argument(*, several: bool = False, required: bool = True) -> Decorator:
    name, usage = ("interfaces", "IFACE...") if several else ("interface", "IFACE")
    return click.argument(
        name,
        metavar=usage if required else f"[{usage}]",
        type=InterfaceName(),
        nargs=-1 if several else 1,
        required=required,
    )


def count_option() -> Decorator:
    """How often what `watch_option` shows is shown."""
    return click.option(
        "--count", metavar="N", type=click.IntRange(min=1), help="End after so many intervals."
    )


def interval_option(default: float, what: str) -> Decorator:
    """How often a command that goes on by itself does so; `seconds` to the command."""
    return click.option(
        "--interval",
        "seconds",
        metavar="SECONDS",
        type=INTERVAL_SECONDS,
        default=default,
        help=f"{what} [default: every {default:g} s].",
    )


def watch_option(what: str) -> Decorator:
    return click.option(
        "--watch",
        "-w",
        "watch_seconds",
        type=INTERVAL_SECONDS,
        metavar="[SECONDS]",
        help=f"{what} [default: every {WATCH_SECONDS_DEFAULT:g} s]",
    )
