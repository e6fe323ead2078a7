/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Limits: the generic cell rate algorithm in its virtual scheduling form (ITU-T I.371, A.1.1.1),
 * which is a token bucket in one number. A cell has the time at which its next packet would be due
 * if all came evenly at the rate:
 *
 *            now           due           due + cost
 *     --------|-------------|----------------|--------|---->
 *             |<--- how far ahead it may get: burst ->|
 *
 * A packet that would get it further ahead is over the rate, and changes nothing. Others move it on
 * by what they cost, their length or one packet divided by the rate. Where the cell is not ahead at
 * all, the bucket is full and lets anything through: a frame may be longer than the burst.
 *
 * All CPUs share the cells, and move them by compare-and-exchange. Addresses share cells where
 * their hashes are the same, and then a rate. The hash is multilinear with secret keys, strongly
 * universal: whatever two addresses, the chance of their sharing a cell is one in as many as there
 * are (D. Lemire, O. Kaser: Strongly Universal String Hashing is Fast, The Computer Journal 2014).
 */
#ifndef XDPCTL_LIMIT_H
#define XDPCTL_LIMIT_H

#include "account.h"
#include "clock.h"
#include "config.h"
#include "maps.h"

#define LIMIT_ATTEMPTS 16

static __always_inline __u32 limit_hash(const struct limit *limit, const struct packet *packet,
					const __u64 *address)
{
	const __u64 *keys = limit->keys;
	__u64 high, low;

	if (packet->present & HAS_IPV4)
		return (keys[0] + keys[1] * (address[0] & limit->ipv4_mask)) >> 32;
	if (!(packet->present & HAS_IPV6))
		return keys[7] >> 32;
	high = address[0] & limit->ipv6_mask[0];
	low = address[1] & limit->ipv6_mask[1];
	return (keys[2] + keys[3] * (high >> 32) + keys[4] * (__u32)high + keys[5] * (low >> 32) +
		keys[6] * (__u32)low) >>
	       32;
}

static __always_inline __u64 *limit_cell(const struct limit *limit, const struct packet *packet)
{
	__u32 cell = limit->first_cell;

	if (limit->per == LIMIT_PER_SOURCE)
		cell += limit_hash(limit, packet, packet->source) & limit->cell_mask;
	else if (limit->per == LIMIT_PER_DESTINATION)
		cell += limit_hash(limit, packet, packet->destination) & limit->cell_mask;
	return bpf_map_lookup_elem(&cells, &cell);
}

static __always_inline bool limit_takes(const struct limit *limit, __u64 *cell, __u64 now,
					__u32 length)
{
	__u64 cost = (limit->by_length ? length : 1) * limit->ticks / limit->rate;
	__u64 due = *(volatile __u64 *)cell, seen;

#pragma clang loop unroll(disable)
	for (int i = 0; i < LIMIT_ATTEMPTS; i++) {
		if (due > now && due + cost - now > limit->burst)
			return false;
		seen = __sync_val_compare_and_swap(cell, due, (due > now ? due : now) + cost);
		if (seen == due)
			return true;
		due = seen;
	}
	/* Others were faster each time, so that the cell is in use: without looking, the rate stays
	 * exact, and the burst is exceeded by one packet at most for each CPU. */
	__sync_fetch_and_add(cell, cost);
	return true;
}

static __always_inline void count_in_slot(__u32 slot, __u32 length)
{
	struct tally *tally = bpf_map_lookup_elem(&rule_counts, &slot);

	if (tally)
		count(tally, length);
}

/*
 * Whether a packet is within a limit, which counts it if it is: what is over is counted like any
 * packet that a rule decides on, and here once more as dropped.
 */
__noinline int is_within(const struct packet *packet, __u32 number, __u64 now_ns)
{
	const struct limit *limit;
	__u64 *cell;

	/* Linux 6.1 verifies a global function that nobody calls. */
	if (!packet || !config.limiting)
		return 1;
	limit = bpf_map_lookup_elem(&limits, &number);
	if (!limit)
		return 1;
	cell = limit_cell(limit, packet);
	if (!cell || limit_takes(limit, cell, now_ns * LIMIT_TICKS_PER_NS, packet->length)) {
		count_in_slot(limit->slot, packet->length);
		return 1;
	}
	count_in_slot(limit->dropped_slot, packet->length);
	return 0;
}

#endif
