/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sends frames out of the interface that a live-frames test run says they come from, as cheaply as
 * can be: frames of one length, of which only 26 bytes differ are written into each page, since a
 * page keeps the rest of what the test run once put there, and receivers change nothing.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_helpers.h>

#define FRAMES 1024

/* IPv4's header and the ports behind it. */
struct headers {
	__u64 words[3];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FRAMES);
	__type(key, __u32);
	__type(value, struct headers);
} frames SEC(".maps");

__u32 position;

SEC("xdp")
int flood(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	__u32 key = position++ % FRAMES;
	struct headers *from = bpf_map_lookup_elem(&frames, &key);
	struct headers *to = data + ETH_HLEN;

	if (!from || (void *)(to + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	*to = *from;
	return bpf_redirect(ctx->ingress_ifindex, 0);
}

char LICENSE[] SEC("license") = "GPL";
