/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Puts the packets of a capture through the real program, a whole run of them in one test run: each
 * repetition makes a packet out of the bytes of the next one and calls the program in `programs`
 * with it, which does not come back. xdpctl/replay/driver.py runs it.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_helpers.h>

#include "types.h"
#include "replay.h"

/* What one page of a test run has room for beside headroom and the kernel's own data, however many
 * fragments that is prepared for (CONFIG_MAX_SKB_FRAGS). */
#define LINEAR_MAX  3072

#define BLOCK_BYTES (1 << 20)
#define BLOCKS	    16

/* A power of two above LINEAR_MAX. */
#define LENGTH_ROOM 4096

/* A packet begins before BLOCK_BYTES. The verifier adds up the largest offset and the largest
 * length, of which it knows what masks say. */
struct block {
	__u8 bytes[BLOCK_BYTES + LENGTH_ROOM];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, BLOCKS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct block));
} blocks SEC(".maps");

/* Of the packets of a run. */
struct table {
	__s64 times_ns[REPLAY_PACKETS]; /* Unix time */
	__u32 offsets[REPLAY_PACKETS];	/* in their blocks */
	__u32 lengths[REPLAY_PACKETS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct table));
} table SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} programs SEC(".maps");

__u32 ends[BLOCKS];  /* of the packets of each block */
__u32 block;	     /* of the last packet, or of one before it */
__s64 origin_ns;     /* Unix time at which the data plane's clock was 0 */
__u64 clock_last_ns; /* what it never gets beyond */
__u64 failed;	     /* packets that could not be made, or not be judged */

/* From 1 on: 0 would be never where something expires. */
static __always_inline __u64 clock_at(__s64 time_ns)
{
	__u64 since_ns = (__u64)time_ns - (__u64)origin_ns;

	if (time_ns <= origin_ns)
		return 1;
	return since_ns < clock_last_ns ? since_ns : clock_last_ns;
}

static __always_inline __u32 block_of(__u32 number)
{
	__u32 in = block;

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < BLOCKS - 1; i++) {
		asm volatile("" : "+r"(in)); /* or the mask is thought to be needless */
		if (number < ends[in & (BLOCKS - 1)])
			break;
		in++;
	}
	block = in;
	return in;
}

static __always_inline int make_packet(struct xdp_md *ctx, const struct table *from, __u32 number)
{
	__u32 room = ctx->data_end - ctx->data;
	__u32 offset = from->offsets[number], length = from->lengths[number];
	__u32 in = block_of(number);
	struct block *bytes;

	if (offset >= BLOCK_BYTES || length < ETH_HLEN || length > LINEAR_MAX)
		return -1;
	bytes = bpf_map_lookup_elem(&blocks, &in);
	if (!bytes)
		return -1;
	if (length != room && bpf_xdp_adjust_tail(ctx, (int)length - (int)room))
		return -1;
	/* Linux 6.1 has forgotten by now what was checked above, and a compiler has not: it would
	 * leave the masks out. */
	asm volatile("" : "+r"(offset), "+r"(length));
	offset &= BLOCK_BYTES - 1;
	length = ((length - 1) & (LENGTH_ROOM - 1)) + 1;
	return bpf_xdp_store_bytes(ctx, 0, bytes->bytes + offset, length);
}

SEC("xdp.frags")
int replay(struct xdp_md *ctx)
{
	__u32 only = 0, number;
	__u32 *count = bpf_map_lookup_elem(&begun, &only);
	__u64 *now_ns = bpf_map_lookup_elem(&clock, &only);
	const struct table *from = bpf_map_lookup_elem(&table, &only);
	struct judged *unjudged;

	if (!count || !now_ns || !from)
		return XDP_ABORTED;
	number = *count;
	*count = number + 1;
	if (number < REPLAY_PACKETS) {
		*now_ns = clock_at(from->times_ns[number]);
		if (!make_packet(ctx, from, number))
			bpf_tail_call(ctx, &programs, 0);
	}

	unjudged = bpf_map_lookup_elem(&judged, &number);
	if (unjudged)
		unjudged->verdict = VERDICT_ROWS;
	failed++;
	return XDP_ABORTED;
}

char LICENSE[] SEC("license") = "GPL";
