/* SPDX-License-Identifier: GPL-2.0-only */
/* The floor: a program that does nothing but drop. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int drop(struct xdp_md *ctx)
{
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
