/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef XDPCTL_MAPS_H
#define XDPCTL_MAPS_H

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

#endif
