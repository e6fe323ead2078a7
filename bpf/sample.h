/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Packets for people to look at: one in so many, or those of a verdict, a rule or a filter, to the
 * ring buffers of whoever reads. A ring has one consumer, so each reader has a ring of its own.
 *
 * Whoever reads holds a lease. Where it has run out, since the reader was killed, the data plane
 * itself ends the sampling, which then costs the look at `active` again.
 *
 * How many packets can be let by before any reader wants one is counted down on each CPU, so that
 * one in a thousand costs a decrement. A reader who looks at what became of packets, or has a
 * filter, is asked about each of them.
 */
#ifndef XDPCTL_SAMPLE_H
#define XDPCTL_SAMPLE_H

#include "clock.h"
#include "config.h"
#include "maps.h"
#include "parse.h"

#define LOOK_AGAIN_PACKETS 1024 /* on a CPU: at the latest by then leases are looked at */

/* The number is a copy: of a variable whose address is taken the verifier knows nothing. */
static __always_inline const struct sample_reader *reader_at(__u32 number)
{
	return bpf_map_lookup_elem(&sample_readers, &number);
}

static __always_inline void end_sampling(__u32 reader)
{
	__sync_fetch_and_and(&sampling.active, ~(1ULL << (reader & (SAMPLE_READERS - 1))));
}

/*
 * How many packets are let by before the next one is taken: at random, one short of `one_in` in the
 * mean. Traffic that has a beat of its own would otherwise be in or out of step with us.
 */
static __always_inline __u32 draw_gap(__u32 one_in)
{
	return one_in < 2 ? 0 : bpf_get_prandom_u32() % (2 * one_in - 1);
}

static __always_inline bool is_address_in(const __u64 *address, const struct sample_prefix *prefix)
{
	return (address[0] & prefix->mask[0]) == prefix->network[0] &&
	       (address[1] & prefix->mask[1]) == prefix->network[1];
}

/* Whether a packet gets through a reader's filter, which says what it must be at least: the reader
 * looks more closely. */
__noinline int is_let_through(const struct packet *packet, __u32 number)
{
	const struct sample_reader *reader = reader_at(number);
	const struct sample_filter *filter;
	__u32 asks;

	if (!packet || !reader)
		return 0;
	filter = &reader->filter;
	asks = filter->asks;
	if ((packet->present & asks) != asks)
		return 0;
	if (filter->some_protocol && packet->upper != filter->protocol)
		return 0;
	if (asks & HAS_PORTS && (packet->source_port < filter->source_port[0] ||
				 packet->source_port > filter->source_port[1] ||
				 packet->destination_port < filter->destination_port[0] ||
				 packet->destination_port > filter->destination_port[1]))
		return 0;
	if (asks & (HAS_IPV4 | HAS_IPV6))
		return is_address_in(packet->source, &filter->source) &&
		       is_address_in(packet->destination, &filter->destination);
	return 1;
}

/* The packet is parsed again: without rules it was not in full. That is done where it was before,
 * for the stack is short. */
__noinline int passes_filter(struct xdp_md *ctx, struct packet *packet, __u32 number)
{
	if (!packet)
		return 0;
	parse(ctx, packet, true);
	return is_let_through(packet, number);
}

/* Puts the packet's first bytes into a ring. Reserved room is of a size known when compiling, a
 * power of two of bytes behind the header. */
static __always_inline bool take(struct xdp_md *ctx, void *ring, const struct sample *header,
				 const __u32 room)
{
	__u32 bytes = header->captured;
	struct sample *sample = bpf_ringbuf_reserve(ring, sizeof(*sample) + room, 0);

	if (!sample)
		return false;
	__builtin_memcpy(sample, header, sizeof(*sample));
	bytes--;
	asm volatile("" : "+r"(bytes)); /* or else clang takes the bound away with its test */
	bytes = (bytes & (room - 1)) + 1;
	if (bpf_xdp_load_bytes(ctx, 0, sample->data, bytes)) {
		bpf_ringbuf_discard(sample, BPF_RB_NO_WAKEUP);
		return false;
	}
	bpf_ringbuf_submit(sample, BPF_RB_NO_WAKEUP); /* readers come by when they want to */
	return true;
}

/* A packet to one reader. */
__noinline int offer(struct xdp_md *ctx, struct sample *header, __u32 number)
{
	const struct sample_reader *reader = reader_at(number);
	struct sample_state *state;
	__u32 only = 0;
	bool taken;
	void *ring;

	ring = bpf_map_lookup_elem(&sample_rings, &number);
	state = bpf_map_lookup_elem(&sample_state, &only);
	if (!header || !reader || !ring || !state || !header->length || !reader->bytes)
		return 0;
	header->captured = header->length < reader->bytes ? header->length : reader->bytes;
	if (header->captured <= 128)
		taken = take(ctx, ring, header, 128);
	else if (header->captured <= 2048)
		taken = take(ctx, ring, header, 2048);
	else if (header->captured <= 16384)
		taken = take(ctx, ring, header, 16384);
	else
		taken = take(ctx, ring, header, 65536);
	if (!taken)
		state->lost[number & (SAMPLE_READERS - 1)]++;
	return taken;
}

static __always_inline bool is_of_interest(const struct sample_reader *reader,
					   const struct sample *header)
{
	return reader->verdicts >> header->verdict & 1 && reader->reasons >> header->reason & 1 &&
	       (reader->slot == NO_SLOT || reader->slot == header->slot);
}

/*
 * A packet for one reader, who takes it if it is its turn. Returns how many can be let by until
 * this reader has to be asked again.
 */
__noinline int ask_reader(struct xdp_md *ctx, struct sample *header, __u32 number, __u32 let_by)
{
	const struct sample_reader *reader = reader_at(number);
	struct sample_state *state;
	__u32 only = 0, *gap;

	state = bpf_map_lookup_elem(&sample_state, &only);
	if (!header || !reader || !state)
		return LOOK_AGAIN_PACKETS;
	gap = &state->gaps[number & (SAMPLE_READERS - 1)];
	if (!reader->asks_for_each)
		*gap -= let_by < *gap ? let_by : *gap;
	if (*gap) {
		(*gap)--;
	} else {
		offer(ctx, header, number);
		*gap = draw_gap(reader->one_in);
	}
	return reader->asks_for_each ? 0 : *gap;
}

/* Lets readers begin, and end those whose lease has run out. */
__noinline int begin_sampling(__u64 now_ns)
{
	struct sample_state *state;
	__u32 only = 0;

	state = bpf_map_lookup_elem(&sample_state, &only);
	if (!state)
		return 0;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < SAMPLE_READERS; i++) {
		const struct sample_reader *reader = reader_at(i);

		if (!reader || !(sampling.active >> i & 1))
			continue;
		if (reader->lease_ns < now_ns)
			end_sampling(i);
		else if (state->active != sampling.active)
			state->gaps[i] = draw_gap(reader->one_in);
	}
	if (state->active != sampling.active)
		state->let_by = state->to_let_by = 0;
	state->active = sampling.active;
	return sampling.active & (1 << SAMPLE_READERS) - 1;
}

/* A packet for all readers. */
__noinline int sample(struct xdp_md *ctx, struct packet *packet, const struct judgement *judgement)
{
	struct sample_state *state;
	struct sample header = {};
	__u32 only = 0, readers, let_by = LOOK_AGAIN_PACKETS;

	state = bpf_map_lookup_elem(&sample_state, &only);
	if (!packet || !judgement || !state)
		return 0;
	header.time_ns = clock_ns();
	header.length = packet->length;
	header.generation = config.generation;
	header.slot = judgement->slot;
	header.queue = ctx->rx_queue_index;
	header.cpu = bpf_get_smp_processor_id();
	header.protocol = packet->protocol;
	header.verdict = judgement->verdict;
	header.reason = judgement->reason;
	header.malformed = packet->malformed;
	readers = begin_sampling(header.time_ns);
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < SAMPLE_READERS; i++) {
		const struct sample_reader *reader = reader_at(i);
		__u32 of_reader = 0;

		if (!reader || !(readers >> i & 1))
			continue;
		if (!reader->asks_for_each ||
		    (is_of_interest(reader, &header) &&
		     (!reader->filter.asks || passes_filter(ctx, packet, i))))
			of_reader = ask_reader(ctx, &header, i, state->let_by);
		if (of_reader < let_by)
			let_by = of_reader;
	}
	state->let_by = state->to_let_by = let_by;
	return 0;
}

/* While nobody reads this costs one load. */
static __always_inline void sample_if_wanted(struct xdp_md *ctx, struct packet *packet,
					     const struct judgement *judgement)
{
	struct sample_state *state;
	__u32 only = 0;

	if (!sampling.active)
		return;
	state = bpf_map_lookup_elem(&sample_state, &only);
	if (!state)
		return;
	if (state->to_let_by && state->active == sampling.active)
		state->to_let_by--;
	else
		sample(ctx, packet, judgement);
}

#endif
