// SPDX-License-Identifier: GPL-2.0-only
/* Maps of the kinds that the package treats differently; each run of the program counts in all. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct odd {
	__u32 runs;
	__u16 halves[3];
	__u8 last;
} __attribute__((packed));

struct route {
	__u32 prefix_length;
	__u8 address[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10000);
	__type(key, __u32);
	__type(value, __u64);
} large SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 5);
	__type(key, __u32);
	__type(value, __u64);
} array SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1000);
	__type(key, __u32);
	__type(value, struct odd);
} shared SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 100);
	__type(key, __u16);
	__type(value, struct odd);
} cpu_hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 3);
	__type(key, __u32);
	__type(value, struct odd);
} cpu_array SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 300);
	__type(key, struct route);
	__type(value, __u32);
} routes SEC(".maps");

SEC("xdp")
int t_maps(struct xdp_md *ctx)
{
	struct route key = {.prefix_length = 32, .address = {192, 0, 2, 77}};
	__u32 one = 1;
	__u16 seven = 7;
	__u64 *count, start = 1;
	__u32 *route;
	struct odd *odd;

	count = bpf_map_lookup_elem(&hash, &one);
	if (count)
		*count += 1;
	else
		bpf_map_update_elem(&hash, &one, &start, BPF_ANY);
	count = bpf_map_lookup_elem(&array, &one);
	if (count)
		*count += 1;
	odd = bpf_map_lookup_elem(&shared, &one);
	if (odd)
		odd->runs += odd->last;
	odd = bpf_map_lookup_elem(&cpu_array, &one);
	if (odd) {
		odd->runs += 1;
		odd->last = 0xAA;
	}
	odd = bpf_map_lookup_elem(&cpu_hash, &seven);
	if (odd)
		odd->halves[2] += 1;
	route = bpf_map_lookup_elem(&routes, &key);
	return route ? *route : 0;
}

char LICENSE[] SEC("license") = "GPL";
