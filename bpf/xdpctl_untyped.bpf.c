/* SPDX-License-Identifier: GPL-2.0-only */
/* The same for a kernel that does not tell its types (CONFIG_DEBUG_INFO_BTF), which frame.h asks
 * for: the length of each frame takes a call there. */
#define KERNEL_TELLS_NO_TYPES

#include "xdpctl.bpf.c"
