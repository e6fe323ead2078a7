/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The whole path of a packet: parse -> judge (malformed, bans, rules, default) -> account ->
 * sample, one exit that counts every packet exactly once by protocol and exactly once by verdict. A
 * bare counter passes everything that nobody has banned, malformed or not.
 */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "types.h"
#include "config.h"
#include "maps.h"
#include "replay.h"
#include "clock.h"
#include "parse.h"
#include "bans.h"
#include "account.h"
#include "limit.h"
#include "classify.h"
#include "sample.h"

static __always_inline struct judgement judge(const struct packet *packet, bool rules_present)
{
	const struct rule *rule = NULL;
	int number;

	if (packet->malformed != WELL_FORMED && config.drop_malformed)
		return (struct judgement){VERDICT_DROP, DROP_REASON_MALFORMED, NO_SLOT};
	if (is_banned(packet))
		return (struct judgement){VERDICT_DROP, DROP_REASON_BAN, NO_SLOT};
	if (!rules_present)
		return (struct judgement){VERDICT_PASS, NOT_DROPPED, NO_SLOT};
	number = classify(packet);
	if (number >= 0)
		rule = bpf_map_lookup_elem(&rules, &number);
	if (!rule)
		return config.drop_by_default
			       ? (struct judgement){VERDICT_DROP, DROP_REASON_DEFAULT, DEFAULT_SLOT}
			       : (struct judgement){VERDICT_PASS, NOT_DROPPED, DEFAULT_SLOT};
	if (config.limiting && rule->limit)
		return (struct judgement){rule->verdict, DROP_REASON_LIMIT, rule->slot};
	return (struct judgement){rule->verdict,
				  rule->verdict == VERDICT_DROP ? DROP_REASON_RULE : NOT_DROPPED,
				  rule->slot};
}

static __always_inline int handle(struct xdp_md *ctx, const bool rules_present)
{
	struct packet packet;
	struct judgement judgement;
	int verdict;

	parse(ctx, &packet, rules_present);
	judgement = judge(&packet, rules_present);
	verdict = account(&packet, &judgement, rules_present);
	sample_if_wanted(ctx, &packet, &judgement);
	if (config.replaying)
		record(&packet, &judgement, verdict);
	return verdict;
}

/* Compiled twice, with rules and without: the verifier removes the one that cannot be. */
SEC("xdp.frags")
int xdpctl(struct xdp_md *ctx)
{
	return config.rules ? handle(ctx, true) : handle(ctx, false);
}

char LICENSE[] SEC("license") = "GPL";
