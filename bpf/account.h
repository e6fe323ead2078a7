/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef XDPCTL_ACCOUNT_H
#define XDPCTL_ACCOUNT_H

#include "maps.h"

static __always_inline void count(struct tally *tally, __u32 length)
{
	tally->packets++;
	tally->bytes += length;
}

static __always_inline __u32 size_row(__u32 length)
{
	__u32 row = SIZE_STEP_ROWS;

	if (length < SIZE_STEPS_END_BYTES)
		return length / SIZE_STEP_BYTES;
	for (__u32 end = 2 * SIZE_STEPS_END_BYTES; length >= end && row < SIZE_ROWS - 1; end *= 2)
		row++;
	return row;
}

/*
 * The packet once in its protocol's row, once in its verdict's, once in its size's. XDP runs with
 * softirqs off, so that a CPU's own counters need no atomic operation.
 */
static __always_inline int account(const struct packet *packet, enum verdict verdict)
{
	__u32 only = 0, length = packet->length;
	struct counters *mine = bpf_map_lookup_elem(&counters, &only);

	/* None of these can be; the verifier wants them said. */
	if (!mine || packet->protocol >= PROTOCOL_ROWS || verdict >= VERDICT_ROWS)
		return XDP_ABORTED;

	count(&mine->protocols[packet->protocol], length);
	count(&mine->verdicts[verdict], length);
	mine->sizes[size_row(length)]++;
	if (packet->malformed < MALFORMED_ROWS)
		mine->malformed[packet->malformed]++;
	return verdict;
}

#endif
