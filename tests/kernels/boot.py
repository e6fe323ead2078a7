"""Run a command inside the kernels of other Debian releases, with this file system as root.

    .venv/bin/python tests/kernels/boot.py [--suite NAME]... [--timeout SECONDS] -- COMMAND...

The kernels come from Debian through a private apt configuration, so the machine's own apt state is
never touched; they are kept in .cache/kernels (or $XDPCTL_CACHE). virtme-ng boots them in qemu,
without KVM. COMMAND runs as root in the repository's directory and may write there and below
OVERLAYS: what it writes is gone when the guest ends. The exit status is 0 if COMMAND passed in
every kernel, else the first one that is not 0: COMMAND's, or 1 if the guest did not tell it.
"""

import argparse
import contextlib
import fcntl
import os
import platform
import re
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, NoReturn

REPO = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDPCTL_CACHE") or REPO / ".cache" / "kernels").resolve()
OVERLAYS = [Path("/etc"), Path("/home"), Path("/root"), Path("/tmp"), Path("/usr"), Path("/var")]
SHARE = "/run/xdpctl-boot"  # in the guest: the one directory that it shares with us for writing
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SEARCH = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
TOOLS = {
    "apt-get": "apt-get install apt",
    "dpkg": "apt-get install dpkg",
    "depmod": "apt-get install kmod",
    "busybox": "apt-get install busybox-static",
    "qemu-system-x86_64": "apt-get install qemu-system-x86",
    "virtme-run": "pip install virtme-ng",  # what `vng` runs, less a shell and the user's settings
}

APT_CONF = """\
Dir::State "{home}";
Dir::State::status "/dev/null";
Dir::Cache "{home}";
Dir::Etc::sourcelist "{home}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Default-Release "";
APT::Sandbox::User "root";  // the cache need not be readable by the user _apt
APT::Update::Error-Mode "any";  // else a failed update is only a warning
// Other packages' hooks act on the machine's own apt state.
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""
SOURCES = """\
deb [{options}] http://deb.debian.org/debian {suite} main
deb [{options}] http://deb.debian.org/debian-security {suite}-security main
"""


class Failure(Exception):
    """Why there is no status of COMMAND's own, in a line."""


class Kernel(NamedTuple):
    release: str  # as `uname -r` says it
    root: Path  # where its package is unpacked


def check_host() -> None:
    if platform.machine() != "x86_64":
        sys.exit(f"boot.py: only x86_64 machines are supported, this is {platform.machine()}")
    for tool, remedy in TOOLS.items():
        if shutil.which(tool, path=SEARCH) is None:
            sys.exit(f"boot.py: {tool} not found: {remedy}")
    if not KEYRING.exists():
        sys.exit(f"boot.py: {KEYRING} not found: apt-get install debian-archive-keyring")


@contextlib.contextmanager
def started(*command: str | Path, **settings: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own, of which nothing is left after the `with`."""
    process = subprocess.Popen(
        [shutil.which(command[0], path=SEARCH) or command[0], *command[1:]],
        stdin=subprocess.DEVNULL,
        # Never our own files: qemu opens them anew, and would truncate a log that they lead to.
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        **settings,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()  # until the last of the group has let go of the pipes


def run(work: Path, *command: str | Path) -> str:
    """The output of a command on the host, which keeps its temporary files in `work` too."""
    env = {**os.environ, "PATH": SEARCH, "LC_ALL": "C", "TMPDIR": str(work)}
    with started(*command, cwd=work, env=env) as process:
        output, errors = (text.decode(errors="replace") for text in process.communicate())
    if process.returncode:
        lines = errors.strip().splitlines() or ["it said nothing"]
        # apt's first error is the cause; what comes after it are the consequences.
        reason = next((line for line in lines if line.startswith("E: ")), lines[-1])
        raise Failure(f"{command[0]} failed with status {process.returncode}: {reason}")
    return output


def fetch(suite: str) -> Kernel:
    """The suite's current kernel, downloaded and unpacked unless the cache has it."""
    home = CACHE / f"apt-{suite}"
    (home / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock, tempfile.TemporaryDirectory(dir=CACHE) as name:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another run of ours may be fetching the same
        options = f"signed-by={KEYRING} target=Packages lang=none"
        (home / "sources.list").write_text(SOURCES.format(options=options, suite=suite))
        conf, work = home / "apt.conf", Path(name)
        conf.write_text(APT_CONF.format(home=home))
        run(work, "apt-get", "-c", conf, "update")
        meta = run(work, "apt-cache", "-c", conf, "show", "--no-all-versions", "linux-image-amd64")
        found = re.search(r"^Depends: (linux-image-(\S+)) \(= (\S+)\)", meta, re.MULTILINE)
        if found is None:
            raise Failure("linux-image-amd64 names no kernel package")
        package, release, version = found.groups()
        kernel = Kernel(release, CACHE / suite / f"{package}_{version}")
        if not kernel.root.exists():
            run(work, "apt-get", "-c", conf, "download", f"{package}={version}")
            unpack(work, next(work.glob("*.deb")), kernel)
    return kernel


def unpack(work: Path, deb: Path, kernel: Kernel) -> None:
    """Unpack elsewhere and move: what the cache holds is always complete."""
    run(work, "dpkg", "-x", deb, root := work / "root")
    if not (root / "lib").exists():  # since trixie a package has /usr/lib; virtme-ng looks in /lib
        (root / "lib").symlink_to("usr/lib")
    run(work, "depmod", "-b", root, kernel.release)
    shutil.rmtree(kernel.root.parent, ignore_errors=True)  # the kernels that this one replaces
    kernel.root.parent.mkdir()
    root.rename(kernel.root)


def boot(kernel: Kernel, command: list[str], timeout: float) -> int:
    """COMMAND's status in that kernel. Only the guest's own word for it counts."""
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        share, console = Path(name, "share"), Path(name, "console")
        share.mkdir()
        variables = [f"PATH={SEARCH}", "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1"]
        # In a file, as a kernel's command line is too short for some commands.
        script = f"cd {shlex.quote(str(REPO))} && exec {shlex.join(['env', *variables, *command])}"
        (share / "command").write_text(f"{script}\n")
        # With TMPDIR, as virtme-run cannot remove its temporary files when it is killed.
        env = {**os.environ, "PATH": SEARCH, "TMPDIR": name}
        with started("virtme-run", *virtme_arguments(kernel, share, console), env=env) as virtme:
            stream(virtme, timeout)
        try:
            return int((share / "status").read_text())
        except (FileNotFoundError, ValueError):
            if console.exists():
                print(console.read_text(errors="replace"), file=sys.stderr, flush=True)
            reason = "the guest ended without a status: a panic, a dead qemu or an early shutdown"
            raise Failure(reason) from None


def virtme_arguments(kernel: Kernel, share: Path, console: Path) -> list[str]:
    arguments = [f"--kimg={kernel.root}/boot/vmlinuz-{kernel.release}", "--mods=auto"]
    arguments += ["--memory=2G", "--cpus=2", "--disable-kvm"]
    arguments += ["--force-9p"]  # the same everywhere, whether virtiofsd is installed or not
    covered = any(REPO.is_relative_to(path) for path in OVERLAYS)
    for path in OVERLAYS if covered else [*OVERLAYS, REPO]:
        arguments += [f"--overlay-rwdir={path}"]
    # One more console, for the kernel's last words: at virtme-ng's log level it is quiet till then.
    for option in ("-chardev", f"file,id=log,path={console}", "-device", "virtconsole,chardev=log"):
        arguments += [f"--qemu-opt={option}"]
    arguments += ["--kopt=console=hvc0", "--kopt=oops=panic"]
    guest = shlex.join(["sh", str(Path(__file__).resolve().with_name("guest.sh")), SHARE])
    return [*arguments, f"--rwdir={SHARE}={share}", f"--script-sh={guest}"]


def stream(process: subprocess.Popen[bytes], timeout: float) -> None:
    """Copy the process's output to ours until the last holder of it has ended."""
    deadline = time.monotonic() + timeout
    assert process.stdout and process.stderr
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, sys.stdout.buffer)
        selector.register(process.stderr, selectors.EVENT_READ, sys.stderr.buffer)
        while selector.get_map():
            if time.monotonic() > deadline:
                raise Failure(f"timed out after {timeout:.0f} s")
            for key, _ in selector.select(deadline - time.monotonic()):
                data = os.read(key.fd, 65536)
                key.data.write(data)
                key.data.flush()
                if not data:
                    selector.unregister(key.fileobj)


def run_suite(suite: str, command: list[str], timeout: float) -> int:
    label = suite
    try:
        if not re.fullmatch("[a-z]+", suite):
            raise Failure("not the name of a Debian suite")
        kernel = fetch(suite)
        label = f"kernel {kernel.release} ({suite})"
        print(f"{label}: booting", flush=True)
        start = time.monotonic()
        status = boot(kernel, command, timeout)
    except Failure as failure:
        print(f"{label}: failed ({failure})", flush=True)
        return 1
    outcome = f"failed (exit {status})" if status else "passed"
    print(f"{label}: {outcome} in {time.monotonic() - start:.0f} s", flush=True)
    return status


def interrupted(number: int, _frame: FrameType | None) -> NoReturn:
    for each in STOPS:
        signal.signal(each, signal.SIG_IGN)  # a second one must not cut the clean-up short
    sys.exit(128 + number)  # an exception, so every `with` and `finally` on the way does its work


def main() -> int:
    parser = argparse.ArgumentParser(description="Run a command inside other Linux kernels.")
    parser.add_argument("--suite", action="append", metavar="NAME", dest="suites")
    parser.add_argument("--timeout", type=float, default=900, metavar="SECONDS")
    parser.add_argument("command", nargs="+", metavar="COMMAND")
    arguments = parser.parse_args()
    for number in STOPS:
        signal.signal(number, interrupted)
    check_host()
    suites: list[str] = arguments.suites or ["bookworm", "trixie"]
    statuses = [run_suite(suite, arguments.command, arguments.timeout) for suite in suites]
    return next((status for status in statuses if status), 0)


if __name__ == "__main__":
    sys.exit(main())
