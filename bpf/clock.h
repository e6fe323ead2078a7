/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The clock that expiry and limits go by: CLOCK_BOOTTIME, which goes on while the machine sleeps,
 * or in test runs what the controller says that it is.
 */
#ifndef XDPCTL_CLOCK_H
#define XDPCTL_CLOCK_H

#include "config.h"
#include "replay.h"

/* In nanoseconds. */
static __always_inline __u64 clock_ns(void)
{
	__u32 only = 0;
	__u64 *injected;

	if (!config.injected_clock)
		return bpf_ktime_get_boot_ns();
	injected = bpf_map_lookup_elem(&clock, &only);
	return injected ? *injected : 0;
}

#endif
