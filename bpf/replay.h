/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a replay shares with the program that it puts packets through, and what that one then
 * records. On an interface none of it is there: `config.replaying` is a constant.
 */
#ifndef XDPCTL_REPLAY_H
#define XDPCTL_REPLAY_H

#include "types.h"

/* The time of test runs, in ns. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} clock SEC(".maps");

/* How many packets of a run have been begun, the one under judgement included. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} begun SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, REPLAY_PACKETS);
	__type(key, __u32);
	__type(value, struct judged);
} judged SEC(".maps");

static __always_inline struct judged *judged_now(void)
{
	__u32 only = 0, *count = bpf_map_lookup_elem(&begun, &only);
	__u32 place;

	if (!count)
		return NULL;
	place = *count - 1;
	return bpf_map_lookup_elem(&judged, &place);
}

static __always_inline void record(const struct packet *packet, const struct judgement *judgement,
				   int verdict)
{
	struct judged *mine = judged_now();

	if (!mine)
		return;
	mine->verdict = verdict;
	mine->reason = judgement->reason;
	mine->malformed = packet->malformed;
	mine->protocol = packet->protocol;
	mine->slot = judgement->slot;
	mine->length = packet->length;
}

#endif
