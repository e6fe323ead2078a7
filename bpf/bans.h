/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Source addresses that are banned for a while: the fast lane, a map update and no compiling. They
 * are decided on before the rules, and expire here, with no process of ours running.
 *
 * One hash holds prefixes of any length; `ban_index` says which lengths there are, so that a packet
 * is looked up once for each length in use, and without any ban costs the look at the index.
 */
#ifndef XDPCTL_BANS_H
#define XDPCTL_BANS_H

#include "bits.h"
#include "clock.h"
#include "maps.h"

static __always_inline void count_hit(const struct ban_key *key, __u32 bytes)
{
	struct tally *hits = bpf_map_lookup_elem(&ban_hits, key);

	if (!hits) {
		const struct tally none = {};

		bpf_map_update_elem(&ban_hits, key, &none, BPF_NOEXIST);
		hits = bpf_map_lookup_elem(&ban_hits, key);
	}
	if (hits) { /* all CPUs count here: it is only of what gets dropped */
		__sync_fetch_and_add(&hits->packets, 1);
		__sync_fetch_and_add(&hits->bytes, bytes);
	}
}

/* The first bits of a number, less than 64 of them. */
static __always_inline __u64 first_bits(__u64 number, __u32 count)
{
	return count ? number & ~0ULL << (64 - count & 63) : 0;
}

/* Whether the prefix of this length is banned; then `bytes` are counted for it. An IPv4 address is
 * the upper half of `high`. */
__noinline int is_prefix_banned(const struct ban_key *address, __u32 length, __u32 bytes)
{
	struct ban_key key = {};
	const struct ban *ban;

	if (!address)
		return 0;
	key.version = address->version;
	key.length = length;
	key.high = length < 64 ? first_bits(address->high, length) : address->high;
	if (length > 64)
		key.low = length < 128 ? first_bits(address->low, length - 64) : address->low;
	ban = bpf_map_lookup_elem(&bans, &key);
	if (!ban || (ban->expires_ns && ban->expires_ns <= clock_ns()))
		return 0;
	count_hit(&key, bytes);
	return 1;
}

/* Whether that of any length is: the lengths in use of 64 at a time. */
__noinline int is_any_prefix_banned(const struct ban_key *address, __u64 lengths, __u32 first,
				    __u32 bytes)
{
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < 64 && lengths; i++) {
		if (is_prefix_banned(address, first + lowest_bit(lengths), bytes))
			return 1;
		lengths &= lengths - 1;
	}
	return 0;
}

/* While nobody is banned this costs one load, and what follows is not even prepared for. */
static __always_inline bool is_banned(const struct packet *packet)
{
	if (!ban_index.any)
		return false;
	if (packet->present & HAS_IPV4) {
		const struct ban_key address = {.version = 4, .high = packet->source[0] << 32};

		return is_any_prefix_banned(&address, ban_index.ipv4, 0, packet->length);
	}
	if (packet->present & HAS_IPV6) {
		const struct ban_key address = {
			.version = 6, .high = packet->source[0], .low = packet->source[1]};

		for (__u32 i = 0; i < BAN_IPV6_WORDS; i++)
			if (ban_index.ipv6[i] && is_any_prefix_banned(&address, ban_index.ipv6[i],
								      64 * i, packet->length))
				return true;
	}
	return false;
}

#endif
