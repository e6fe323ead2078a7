/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rules of five fields, walked one after another until one matches, as filters do that know no
 * better: IPv4, TCP and UDP, without options, and no counting. It is kept as lean as that allows.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define RULES_MAX   4096
#define CHUNK_RULES 256 /* the verifier follows no more jumps than 8,192 in a row */

struct five_fields {
	__u32 source, source_mask;
	__u32 destination, destination_mask;
	__u16 source_port_first, source_port_last;
	__u16 destination_port_first, destination_port_last;
	__u32 protocol;
};

struct table {
	struct five_fields rules[RULES_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct table);
} tables SEC(".maps");

const volatile __u32 rule_count;

struct flow {
	__u32 source, destination, protocol;
	__u16 source_port, destination_port;
};

/* Whether one of the rules from `first` on matches; verified once for all chunks. */
__noinline int any_matches(const struct flow *flow, __u32 first)
{
	__u32 source, destination, protocol, key = 0;
	__u16 source_port, destination_port;
	const struct table *table = bpf_map_lookup_elem(&tables, &key);

	if (!table || !flow || first > RULES_MAX - CHUNK_RULES)
		return 0;
	source = flow->source;
	destination = flow->destination;
	protocol = flow->protocol;
	source_port = flow->source_port;
	destination_port = flow->destination_port;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < CHUNK_RULES && first + i < rule_count; i++) {
		const struct five_fields *rule = &table->rules[first + i];

		if ((source & rule->source_mask) == rule->source &&
		    (destination & rule->destination_mask) == rule->destination &&
		    protocol == rule->protocol && source_port >= rule->source_port_first &&
		    source_port <= rule->source_port_last &&
		    destination_port >= rule->destination_port_first &&
		    destination_port <= rule->destination_port_last)
			return 1;
	}
	return 0;
}

SEC("xdp")
int linear(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *ports = (void *)(ip + 1); /* TCP's are in the same place */
	struct flow flow;

	if ((void *)(ports + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	flow.source = bpf_ntohl(ip->saddr);
	flow.destination = bpf_ntohl(ip->daddr);
	flow.protocol = ip->protocol;
	flow.source_port = bpf_ntohs(ports->source);
	flow.destination_port = bpf_ntohs(ports->dest);
#pragma clang loop unroll(disable)
	for (__u32 first = 0; first < rule_count && first < RULES_MAX; first += CHUNK_RULES)
		if (any_matches(&flow, first))
			return XDP_DROP;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
