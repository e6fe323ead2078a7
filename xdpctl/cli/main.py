"""Where it all starts, and where every failure becomes one line and an exit code."""

from __future__ import annotations

import gc
import json
import os
import sys
from typing import Any, NoReturn

import click

from xdpctl import __version__
from xdpctl.cli.base import Program, Session
from xdpctl.cli.text import printable
from xdpctl.datapath.kernel import explain
from xdpctl.errors import WrongUsage, XdpctlError
from xdpctl.libc import keep_freed_memory
from xdpctl.pylibbpf import PylibbpfError

INTERRUPTED = 130  # 128 + SIGINT, as shells count it

EXAMPLES = """\b
Examples:
  xdpctl attach eth0                  count packets by protocol, from now on
  xdpctl stats eth0 --watch           what comes in, every 2 seconds
  xdpctl rule add eth0 drop --proto udp --dport 9
  xdpctl rules eth0 -n lab1           in network namespace lab1, with packets
  xdpctl detach eth0                  leave the interface as it was
"""


@click.group(
    cls=Program,
    epilog=EXAMPLES,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, "--version", "-V", message="%(prog)s %(version)s")
@click.pass_context
def xdpctl(context: click.Context) -> None:
    """Count and filter packets at the XDP hook, before the rest of the kernel sees them."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def run() -> NoReturn:
    """The command line as a process of its own."""
    keep_freed_memory()
    try:
        main()
    finally:
        # Or else Python goes through all objects at its end to find those that hold each other: a
        # tenth of the time of a short command.
        gc.freeze()


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 done, 1 a difference or a finding, 2 wrong usage, 3 failed,
    4 a privilege is missing."""
    if "_XDPCTL_COMPLETE" in os.environ:
        from xdpctl.cli import completion  # noqa: F401, PLC0415 - for shells
    session = Session()
    words = sys.argv[1:] if arguments is None else arguments
    try:
        result = xdpctl.main(words, prog_name="xdpctl", obj=session, standalone_mode=False)
        sys.exit(result if isinstance(result, int) else 0)
    except XdpctlError as error:
        _fail(error, session, words)
    except PylibbpfError as error:
        _fail(explain("bpf", error), session, words)
    except click.ClickException as error:
        _fail(_usage_error(error), session, words)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except MemoryError:
        _fail(XdpctlError("out of memory; nothing was changed"), session, words)
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        _fail(
            XdpctlError(message, hint="this is a defect of xdpctl; -v shows where"), session, words
        )


def _usage_error(error: click.ClickException) -> WrongUsage:
    context = getattr(error, "ctx", None)
    hint = f"{context.command_path} --help" if context else ""
    return WrongUsage(error.format_message().rstrip("."), hint=hint)


def _fail(error: XdpctlError, session: Session, words: list[str]) -> NoReturn:
    details = error.detail
    if session.verbose:
        import traceback  # noqa: PLC0415 - for -v

        cause = error.__cause__ or error.__context__ or error
        details = "\n".join([*filter(None, [details]), *traceback.format_exception(cause)])
    # Usage errors come before the options have been read; what follows dashes is not for us.
    ours = words[: words.index("--")] if "--" in words else words
    if session.json or "--json" in ours or "-j" in ours:
        document: dict[str, Any] = {"error": error.message, "exit_code": error.exit_code}
        document |= {"hint": error.hint} if error.hint else {}
        document |= {"detail": details} if session.verbose else {}
        print(json.dumps(document), file=sys.stderr)
    else:
        print(f"xdpctl: {printable(error.message)}", file=sys.stderr)
        if error.hint:
            print(f"hint: {printable(error.hint)}", file=sys.stderr)
        if session.verbose and details:
            print(details.rstrip(), file=sys.stderr)
    sys.exit(error.exit_code)
