/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How long a frame is, all its fragments included. bpf_xdp_get_buff_len() knows. But where the
 * kernel guards returns (spec_rstack_overflow), a call takes as long as half of the parser, and few
 * frames have fragments. Whether this one does, the kernel's own context says without a call, from
 * Linux 6.2 on.
 */
#ifndef XDPCTL_FRAME_H
#define XDPCTL_FRAME_H

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#ifdef KERNEL_TELLS_NO_TYPES

static __always_inline __u32 frame_length(struct xdp_md *ctx)
{
	return bpf_xdp_get_buff_len(ctx);
}

#else

/* Of the kernel's types what is needed here: libbpf finds them without the ___ours, and puts the
 * kernel's own offsets and values in the place of these. */
struct xdp_buff___ours {
	__u32 flags;
} __attribute__((preserve_access_index));

enum xdp_buff_flags___ours {
	XDP_FLAGS_HAS_FRAGS___ours = 1,
};

enum special_kfunc_type___ours {
	KF_bpf_cast_to_kern_ctx___ours = 1,
};

void *bpf_cast_to_kern_ctx(void *ctx) __ksym __weak;

static __always_inline __u32 frame_length(struct xdp_md *ctx)
{
	const struct xdp_buff___ours *kernels;

	if (!bpf_core_enum_value_exists(enum special_kfunc_type___ours,
					KF_bpf_cast_to_kern_ctx___ours))
		return bpf_xdp_get_buff_len(ctx);
	kernels = bpf_cast_to_kern_ctx(ctx);
	if (kernels->flags &
	    bpf_core_enum_value(enum xdp_buff_flags___ours, XDP_FLAGS_HAS_FRAGS___ours))
		return bpf_xdp_get_buff_len(ctx);
	return (__u32)(ctx->data_end - ctx->data);
}

#endif

#endif
