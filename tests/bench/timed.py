"""`python timed.py COMMAND...` runs a command and prints its wall-clock seconds and peak memory.

It is a process of its own because the peak that the kernel tells of a child is at least what its
parent had in memory when it started it (fs/exec.c, exec_mmap).
"""

import json
import os
import sys
import time


def main() -> int:
    command = sys.argv[1:]
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    start = time.perf_counter()
    process = os.posix_spawnp(command[0], command, os.environ, file_actions=quiet)
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "peak_mib": usage.ru_maxrss / 1024}))
    return os.waitstatus_to_exitcode(status) and 1


if __name__ == "__main__":
    sys.exit(main())
