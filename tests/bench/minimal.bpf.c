/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The least that counts packets by protocol, doing what the kernel's xdp1 sample does: up to two
 * VLAN tags, the protocol of IPv4 or the first Next Header of IPv6, everything else in row 0, one
 * PERCPU_ARRAY, and drop.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u64);
} packets SEC(".maps");

SEC("xdp")
int minimal(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	void *network = eth + 1;
	__u32 protocol = 0;
	__be16 ethertype;
	__u64 *count;

	if (network > data_end)
		return XDP_DROP;
	ethertype = eth->h_proto;

	for (int i = 0; i < 2; i++) {
		if (ethertype != bpf_htons(ETH_P_8021Q) && ethertype != bpf_htons(ETH_P_8021AD))
			break;
		if (network + 4 > data_end)
			return XDP_DROP;
		ethertype = *(__be16 *)(network + 2);
		network += 4;
	}

	if (ethertype == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = network;

		if ((void *)(ip + 1) <= data_end)
			protocol = ip->protocol;
	} else if (ethertype == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip = network;

		if ((void *)(ip + 1) <= data_end)
			protocol = ip->nexthdr;
	}

	count = bpf_map_lookup_elem(&packets, &protocol);
	if (count)
		*count += 1;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
