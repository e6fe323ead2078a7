// SPDX-License-Identifier: GPL-2.0-only
/* A section of static variables alone, which libbpf does not make mmapable. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

static volatile __u32 calls;

SEC("xdp")
int t_statics(struct xdp_md *ctx)
{
	calls++;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
