// SPDX-License-Identifier: GPL-2.0-only
/* Each of these programs breaks one rule of the verifier's. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} values SEC(".maps");

/* A value that might not be there. */
SEC("xdp")
int t_null(struct xdp_md *ctx)
{
	__u32 index = 0;
	__u64 *value = bpf_map_lookup_elem(&values, &index);

	return *value;
}

/* A byte behind the packet's end. */
SEC("xdp")
int t_packet(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;

	return *data;
}

/* Accepted: the others are refused beside it. */
SEC("xdp")
int t_sound(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
