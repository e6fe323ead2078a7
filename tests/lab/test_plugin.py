"""The pytest fixtures in somebody else's project: the examples of docs/testing.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parent.parent.parent / "docs/testing.md").read_text(encoding="utf-8")
FIREWALL, COUNTING = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)

DROPS_DISCARD = """
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int firewall(struct xdp_md *ctx)
{
	struct iphdr *ip = (void *)(long)ctx->data + sizeof(struct ethhdr);
	struct udphdr *udp = (void *)(ip + 1);

	if ((void *)(udp + 1) > (void *)(long)ctx->data_end || ip->protocol != 17)
		return XDP_PASS;
	return udp->dest == bpf_htons(9) ? XDP_DROP : XDP_PASS;
}
"""
PASSES_ALL = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int firewall(struct xdp_md *ctx)
{
	return XDP_PASS;
}
"""


def test_firewall_test_of_the_page_passes_and_notices_a_firewall_that_does_not_drop(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(FIREWALL)
    for firewall, outcome in ((DROPS_DISCARD, "passed"), (PASSES_ALL, "failed")):
        (pytester.path / "firewall.bpf.c").write_text(firewall)
        result = pytester.runpytest_subprocess()
        result.assert_outcomes(**{outcome: 1})


def test_firewall_test_of_the_page_has_ten_lines() -> None:
    assert len([line for line in FIREWALL.splitlines() if line and "import" not in line]) <= 10


def test_attached_counts_in_both_modes(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(COUNTING)
    pytester.runpytest_subprocess().assert_outcomes(passed=2)


def test_a_command_that_fails_says_why(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(attached):\n    attached.xdpctl('stats', 'eth9')\n")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*xdpctl: eth9: no such interface*"])
