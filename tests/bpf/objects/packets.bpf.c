// SPDX-License-Identifier: GPL-2.0-only
/* Programs for test runs. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define ACTION_OFFSET 12 /* the upper byte of the EtherType */
#define ROOM	      4

__u64 runs;
__u32 linear_bytes;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} unused SEC(".maps");

/* Returns the action that the packet asks for. */
SEC("xdp")
int t_action(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;

	__sync_fetch_and_add(&runs, 1);
	if (data + ACTION_OFFSET + 1 > (__u8 *)end)
		return XDP_ABORTED;
	return data[ACTION_OFFSET];
}

/* Puts four bytes, 1 to 4, before the packet. */
SEC("xdp")
int t_prepend(struct xdp_md *ctx)
{
	__u8 *data;

	if (bpf_xdp_adjust_head(ctx, -ROOM))
		return XDP_ABORTED;
	data = (void *)(long)ctx->data;
	if (data + ROOM > (__u8 *)(long)ctx->data_end)
		return XDP_ABORTED;
	for (int i = 0; i < ROOM; i++)
		data[i] = i + 1;
	return XDP_TX;
}

/* Returns the whole length, and leaves that of the linear part. */
SEC("xdp.frags")
int t_frags(struct xdp_md *ctx)
{
	linear_bytes = ctx->data_end - ctx->data;
	return bpf_xdp_get_buff_len(ctx);
}

/* Returns the four bytes of metadata before the packet. */
SEC("xdp")
int t_metadata(struct xdp_md *ctx)
{
	__u32 *metadata = (void *)(long)ctx->data_meta;

	if (metadata + 1 > (__u32 *)(long)ctx->data)
		return 0;
	return *metadata;
}

/* Returns where the packet is said to have come from. */
SEC("xdp")
int t_origin(struct xdp_md *ctx)
{
	return ctx->ingress_ifindex << 8 | ctx->rx_queue_index;
}

char LICENSE[] SEC("license") = "GPL";
