/* SPDX-License-Identifier: GPL-2.0-only */
/* Somebody else's program, which has taken our name and our maps' names. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps"), meta SEC(".maps");

SEC("xdp")
int other(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp")
int xdpctl(struct xdp_md *ctx)
{
	__u32 only = 0;
	__u64 *count = bpf_map_lookup_elem(&counters, &only);

	if (count)
		*count += 1;
	count = bpf_map_lookup_elem(&meta, &only);
	if (count)
		*count += 1;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
