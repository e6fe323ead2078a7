/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a packet to the first rule that matches it, by tables and bit rows.
 *
 * Each field becomes a small class: what no rule tells apart is one class. A class has a row of
 * bits, one for each rule that it satisfies; the AND of the rows of all fields has a bit for each
 * rule that matches. A row has up to 64 words of 64 rules and a summary word that says which of
 * them are not zero: the AND of the summaries says where to look, in the order of the rules.
 *
 *   source ------> set row | own row --+
 *   destination -> set row | own row --+
 *   port --------> class --+           +-- AND --> summary --> words --> the first bit
 *   protocol ----> class --+-> row ----+
 *   ...                    group
 *
 * The scheme is that of Recursive Flow Classification (Gupta and McKeown, SIGCOMM 1999) and of
 * aggregated bit vectors (Baboescu and Varghese, SIGCOMM 2001).
 */
#ifndef XDPCTL_CLASSIFY_H
#define XDPCTL_CLASSIFY_H

#include "addresses.h"
#include "bits.h"
#include "clock.h"
#include "config.h"
#include "limit.h"
#include "maps.h"

#define NO_RULE	     -1
#define LOOK_ON	     -2

#define WORDS_A_CALL 8

/* Rows in the order in which they are ANDed; those of an address are ORed first. */
enum search_row {
	ROW_SOURCE_SETS,
	ROW_SOURCE_OWN,
	ROW_DESTINATION_SETS,
	ROW_DESTINATION_OWN,
	ROW_GROUPS,
	ROWS_MAX = ROW_GROUPS + GROUPS_MAX,
};

struct search {
	__u64 summary;	      /* of the words still to be looked at */
	__u64 now_ns;	      /* 0 until somebody has asked */
	__u32 rows[ROWS_MAX]; /* the place of the summary in `rows` */
};

/* Unrolled, so that the verifier leaves those out that the ruleset does not have. */
#define FOR_GROUPS(i)                                                                              \
	_Pragma("clang loop unroll(full)") for (__u32 i = 0; i < GROUPS_MAX;                       \
						i++) if (i < config.groups)

static __always_inline __u32 class_at(const struct class_tables *in, __u32 place)
{
	return place < config.table_values ? in->classes[place] : 0;
}

/* Fields of a packet on the way to the rows of their groups: what will be the rows are indexes
 * before, since the stack is short. */
struct grouping {
	const struct class_tables *tables;
	__u32 *indexes; /* GROUPS_MAX */
};

static __always_inline void add_class(struct grouping *to, enum field field, __u32 class)
{
	to->indexes[config.fields[field].group % GROUPS_MAX] += class;
}

/* A field that is absent has class 0, and adds nothing. */
static __always_inline void add_field(struct grouping *to, enum field field, bool present,
				      __u32 value)
{
	if (config.fields[field].used && present)
		add_class(to, field, class_at(to->tables, config.fields[field].table + value));
}

static __always_inline void add_mac(struct grouping *to, enum field field, __u64 mac)
{
	struct mac_classes *found;

	if (!config.fields[field].used)
		return;
	found = bpf_map_lookup_elem(&macs, &mac);
	add_class(to, field,
		  !found		   ? config.fields[field].unlisted
		  : field == FIELD_SRC_MAC ? found->source
					   : found->destination);
}

static __always_inline __u32 row_at(__u32 number)
{
	return number * (1 + config.words);
}

static __always_inline void address_rows(const struct packet *packet, const __u64 *address,
					 const volatile struct address_config *of, __u32 *set_row,
					 __u32 *own_row)
{
	if (packet->present & HAS_IPV4) {
		if (of->sets)
			*set_row = row_at(of->set_rows[0] + sets_ipv4_class(address[0]));
		if (of->own)
			*own_row = row_at(of->own_rows[0] + own_ipv4_class(address[0]));
	} else if (packet->present & HAS_IPV6) {
		if (of->sets)
			*set_row =
				row_at(of->set_rows[1] + sets_ipv6_class(address[0], address[1]));
		if (of->own)
			*own_row = row_at(of->own_rows[1] + own_ipv6_class(address[0], address[1]));
	} else {
		*set_row = *own_row = row_at(of->absent_row);
	}
}

static __always_inline void group_rows(const struct packet *packet, __u32 *rows)
{
	__u32 present = packet->present;
	struct grouping to = {.indexes = rows};
	__u32 only = 0;

	to.tables = bpf_map_lookup_elem(&tables, &only);
	if (!to.tables)
		return;
	FOR_GROUPS(i)
	to.indexes[i] = 0;
	if (config.asks_transport) {
		add_field(&to, FIELD_PROTO, present & HAS_PROTOCOL, packet->upper);
		add_field(&to, FIELD_SPORT, present & HAS_PORTS, packet->source_port);
		add_field(&to, FIELD_DPORT, present & HAS_PORTS, packet->destination_port);
		if (config.asks_more) {
			add_field(&to, FIELD_FLAGS, present & HAS_FLAGS, packet->tcp_flags);
			add_field(&to, FIELD_ICMP, present & HAS_ICMP, packet->icmp);
		}
	}
	if (config.asks_network) {
		add_field(&to, FIELD_TTL, present & (HAS_IPV4 | HAS_IPV6), packet->ttl);
		add_field(&to, FIELD_DSCP, present & (HAS_IPV4 | HAS_IPV6), packet->dscp);
		add_field(&to, FIELD_FRAGMENT, present & HAS_PROTOCOL, packet->fragment);
	}
	if (config.asks_link) {
		add_field(&to, FIELD_LENGTH, true,
			  packet->length < LENGTH_MAX ? packet->length : LENGTH_MAX);
		add_field(&to, FIELD_VLAN, present & HAS_VLAN, packet->vlan);
		add_field(&to, FIELD_ETHERTYPE, present & HAS_ETHERTYPE, packet->ethertype);
		if (present & HAS_MACS) {
			add_mac(&to, FIELD_SRC_MAC, packet->source_mac);
			add_mac(&to, FIELD_DST_MAC, packet->destination_mac);
		}
	}
	FOR_GROUPS(i)
	{
		__u32 row = to.indexes[i];

		if (config.group[i].joint)
			row = class_at(to.tables, config.group[i].table + row);
		rows[i] = row_at(config.group[i].rows + row);
	}
}

static __always_inline __u64 row_word(const struct rows *in, __u32 row, __u32 at)
{
	__u32 place = row + at;

	return place < config.row_words ? in->words[place] : 0;
}

/* Word `at` of the rows, ANDed: a rule for each bit; at 0 the summary. */
static __always_inline __u64 matching(const struct search *search, __u32 at)
{
	const struct rows *in;
	__u64 word = ~0ULL;
	__u32 only = 0;

	in = bpf_map_lookup_elem(&rows, &only);
	if (!in)
		return 0;
	if (config.source.sets && config.source.own)
		word &= row_word(in, search->rows[ROW_SOURCE_SETS], at) |
			row_word(in, search->rows[ROW_SOURCE_OWN], at);
	else if (config.source.sets)
		word &= row_word(in, search->rows[ROW_SOURCE_SETS], at);
	else if (config.source.own)
		word &= row_word(in, search->rows[ROW_SOURCE_OWN], at);
	if (config.destination.sets && config.destination.own)
		word &= row_word(in, search->rows[ROW_DESTINATION_SETS], at) |
			row_word(in, search->rows[ROW_DESTINATION_OWN], at);
	else if (config.destination.sets)
		word &= row_word(in, search->rows[ROW_DESTINATION_SETS], at);
	else if (config.destination.own)
		word &= row_word(in, search->rows[ROW_DESTINATION_OWN], at);
	FOR_GROUPS(i)
	word &= row_word(in, search->rows[ROW_GROUPS + i], at);
	return word;
}

static __always_inline void begin_search(const struct packet *packet, struct search *search)
{
	if (config.source.sets || config.source.own)
		address_rows(packet, packet->source, &config.source, &search->rows[ROW_SOURCE_SETS],
			     &search->rows[ROW_SOURCE_OWN]);
	if (config.destination.sets || config.destination.own)
		address_rows(packet, packet->destination, &config.destination,
			     &search->rows[ROW_DESTINATION_SETS],
			     &search->rows[ROW_DESTINATION_OWN]);
	group_rows(packet, &search->rows[ROW_GROUPS]);
	search->summary = matching(search, 0);
	search->now_ns = 0;
}

static __always_inline __u64 search_ns(struct search *search)
{
	if (!search->now_ns)
		search->now_ns = clock_ns();
	return search->now_ns;
}

/* A rule that has expired, or a limit that the packet is within. */
static __always_inline bool is_passed_over(const struct packet *packet, struct search *search,
					   __u32 number)
{
	const struct rule *rule = bpf_map_lookup_elem(&rules, &number);

	if (!rule)
		return false;
	if (config.expiring && rule->expires_ns && rule->expires_ns <= search_ns(search))
		return true;
	return config.limiting && rule->limit &&
	       is_within(packet, rule->limit - 1, search_ns(search));
}

/* The first rule of the next word that matches and is not passed over: LOOK_ON where there is none
 * in that word, NO_RULE after the last. Rules are passed over here and not by the loop around it:
 * for 568 of those the verifier would have too many jumps to remember (8,192). */
static __always_inline int next_match(const struct packet *packet, struct search *search)
{
	__u64 word;
	__u32 at, number;

	if (!search->summary)
		return NO_RULE;
	at = lowest_bit(search->summary) & (config.words - 1);
	search->summary &= search->summary - 1;
	word = matching(search, 1 + at);
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < 64 && word; i++) {
		number = at * 64 + lowest_bit(word);
		if ((!config.expiring && !config.limiting) ||
		    !is_passed_over(packet, search, number))
			return number;
		word &= word - 1;
	}
	return LOOK_ON;
}

/* The first word is looked into where the search begins, the others by a function, several at a
 * call of it: a call and its return cost as much as looking into one. */
__noinline int another_match(const struct packet *packet, struct search *search)
{
	int number = LOOK_ON;

	if (!packet || !search)
		return NO_RULE;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < WORDS_A_CALL && number == LOOK_ON; i++)
		number = next_match(packet, search);
	return number;
}

/*
 * The number of the rule that decides on a packet, or less than 0. Global functions are verified by
 * themselves: this one once, and not once for each way through the headers; and a step of the
 * search once, and not as often as it is repeated.
 */
__noinline int classify(const struct packet *packet)
{
	struct search search;
	int number;

	if (!packet || !config.steps)
		return NO_RULE;
	begin_search(packet, &search);
	number = next_match(packet, &search);
#pragma clang loop unroll(disable)
	for (__u32 step = 1; step < config.steps && number == LOOK_ON; step++)
		number = another_match(packet, &search);
	return number;
}

#endif
