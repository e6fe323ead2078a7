"""Print every program that a process starts: hello.py, until Ctrl-C."""

import sys
from pathlib import Path

from xdpctl.pylibbpf import Codec, Object, PylibbpfError, RingBuffer, compile
from xdpctl.pylibbpf.btf import Kind

EVENTS = Path("/sys/kernel/tracing/events")
NO_TRACEPOINT = """hello.py: no tracepoint is there; tracefs may not be mounted
mount -t tracefs tracefs /sys/kernel/tracing"""


def main() -> None:
    source = Path(__file__).with_name("hello.bpf.c").read_text(encoding="utf-8")
    with Object.open(compile(source)) as obj:
        # The first that there is: a kernel has only what it was configured with.
        found = (each for each in obj.programs if (EVENTS / tracepoint(each.section)).is_dir())
        there = next(found, None)
        if there is None:
            sys.exit(NO_TRACEPOINT)
        for program in obj.programs:
            program.set_autoload(program is there)
        obj.load()
        event = Codec(obj.btf, obj.btf.find(Kind.STRUCT, "event"))

        def show(sample: bytes) -> None:
            started = event.decode(sample)
            print(f"{started.pid:>8}  {text(started.comm):<16}{text(started.filename)}")

        with there.attach(), RingBuffer(obj.maps.events.fd, show) as ring:
            print(f"     pid  comm            filename  ({tracepoint(there.section)})")
            while True:
                ring.poll(100)  # Ctrl-C right before a wait without end would not end it


def tracepoint(section: str) -> str:
    return section.removeprefix("tracepoint/")


def text(raw: bytes) -> str:
    """A string of C's, without what a terminal would obey."""
    string = raw.partition(b"\0")[0].decode(errors="replace")
    return "".join(char if char.isprintable() else "?" for char in string)


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # in a pipe, too
    try:
        main()
    except KeyboardInterrupt:
        print("detached")
    except (OSError, PylibbpfError) as error:
        sys.exit(f"hello.py: {error}\n{getattr(error, 'hint', '')}".rstrip())
