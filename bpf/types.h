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
	MALFORMED_ROWS,
	WELL_FORMED = MALFORMED_ROWS,
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
	enum malformed malformed[0];
	enum size_row sizes[0];
};

/* One per CPU, the only thing a packet writes to. */
struct counters {
	struct row_names names;
	struct tally protocols[PROTOCOL_ROWS];
	struct tally verdicts[VERDICT_ROWS];
	__u64 malformed[MALFORMED_ROWS];
	__u64 sizes[SIZE_ROWS];
};

enum meta_format {
	META_MAGIC = 0x78647063, /* "xdpc" */
	META_SCHEMA_VERSION = 1,
};

/* What the controller wants to find again; the packet path never reads it. */
struct meta {
	enum meta_format magic;
	__u32 schema_version;
	__u64 attached_at_ns; /* CLOCK_REALTIME */
};

/* What the parser found out about one packet. */
struct packet {
	__u32 length; /* of the frame, all fragments of the buffer included */
	enum protocol_row protocol;
	enum malformed malformed;
};

#endif
