/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef XDPCTL_MAPS_H
#define XDPCTL_MAPS_H

#include "addresses.h"
#include "types.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
} counters SEC(".maps");

/* No code refers to it: the controller binds it to the program (BPF_PROG_BIND_MAP), so that it
 * lives as long as the program and is found from it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct meta);
} meta SEC(".maps");

/* Bans. What they hit is outside of what a new expiry replaces; it comes with the first packet. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BANS_DEFAULT);
	__type(key, struct ban_key);
	__type(value, struct ban);
} bans SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BANS_DEFAULT);
	__type(key, struct ban_key);
	__type(value, struct tally);
} ban_hits SEC(".maps");

/* What each packet looks at is a variable, which takes a load and no lookup. Each has a section,
 * and so a map, of its own, for the controller replaces whole values. */
struct ban_index ban_index SEC(".data.ban_index");

/* Whoever samples; sample.h. */
struct sampling sampling SEC(".data.sampling");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SAMPLE_READERS);
	__type(key, __u32);
	__type(value, struct sample_reader);
} sample_readers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sample_state);
} sample_state SEC(".maps");

/* Each reader brings its own, of a size that it likes. */
struct sample_ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SAMPLE_READERS);
	__type(key, __u32);
	__array(values, struct sample_ring);
} sample_rings SEC(".maps");

/* What follows is there with a ruleset only; it is compiled by xdpctl/rules/compiler.py. */

/* By slot; a rule keeps its slot from one ruleset to the next for as long as it keeps its name. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, RULE_SLOTS);
	__type(key, __u32);
	__type(value, struct tally);
} rule_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct rule);
} rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct limit);
} limits SEC(".maps");

/* The theoretical arrival times of all limits, one limit's after the other's. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} cells SEC(".maps");

/* All rows in one value, which is looked up once. Its size is set before load. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct rows));
} rows SEC(".maps");

/* Classes of values, and numbers of rows: all tables in one value, like the rows. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct class_tables));
} tables SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct mac_classes);
} macs SEC(".maps");

/* What the controller keeps of a ruleset; like `meta`, bound and not referred to. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stored_block);
} text SEC(".maps"), ranges SEC(".maps");

/* Addresses of named sets, and those that are written in rules. */
ADDRESS_TABLE_IPV4(sets_ipv4)
ADDRESS_TABLE_IPV6(sets_ipv6)
ADDRESS_TABLE_IPV4(own_ipv4)
ADDRESS_TABLE_IPV6(own_ipv6)

#endif
