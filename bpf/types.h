/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the data plane and the controller both speak of. The controller reads every layout and every
 * name below from the BTF of the program it finds on the interface; nothing here is written twice.
 */
#ifndef XDPCTL_TYPES_H
#define XDPCTL_TYPES_H

#include <linux/bpf.h>

/* Rows 0 to 255 are the numbers of IANA's protocol registry; these follow them. */
enum protocol_row {
	PROTOCOL_ARP = 256,
	PROTOCOL_LLDP,
	PROTOCOL_MPLS,
	PROTOCOL_PPPOE,
	PROTOCOL_OTHER,
	PROTOCOL_MALFORMED,
	PROTOCOL_ROWS,
};

/* A verdict is the XDP action that the kernel is given. */
enum verdict {
	VERDICT_ABORTED = XDP_ABORTED,
	VERDICT_DROP = XDP_DROP,
	VERDICT_PASS = XDP_PASS,
	VERDICT_ROWS,
};

/* Why a packet is counted as malformed. "Short" is: the frame ends before the header does. */
enum malformed {
	MALFORMED_SHORT_ETHERNET,
	MALFORMED_SHORT_VLAN,
	MALFORMED_VLAN_DEPTH,
	MALFORMED_SHORT_IPV4,
	MALFORMED_SHORT_IPV6,
	MALFORMED_IP_VERSION,
	MALFORMED_IPV4_HEADER_LENGTH,
	MALFORMED_SHORT_EXTENSION,
	MALFORMED_EXTENSION_DEPTH,
	MALFORMED_SHORT_TRANSPORT, /* told with a ruleset only; its protocol is known all the same
				    */
	MALFORMED_ROWS,
	WELL_FORMED = MALFORMED_ROWS,
};

/* What made a packet be dropped. */
enum drop_reason {
	DROP_REASON_RULE,
	DROP_REASON_DEFAULT,
	DROP_REASON_MALFORMED,
	DROP_REASON_LIMIT,
	DROP_REASON_BAN,
	DROP_REASON_ROWS,
	NOT_DROPPED = DROP_REASON_ROWS,
};

/* Sizes are counted in steps of 64 bytes below 1,024 and by powers of two from there: row 16 is
 * 1,024 to 2,047 bytes and the last one is 65,536 and more. */
enum size_row {
	SIZE_STEP_BYTES = 64,
	SIZE_STEPS_END_BYTES = 1024,
	SIZE_STEP_ROWS = SIZE_STEPS_END_BYTES / SIZE_STEP_BYTES,
	SIZE_ROWS = SIZE_STEP_ROWS + 7,
};

struct tally {
	__u64 packets;
	__u64 bytes;
};

/* Takes no bytes: an enum is in the BTF, where the controller finds its names, only if a type of a
 * map mentions it. */
struct row_names {
	enum protocol_row protocols[0];
	enum verdict verdicts[0];
	enum drop_reason drop_reasons[0];
	enum malformed malformed[0];
	enum size_row sizes[0];
};

/* One per CPU, the only thing a packet writes to. */
struct counters {
	struct row_names names;
	struct tally protocols[PROTOCOL_ROWS];
	struct tally verdicts[VERDICT_ROWS];
	struct tally drop_reasons[DROP_REASON_ROWS];
	__u64 malformed[MALFORMED_ROWS];
	__u64 sizes[SIZE_ROWS];
};

#define LIMITS_MAX 64

/* Twice as many as rules, and as limits, which have one more for what they drop: the ruleset before
 * this one keeps its own. And the default's. */
#define RULE_SLOTS (2 * (4096 + LIMITS_MAX) + 1)

/* What becomes of the packets that a rule matches. */
struct rule {
	__u64 expires_ns;     /* on CLOCK_BOOTTIME; 0 is never */
	__u32 slot;	      /* in rule_counts */
	enum verdict verdict; /* of a limit: of what is over it */
	__u32 limit;	      /* 1 + its number in `limits`; 0 for a rule that is none */
	__u32 unused;
	struct tally baseline;	       /* for the controller: what the slot had counted before */
	struct tally dropped_baseline; /* and that of what a limit drops */
};

/* Times of limits are in sixteenths of a nanosecond on the data plane's clock: 2^64 of them are 36
 * years. */
#define LIMIT_TICKS_PER_NS 16

#define LIMIT_KEYS	   8

enum limit_per {
	LIMIT_PER_ALL,
	LIMIT_PER_SOURCE,
	LIMIT_PER_DESTINATION,
};

/* See limit.h. */
struct limit {
	__u64 keys[LIMIT_KEYS]; /* secret, of the hash of addresses */
	__u64 ticks;		/* `rate` packets, or bytes, take as long as this */
	__u64 rate;
	__u64 burst;	    /* in ticks: how far ahead a cell may be */
	__u64 ipv6_mask[2]; /* high and low half */
	__u32 ipv4_mask;
	__u32 first_cell;
	__u32 cell_mask; /* cells less one: they are a power of two */
	__u32 slot;	 /* in rule_counts: of what matches */
	__u32 dropped_slot;
	enum limit_per per;
	__u32 by_length; /* bytes are limited, and not packets */
	__u32 unused;
};

#define DEFAULT_SLOT 0
#define NO_SLOT	     RULE_SLOTS

/* What becomes of one packet, why, and which slot counts it. */
struct judgement {
	enum verdict verdict;
	enum drop_reason reason;
	__u32 slot;
};

/* Of a run of replayed packets, at most: a power of two. */
#define REPLAY_PACKETS 131072

/* The same as a replay wants it, one for each packet. */
struct judged {
	__u16 verdict;	 /* enum verdict; VERDICT_ROWS where the packet was not judged */
	__u16 reason;	 /* enum drop_reason */
	__u16 malformed; /* enum malformed */
	__u16 protocol;	 /* enum protocol_row */
	__u32 slot;
	__u32 length;
};

/* Rows one after the other. A row begins with its summary: bit i says whether word i of those that
 * follow has a bit set. Bit j of word i stands for rule 64 * i + j. */
struct rows {
	__u64 words[1];
};

struct class_tables {
	__u16 classes[1];
};

struct mac_classes {
	__u16 source;
	__u16 destination;
};

#define BANS_DEFAULT   262144
#define BAN_IPV6_WORDS 3  /* of lengths 0 to 128 */
#define BAN_TAG_BYTES  64 /* a zero at the end included */

/* A prefix; of IPv4 the upper half of `high` alone. Other bits than its own are zero. */
struct ban_key {
	__u64 high;
	__u64 low;
	__u32 version; /* 4 or 6 */
	__u32 length;
};

struct ban {
	__u64 expires_ns; /* on CLOCK_BOOTTIME; 0 is never */
	__u64 added_ns;	  /* on CLOCK_REALTIME */
	char tag[BAN_TAG_BYTES];
};

/* Of the bans that there are, and maybe of some that went: bit i of a word is for length i, 64 + i
 * and 128 + i. */
struct ban_index {
	__u64 any;
	__u64 ipv4;
	__u64 ipv6[BAN_IPV6_WORDS];
	__u64 earliest_ns; /* for the controller: before then none expires; 0 if none ever does */
};

/* Which members of struct packet are there, beside those that always are. */
enum present {
	HAS_MACS = 1 << 0,
	HAS_VLAN = 1 << 1, /* or is known to have none */
	HAS_ETHERTYPE = 1 << 2,
	HAS_IPV4 = 1 << 3, /* addresses, TTL and DSCP */
	HAS_IPV6 = 1 << 4,
	HAS_PROTOCOL = 1 << 5, /* and the fragment */
	HAS_PORTS = 1 << 6,
	HAS_FLAGS = 1 << 7,
	HAS_ICMP = 1 << 8,
};

#define SAMPLE_READERS 8 /* at a time; a power of two */

/* What is put into a reader's ring of one packet. */
struct sample {
	__u64 time_ns; /* on CLOCK_BOOTTIME */
	__u32 length;  /* of the frame */
	__u32 captured;
	__u32 generation; /* as struct config has it */
	__u32 slot;	  /* in rule_counts: of the rule, or default, that decided; or NO_SLOT */
	__u32 queue;
	__u32 cpu;
	__u16 protocol; /* enum protocol_row, and so on */
	__u8 verdict;
	__u8 reason;
	__u8 malformed;
	__u8 unused[3];
	__u8 data[0];
};

struct sample_prefix {
	__u64 network[2]; /* as in struct packet */
	__u64 mask[2];
};

/* What a packet must be at least; 0 in `asks` is no filter at all. */
struct sample_filter {
	__u32 asks; /* bits of enum present: these have to be there */
	__u8 some_protocol;
	__u8 protocol;
	__u16 source_port[2]; /* first and last */
	__u16 destination_port[2];
	__u16 unused;
	struct sample_prefix source;
	struct sample_prefix destination;
};

struct sample_reader {
	enum present present[0];
	struct sample samples[0]; /* takes no bytes: for the controller, as in struct row_names */
	__u64 lease_ns;		  /* on CLOCK_BOOTTIME: for how long it reads */
	__u64 owner;		  /* for the controller: who it is */
	__u32 one_in;
	__u32 bytes;	     /* of a frame, at most */
	__u32 verdicts;	     /* a bit for each that is wanted */
	__u32 reasons;	     /* the same of enum drop_reason, NOT_DROPPED included */
	__u32 slot;	     /* of a rule; NO_SLOT for all */
	__u32 asks_for_each; /* not all of them is all the same to it */
	struct sample_filter filter;
};

/* Of one CPU. */
struct sample_state {
	__u64 active;	 /* as in struct sampling when it was last looked at */
	__u32 let_by;	 /* packets, from one look to the next */
	__u32 to_let_by; /* what is left of them */
	__u64 lost[SAMPLE_READERS];
	__u32 gaps[SAMPLE_READERS]; /* packets to let by before the reader's next one */
};

struct sampling {
	__u64 active; /* a bit for each reader; those above them count how often one began */
};

#define LENGTH_MAX 65535 /* in bytes; what is longer counts as this long */

enum meta_format {
	META_MAGIC = 0x78647063, /* "xdpc" */
	META_SCHEMA_VERSION = 4,
};

/* What was kept of a ruleset: the ids of maps that are bound to the program, and how many bytes of
 * the first are a text. */
struct stored {
	__u32 text;
	__u32 ranges;
	__u32 rules;	  /* whose baselines are wanted again when a rule comes back */
	__u32 generation; /* as struct config has it */
	__u64 text_bytes;
};

/* What the controller wants to find again; the packet path never reads it. */
struct meta {
	enum meta_format magic;
	__u32 schema_version;
	__u64 attached_at_ns;  /* CLOCK_REALTIME */
	struct stored ruleset; /* its maps are 0 where there is none */
	struct stored previous;
	struct tally default_baseline;
};

#define STORED_BLOCK_BYTES 4096

struct stored_block {
	__u8 bytes[STORED_BLOCK_BYTES];
};

enum fragment {
	FRAGMENT_NO,
	FRAGMENT_FIRST,
	FRAGMENT_LATER,
};

#define VLAN_NONE 4096

/* What the parser found out about one packet. Numbers are in host byte order. */
struct packet {
	__u32 length; /* of the frame, all fragments of the buffer included */
	enum protocol_row protocol;
	enum malformed malformed;

	/* What only rules ask for. */
	__u32 present;	 /* bits of enum present */
	__u64 source[2]; /* high and low half; of IPv4 the high half alone */
	__u64 destination[2];
	__u64 source_mac; /* the first byte on the wire is the highest of the six */
	__u64 destination_mac;
	__u32 icmp; /* 1 << 16 for ICMPv6, type << 8, code */
	__u16 ethertype;
	__u16 vlan; /* of the outer tag, or VLAN_NONE */
	__u16 source_port;
	__u16 destination_port;
	__u8 ttl;
	__u8 dscp;
	__u8 tcp_flags;
	__u8 fragment; /* enum fragment */
	__u8 upper;    /* the upper-layer protocol */
};

#endif
