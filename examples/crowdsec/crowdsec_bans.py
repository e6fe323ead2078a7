#!/usr/bin/env python3
"""CROWDSEC_KEY=... crowdsec_bans.py IFACE|--all keeps bans what CrowdSec's local API decides."""

import json
import os
import re
import subprocess
import sys
import time
from ipaddress import ip_network
from urllib.request import Request, urlopen

URL = os.environ.get("CROWDSEC_URL", "http://127.0.0.1:8080")
KEY = os.environ["CROWDSEC_KEY"]  # of `cscli bouncers add xdpctl`
POLL_S = float(os.environ.get("CROWDSEC_POLL_S", "10"))
RESYNC_S = 3600  # for what was prolonged is not in the stream, and what xdpctl lost neither
TAG = ["--tag", "crowdsec"]
DURATION = re.compile(r"(\d+)(?:\.\d+)?([hms])(?![a-z])")  # 3h59m41.5s, 900ms: as Go prints it
SECONDS = {"h": 3600, "m": 60, "s": 1}


def fetch(everything):
    path = f"{URL}/v1/decisions/stream?startup={'true' if everything else 'false'}"
    with urlopen(Request(path, headers={"X-Api-Key": KEY}), timeout=60) as answer:
        return json.load(answer)


def bans_of(decisions):
    """Seconds by prefix, the most where there are several decisions."""
    found = {}
    for each in decisions or []:
        if each["type"] == "ban" and each["scope"].lower() in ("ip", "range"):
            prefix = str(ip_network(each["value"], strict=False))
            parts = DURATION.findall(each["duration"])
            seconds = sum(int(count) * SECONDS[unit] for count, unit in parts)
            found[prefix] = max(seconds, found.get(prefix, 1))
    return found


def xdpctl(verb, lines):
    """Whether it did all but what it has refused, and named."""
    command = ["xdpctl", verb, sys.argv[1], "-", *TAG]
    text = "".join(f"{line}\n" for line in lines)
    if not text:
        return True
    return subprocess.run(command, input=text, text=True, check=False).returncode in (0, 2)


def banned():
    command = ["xdpctl", "bans", *TAG, "--json"]
    listed = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return {f"{each['address']}/{each['prefix_length']}" for each in listed}


def main():
    synced = None
    while True:
        try:
            everything = synced is None or time.monotonic() - synced > RESYNC_S
            answer = fetch(everything)
            new = bans_of(answer["new"])
            gone = banned() - new.keys() if everything else bans_of(answer["deleted"])
            done = xdpctl("unban", gone) and xdpctl("ban", (f"{p} {s}s" for p, s in new.items()))
            synced = None if not done else time.monotonic() if everything else synced
        except (OSError, ValueError, KeyError, subprocess.CalledProcessError) as error:
            print(f"crowdsec_bans: {error}", file=sys.stderr, flush=True)
            synced = None
        time.sleep(POLL_S)


if __name__ == "__main__":
    main()
