// SPDX-License-Identifier: GPL-2.0-only
/* Looks up one address at a run, the next of an array, and writes its class beside it. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "../../../bpf/addresses.h"

#define PROBES 65536

struct probe {
	__u64 high;
	__u64 low;
	__u64 class;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PROBES);
	__type(key, __u32);
	__type(value, struct probe);
} probes SEC(".maps");

ADDRESS_TABLE_IPV4(ipv4_table)
ADDRESS_TABLE_IPV6(ipv6_table)

__u32 next;

static __always_inline struct probe *next_probe(void)
{
	__u32 key = next++ % PROBES;

	return bpf_map_lookup_elem(&probes, &key);
}

SEC("xdp")
int look_up_4(struct xdp_md *ctx)
{
	struct probe *probe = next_probe();

	if (!probe)
		return XDP_ABORTED;
	probe->class = ipv4_table_class(probe->low);
	return XDP_PASS;
}

SEC("xdp")
int look_up_6(struct xdp_md *ctx)
{
	struct probe *probe = next_probe();

	if (!probe)
		return XDP_ABORTED;
	probe->class = ipv6_table_class(probe->high, probe->low);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
