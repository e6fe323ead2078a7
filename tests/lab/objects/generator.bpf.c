/* SPDX-License-Identifier: GPL-2.0-only */
/* Sends every packet of a live-frames test run out of the interface that it comes from. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int generator(struct xdp_md *ctx)
{
	return bpf_redirect(ctx->ingress_ifindex, 0);
}

char LICENSE[] SEC("license") = "GPL";
