/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef XDPCTL_ACCOUNT_H
#define XDPCTL_ACCOUNT_H

#include "config.h"
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
 * The packet once in its protocol's row, once in its verdict's, once in its size's, and where there
 * is a ruleset once in the slot of the rule, or of the default, that decided. XDP runs with
 * softirqs off, so that a CPU's own counters need no atomic operation.
 */
static __always_inline int account(const struct packet *packet, const struct judgement *judgement,
				   bool judged)
{
	__u32 only = 0, length = packet->length, slot = judgement->slot;
	struct counters *mine = bpf_map_lookup_elem(&counters, &only);
	struct tally *of_rule;

	/* None of these can be; the verifier wants them said. */
	if (!mine || packet->protocol >= PROTOCOL_ROWS || judgement->verdict >= VERDICT_ROWS)
		return XDP_ABORTED;

	count(&mine->protocols[packet->protocol], length);
	count(&mine->verdicts[judgement->verdict], length);
	mine->sizes[size_row(length)]++;
	if (packet->malformed < MALFORMED_ROWS)
		mine->malformed[packet->malformed]++;
	if (judgement->reason < DROP_REASON_ROWS)
		count(&mine->drop_reasons[judgement->reason], length);
	if (judged) {
		of_rule = bpf_map_lookup_elem(&rule_counts, &slot);
		if (of_rule)
			count(of_rule, length);
	}
	return judgement->verdict;
}

#endif
