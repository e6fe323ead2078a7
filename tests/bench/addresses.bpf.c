/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One address at a run, looked up in one of three ways; `nothing_4` and `nothing_6` fetch it only.
 * Where the next one lies depends on the last answer, or the CPU would look up several at a time.
 */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "../../bpf/addresses.h"

#define PROBES (1 << 20)

struct probe {
	__u64 high;
	__u64 low;
};

struct route_4 {
	__u32 length;
	__be32 address;
};

struct route_6 {
	__u32 length;
	__be32 address[4];
};

#define KEYED(kind, flags, key_bytes)                                                              \
	{                                                                                          \
		__uint(type, kind);                                                                \
		__uint(map_flags, flags);                                                          \
		__uint(max_entries, 1);                                                            \
		__uint(key_size, key_bytes);                                                       \
		__uint(value_size, 4);                                                             \
	}

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PROBES);
	__type(key, __u32);
	__type(value, struct probe);
} probes SEC(".maps");

ADDRESS_TABLE_IPV4(table_map_4)
ADDRESS_TABLE_IPV6(table_map_6)
struct KEYED(BPF_MAP_TYPE_LPM_TRIE, BPF_F_NO_PREALLOC, sizeof(struct route_4)) trie_map_4
	SEC(".maps");
struct KEYED(BPF_MAP_TYPE_LPM_TRIE, BPF_F_NO_PREALLOC, sizeof(struct route_6)) trie_map_6
	SEC(".maps");
struct KEYED(BPF_MAP_TYPE_HASH, 0, 4) hash_map_4 SEC(".maps");
struct KEYED(BPF_MAP_TYPE_HASH, 0, 16) hash_map_6 SEC(".maps");

__u32 next;
__u64 found;

static __always_inline struct probe *next_probe(void)
{
	__u32 key = next % PROBES;

	return bpf_map_lookup_elem(&probes, &key);
}

static __always_inline int finish(__u32 class)
{
	asm volatile("" : "+r"(class)); /* the compiler is not to know that it has 16 bits */
	next += 1 + (class >> 16);
	found += !!class;
	return XDP_PASS;
}

static __always_inline __u32 value_of(const __u32 *value)
{
	return value ? *value : 0;
}

SEC("xdp")
int nothing_4(struct xdp_md *ctx)
{
	struct probe *probe = next_probe();

	return probe ? finish(probe->low & 1) : XDP_ABORTED;
}

SEC("xdp")
int nothing_6(struct xdp_md *ctx)
{
	struct probe *probe = next_probe();

	return probe ? finish((probe->high ^ probe->low) & 1) : XDP_ABORTED;
}

SEC("xdp")
int table_4(struct xdp_md *ctx)
{
	struct probe *probe = next_probe();

	return probe ? finish(table_map_4_class(probe->low)) : XDP_ABORTED;
}

SEC("xdp")
int table_6(struct xdp_md *ctx)
{
	struct probe *probe = next_probe();

	return probe ? finish(table_map_6_class(probe->high, probe->low)) : XDP_ABORTED;
}

SEC("xdp")
int trie_4(struct xdp_md *ctx)
{
	struct probe *probe = next_probe();
	struct route_4 key = {.length = 32};

	if (!probe)
		return XDP_ABORTED;
	key.address = bpf_htonl(probe->low);
	return finish(value_of(bpf_map_lookup_elem(&trie_map_4, &key)));
}

SEC("xdp")
int trie_6(struct xdp_md *ctx)
{
	struct probe *probe = next_probe();
	struct route_6 key = {.length = 128};

	if (!probe)
		return XDP_ABORTED;
	key.address[0] = bpf_htonl(probe->high >> 32);
	key.address[1] = bpf_htonl(probe->high);
	key.address[2] = bpf_htonl(probe->low >> 32);
	key.address[3] = bpf_htonl(probe->low);
	return finish(value_of(bpf_map_lookup_elem(&trie_map_6, &key)));
}

SEC("xdp")
int hash_4(struct xdp_md *ctx)
{
	struct probe *probe = next_probe();
	__be32 key;

	if (!probe)
		return XDP_ABORTED;
	key = bpf_htonl(probe->low);
	return finish(value_of(bpf_map_lookup_elem(&hash_map_4, &key)));
}

SEC("xdp")
int hash_6(struct xdp_md *ctx)
{
	struct probe *probe = next_probe();
	__be64 key[2];

	if (!probe)
		return XDP_ABORTED;
	key[0] = bpf_cpu_to_be64(probe->high);
	key[1] = bpf_cpu_to_be64(probe->low);
	return finish(value_of(bpf_map_lookup_elem(&hash_map_6, &key)));
}

char LICENSE[] SEC("license") = "GPL";
