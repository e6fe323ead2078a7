/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The whole path of a packet: parse -> account, with one exit that counts every packet exactly once
 * by protocol and exactly once by verdict. A bare counter passes everything, malformed or not.
 */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "types.h"
#include "maps.h"
#include "parse.h"
#include "account.h"

SEC("xdp.frags")
int xdpctl(struct xdp_md *ctx)
{
	struct packet packet;
	enum verdict verdict = VERDICT_PASS;

	parse(ctx, &packet);
	return account(&packet, verdict);
}

char LICENSE[] SEC("license") = "GPL";
