/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sends frames out of the interface that a live-frames test run says they come from, as cheaply as
 * can be: frames of one length, of which only 26 bytes differ are written into each page, since a
 * page keeps the rest of what the test run once put there, and receivers change nothing.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_endian.h>
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

/* How many source addresses there are, from 10.0.0.0 on; 0 for those of the frames. */
const volatile __u32 sources;

#define FIRST_SOURCE 0x0a000000
#define SCATTER	     2654435761U /* Knuth's multiplicative hash: each is reached in time */

/* The second word is time to live, protocol, checksum, source; the checksum is that of RFC 1624. */
static __always_inline __u64 with_source(__u64 word, __u32 source)
{
	__u32 before = word >> 32;
	__u32 sum = (~(__u32)(word >> 16) & 0xffff) + (~before & 0xffff) + (~before >> 16) +
		    (source & 0xffff) + (source >> 16);

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (word & 0xffff) | (__u64)(~sum & 0xffff) << 16 | (__u64)source << 32;
}

SEC("xdp")
int flood(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	__u32 number = position++, key = number % FRAMES;
	struct headers *from = bpf_map_lookup_elem(&frames, &key);
	struct headers *to = data + ETH_HLEN;

	if (!from || (void *)(to + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	*to = *from;
	if (sources)
		to->words[1] = with_source(from->words[1],
					   bpf_htonl(FIRST_SOURCE + number * SCATTER % sources));
	return bpf_redirect(ctx->ingress_ifindex, 0);
}

char LICENSE[] SEC("license") = "GPL";
