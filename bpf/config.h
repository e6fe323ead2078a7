/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a ruleset makes of the program: constants that the controller sets between open and load,
 * so that the verifier removes every branch that the ruleset does not use.
 */
#ifndef XDPCTL_CONFIG_H
#define XDPCTL_CONFIG_H

#include "types.h"

/* The fields of a rule that are looked up as a number; addresses have tables of their own. */
enum field {
	FIELD_PROTO,
	FIELD_SPORT,
	FIELD_DPORT,
	FIELD_FLAGS,
	FIELD_ICMP,
	FIELD_LENGTH,
	FIELD_TTL,
	FIELD_DSCP,
	FIELD_VLAN,
	FIELD_ETHERTYPE,
	FIELD_SRC_MAC,
	FIELD_DST_MAC,
	FIELD_FRAGMENT,
	FIELDS,
};

#define GROUPS_MAX 16 /* a power of two */

/* From a field's value to what its class adds to the index of a group. */
struct field_config {
	__u32 table;	/* the place of value 0 in `tables` */
	__u16 unlisted; /* what a MAC address adds that no rule names */
	__u8 used;
	__u8 group;
};

/* Fields whose classes together choose one row. */
struct group_config {
	__u32 table; /* the place of the row's number for index 0 in `tables`, where it is `joint`
		      */
	__u32 rows;  /* the group's first row in `rows` */
	__u8 joint;  /* or else the index is the row's number */
};

/* One address of a packet. The rows of a class are those of the named sets that hold the address,
 * or those of what is written in rules; a rule matches by either. */
struct address_config {
	__u8 sets;
	__u8 own;
	__u32 set_rows[2]; /* the first row; of IPv4, of IPv6 */
	__u32 own_rows[2];
	__u32 absent_row; /* of a packet that is not IP */
};

struct config {
	enum field names[0]; /* takes no bytes: for the controller, as in struct row_names */
	__u8 rules;	     /* there is a ruleset: packets are judged, and not only counted */
	__u8 drop_malformed;
	__u8 drop_by_default;
	__u8 expiring;	     /* a rule has an end, behind which the search goes on */
	__u8 asks_transport; /* a rule asks for protocol, ports, or more of what IP carries */
	__u8 asks_more;	     /* TCP flags, ICMP messages */
	__u8 asks_network;   /* TTL, DSCP, fragment */
	__u8 asks_link;	     /* length, VLAN, ethertype, MAC addresses */
	__u8 limiting;	     /* a rule limits, and lets the search go on with what is within */
	__u8 injected_clock; /* in test runs: it is what `clock` says, and does not go by itself */
	__u8 replaying;	     /* in test runs: what is judged is recorded, packet by packet */
	__u32 generation;    /* says whose slots a sample speaks of; 0 without a ruleset */
	__u32 words;	     /* of 64 rules, in a row; a power of two up to 64 */
	__u32 steps;	     /* of the search, at most: the words, if there are rules */
	__u32 groups;
	__u32 table_values; /* in `tables` */
	__u32 row_words;    /* in `rows` */
	struct address_config source;
	struct address_config destination;
	struct field_config fields[FIELDS];
	struct group_config group[GROUPS_MAX];
};

const volatile struct config config = {.words = 1};

#endif
