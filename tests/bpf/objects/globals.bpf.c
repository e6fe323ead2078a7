// SPDX-License-Identifier: GPL-2.0-only
/* Global variables of all kinds of sections. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define MODE_TX	    7
#define MODE_BROKEN 13

struct point {
	__s16 x;
	__u64 y;
};

const volatile __u32 mode;
const volatile char label[8] = "abc";
const volatile struct point origin = {.x = -2, .y = 0xFFFFFFFFFFFFFFFF};

__s32 verdict = XDP_PASS;
struct point step = {.x = 3, .y = 5};

__u64 hits;
struct point last;
static volatile __u32 hidden;

SEC("xdp")
int t_globals(struct xdp_md *ctx)
{
	hits++;
	hidden++;
	last.x += step.x;
	last.y += step.y;
	if (mode == MODE_TX)
		return XDP_TX;
	/* The verifier refuses a read of address 13, unless it knows that it is never reached. */
	if (mode == MODE_BROKEN)
		return *(volatile __u32 *)(long)mode;
	return verdict;
}

char LICENSE[] SEC("license") = "GPL";
