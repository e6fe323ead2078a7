// SPDX-License-Identifier: GPL-2.0-only
/* Counts IPv4 packets by protocol, and drops those to UDP port 7 (echo, RFC 862). */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define ECHO_PORT	 bpf_htons(7)
#define IPV4_FRAG_OFFSET bpf_htons(0x1fff) /* not zero in later fragments, which have no ports */

struct count {
	__u64 passed;
	__u64 dropped;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32); /* the protocol's number in the IPv4 header */
	__type(value, struct count);
} counts SEC(".maps");

SEC("xdp")
int first(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = data + sizeof(*eth);
	struct count *count;
	struct udphdr *udp;
	__u32 protocol;

	/* The verifier wants to see that no byte behind the packet's end is read. */
	if ((void *)(ip + 1) > data_end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;

	protocol = ip->protocol;
	count = bpf_map_lookup_elem(&counts, &protocol);
	if (!count)
		return XDP_PASS;

	udp = (void *)ip + ip->ihl * 4;
	if (protocol == IPPROTO_UDP && !(ip->frag_off & IPV4_FRAG_OFFSET) &&
	    (void *)(udp + 1) <= data_end && udp->dest == ECHO_PORT) {
		count->dropped++;
		return XDP_DROP;
	}
	count->passed++;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
