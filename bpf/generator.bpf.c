/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sends frames out of the interface that a live-frames test run (BPF_F_TEST_XDP_LIVE_FRAMES) says
 * they come from: the frames of a table in their order, again and again, each edited so that no two
 * sent are alike and that they belong to many flows. netns_lab/generator.py runs it.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* What a page of a live frame has room for beside its headroom and the kernel's own data. */
#define FRAME_BYTES_MAX 3328
#define EDITS_MAX	3

/* Up to here words are copied one by one, in 10 to 20 ns; bpf_xdp_store_bytes takes 80 for any. */
#define WORDS_MAX 16

/* Bits of the 16-bit word at `offset` that become random; a mask of 0 is for no edit. Checksums
 * that cover the word are at those offsets, where an offset is not 0. */
struct edit {
	__u16 offset;
	__u16 mask;
	__u16 header_checksum;
	__u16 upper_checksum; /* never 0 where it is UDP's, to which that means "none" (RFC 768) */
};

struct frame {
	__u16 length;
	__u8 numbered; /* whether the source MAC address carries the frame's number */
	__u8 udp;
	struct edit edits[EDITS_MAX];
	__u8 bytes[FRAME_BYTES_MAX] __attribute__((aligned(sizeof(__u64))));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* until there are frames to send */
	__type(key, __u32);
	__type(value, struct frame);
} frames SEC(".maps");

/* Only one test run at a time may use them. */
__u32 frame_count;
__u32 position; /* in the table, of the frame to come */
__u64 sent;	/* so far, which is the number of the frame to come */
__u64 seed;

/* Sebastiano Vigna's splitmix64: the `number`th of the sequence that `seed` begins. */
static __always_inline __u64 random_bits(__u64 number)
{
	__u64 bits = seed + (number + 1) * 0x9e3779b97f4a7c15;

	bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
	bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
	return bits ^ (bits >> 31);
}

/* The frame's bytes, `length` of them, of which there are at least an Ethernet header's, into a
 * packet of that length. The last word overlaps the one before where the length is no multiple. */
static __always_inline bool copy(struct xdp_md *ctx, struct frame *frame, __u32 length)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 last = (length - sizeof(__u64)) & (WORDS_MAX * sizeof(__u64) - 1);
	__u64 *to = data, *from = (void *)frame->bytes;

	if (length > WORDS_MAX * sizeof(__u64))
		return !bpf_xdp_store_bytes(ctx, 0, frame->bytes, length);
#pragma unroll
	for (int i = 0; i < WORDS_MAX; i++) {
		if ((void *)(to + i + 1) > end)
			break;
		to[i] = from[i];
	}
	if (data + last + sizeof(__u64) > end)
		return false;
	*(__u64 *)(data + last) = *(__u64 *)(frame->bytes + last);
	return true;
}

/* A 16-bit word of the frame, or NULL where it ends before. */
static __always_inline __u16 *word_at(struct xdp_md *ctx, __u16 offset)
{
	void *word = (void *)(long)ctx->data + (offset & 0xfff);

	return word + sizeof(__u16) <= (void *)(long)ctx->data_end ? word : NULL;
}

/* RFC 1624, equation 3, which works on words in whatever byte order they have. */
static __always_inline void adjust_checksum(struct xdp_md *ctx, __u16 offset, __u16 before,
					    __u16 after, bool never_zero)
{
	__u16 *checksum = offset ? word_at(ctx, offset) : NULL;
	__u32 sum;

	if (!checksum)
		return;
	sum = (__u16) ~*checksum + (__u16)~before + after;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	*checksum = ~sum;
	if (never_zero && !*checksum)
		*checksum = 0xffff;
}

static __always_inline void apply(struct xdp_md *ctx, const struct edit *edit, __u16 random,
				  bool udp)
{
	__u16 *word = word_at(ctx, edit->offset);
	__u16 mask = bpf_htons(edit->mask);
	__u16 before, after;

	if (!word)
		return;
	before = *word;
	after = (before & ~mask) | (random & mask);
	*word = after;
	adjust_checksum(ctx, edit->header_checksum, before, after, false);
	adjust_checksum(ctx, edit->upper_checksum, before, after, udp);
}

/* The low 40 bits, in network byte order, into a source MAC address that begins with 06: locally
 * administered (IEEE 802, 8.2), and none of a lab's ports, which begin with 02. */
static __always_inline void write_number(struct xdp_md *ctx, __u64 number)
{
	struct ethhdr *eth = (void *)(long)ctx->data;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return;
	eth->h_source[0] = 0x06;
	for (int i = 1; i < ETH_ALEN; i++)
		eth->h_source[i] = number >> (8 * (ETH_ALEN - 1 - i));
}

SEC("xdp")
int generator(struct xdp_md *ctx)
{
	__u32 key = position;
	struct frame *frame = bpf_map_lookup_elem(&frames, &key);
	__u32 length, room = ctx->data_end - ctx->data;
	__u64 number = sent, random = random_bits(number);

	if (!frame)
		return XDP_ABORTED;
	length = frame->length;
	if (length < ETH_HLEN || length > FRAME_BYTES_MAX)
		return XDP_ABORTED;
	/* The page may hold what an earlier frame, or its receiver, left in it. */
	if (length != room && bpf_xdp_adjust_tail(ctx, (int)length - (int)room))
		return XDP_ABORTED;
	if (!copy(ctx, frame, length))
		return XDP_ABORTED;
	if (frame->numbered)
		write_number(ctx, number);
	for (int i = 0; i < EDITS_MAX; i++) {
		if (frame->edits[i].mask)
			apply(ctx, &frame->edits[i], random >> (16 * i), frame->udp);
	}
	position = key + 1 < frame_count ? key + 1 : 0;
	sent = number + 1;
	return bpf_redirect(ctx->ingress_ifindex, 0);
}

char LICENSE[] SEC("license") = "GPL";
