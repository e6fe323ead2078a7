// SPDX-License-Identifier: GPL-2.0-only
/* A value of every shape that C and BTF know, given as a constant and to be compared with it. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

enum color { RED, GREEN = 5, BLUE = 0x7FFFFFFF };
enum level { LOW = -3, HIGH = 4 };

struct inner {
	__u8 tag;
	__u32 count;
};

typedef struct inner inner_t;

struct shape {
	__u8 u8;
	__s8 s8;
	__u16 u16;
	__s16 s16;
	__u32 u32;
	__s32 s32;
	__u64 u64;
	__s64 s64;
	_Bool yes;
	_Bool no;
	char text[5];
	__u8 address[16];
	struct inner inner;
	const inner_t pair[2];
	__u16 matrix[2][3];
	union {
		__u32 v4;
		__u8 v6[16];
	};
	struct {
		__u16 left;
		__u16 right;
	};
	union {
		struct {
			__u8 low;
			__u8 high;
		} bytes;
		__u16 word;
	} both;
	enum color color;
	enum level level;
	void *pointer;
	unsigned __int128 wide;
	__int128 signed_wide;
	float single;
	double twice;
	struct {
		__u32 low : 3;
		__s32 middle : 5;
		__u32 rest : 24;
		__u64 large : 40;
		_Bool flag : 1;
		__u16 whole;
	} bits;
};

struct shape filled = {
	.u8 = 0xFF,
	.s8 = -128,
	.u16 = 0xFFFE,
	.s16 = -2,
	.u32 = 0xFFFFFFFD,
	.s32 = -2147483647 - 1,
	.u64 = 0xFFFFFFFFFFFFFFFF,
	.s64 = -9223372036854775807LL - 1,
	.yes = 1,
	.text = "hello",
	.address = {0x20, 0x01, 0x0d, 0xb8, [15] = 1},
	.inner = {.tag = 1, .count = 2},
	.pair = {{.tag = 3, .count = 4}, {.tag = 5, .count = 6}},
	.matrix = {{1, 2, 3}, {4, 5, 6}},
	.v6 = {1, 2, 3, 4, 5, [15] = 16},
	.left = 7,
	.right = 8,
	.both = {.word = 0x0201},
	.color = BLUE,
	.level = LOW,
	.pointer = (void *)0xFFFF888000001000,
	.wide = ((unsigned __int128)0x0123456789ABCDEF << 64) | 0xFEDCBA9876543210,
	.signed_wide = -2,
	.single = 1.5f,
	.twice = -0.1,
	.bits = {.low = 5,
		 .middle = -16,
		 .rest = 0xABCDEF,
		 .large = 0xFEDCBA9876,
		 .flag = 1,
		 .whole = 0xBEEF},
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct shape);
} shapes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, struct inner);
	__type(value, enum level);
} levels SEC(".maps");

/* Element 0 becomes what `filled` is. */
SEC("xdp")
int t_fill(struct xdp_md *ctx)
{
	__u32 index = 0;
	struct shape *shape = bpf_map_lookup_elem(&shapes, &index);

	if (!shape)
		return -1;
	__builtin_memcpy(shape, &filled, sizeof(filled));
	return 0;
}

/* How many 8 bytes of element 1 are not those of `filled`. */
SEC("xdp")
int t_compare(struct xdp_md *ctx)
{
	__u32 index = 1;
	__u64 *shape = bpf_map_lookup_elem(&shapes, &index);
	volatile __u64 *expected = (void *)&filled;
	int differing = 0;

	if (!shape)
		return -1;
	for (int i = 0; i < (int)(sizeof(filled) / 8); i++)
		differing += shape[i] != expected[i];
	return differing;
}

/* What `levels` has under {9, 1000}, or 0. */
SEC("xdp")
int t_level(struct xdp_md *ctx)
{
	struct inner key = {};
	enum level *level;

	key.tag = 9;
	key.count = 1000;
	level = bpf_map_lookup_elem(&levels, &key);
	return level ? *level : 0;
}

char LICENSE[] SEC("license") = "GPL";
