/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Address tables: an IPv4 or IPv6 address to its class, 0 where no prefix covers it.
 *
 * A table is the one value of an array map: blocks of 64 bytes, the size of a cache line. It is
 * compiled by xdpctl/rules/addresses.py from the sorted addresses at which the class changes (the
 * boundaries), written through mmap and frozen. Block 0 holds the root; every other node has a
 * number, counted in half blocks. A value is a class, or ADDRESS_NODE and the number of a node.
 *
 *                        block 0
 *          +---------------------------------+   DIRECT: an array of values, indexed by how many
 *          | DIRECT base shift child limit   |   steps of 2^shift the address is from the base.
 *          +---------------|-----------------+   At most 2^20 values, 16 in a block.
 *                          v
 *     blocks of   | class | node | node | class | class | ...
 *                            |      |
 *               +------------+      +-----------------------+
 *               v half a block                              v
 *          +---------------------------------+   +-----------------------------------------------+
 *          | SMALL base classes[5] steps[3]  |   | LARGE base classes[13] steps[11]              |
 *          +---------------------------------+   +-----------------------------------------------+
 *          Leaves whose boundaries lie at most 15 bits of 2^shift apart: the first is the base,
 *          the others are steps from there. The rank of the address among them, counted
 *          four at a time and without a branch, chooses the class.
 *
 *          +---------------------------------+   SPARSE: a leaf of up to five boundaries anywhere.
 *          | SPARSE classes[6] lasts[5]      |   "Lasts" are the addresses before the boundaries.
 *          +---------------------------------+
 *          | INNER lasts[7] child            |   INNER: up to eight nodes, one block each, where
 *          +---------------------------------+   a slot of an array holds more than a leaf.
 *
 * An IPv6 address is looked up by its high half. Where boundaries lie inside of one /64, the class
 * of a leaf is a link (a bit of `meta` says which are): the node child + class is the root of a
 * tree of low halves, marked ADDRESS_LOW. Every node has its own base and shift, so a lone /64 or
 * /128 costs one node for its half however long the way there would be bit by bit.
 *
 * Depth. Usually three blocks are read: root, array, leaf (the array's is no node). At most three
 * DIRECT nodes follow each other. From there on each INNER node divides by eight, so with up to
 * 2^27 boundaries at most nine of them stand above a leaf: 13 nodes for IPv4 and 26 for IPv6, where
 * somebody lays the addresses out for it. The compiler says the depth of a table.
 */
#ifndef XDPCTL_ADDRESSES_H
#define XDPCTL_ADDRESSES_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_helpers.h>

enum address_kind {
	ADDRESS_DIRECT,
	ADDRESS_SMALL,
	ADDRESS_LARGE,
	ADDRESS_SPARSE,
	ADDRESS_INNER,
};

#define ADDRESS_NODE	   (1U << 31)
#define ADDRESS_DEPTH_IPV4 16
#define ADDRESS_DEPTH_IPV6 32

/* `meta` of a node: its kind, its half of an IPv6 address, the shift, a bit for each link. */
#define ADDRESS_KIND	 0x7
#define ADDRESS_LOW	 0x8
#define ADDRESS_SHIFT_AT 4
#define ADDRESS_LINKS_AT 10

/* The greatest distance from a base in steps; what is farther counts as this far. */
#define ADDRESS_STEP_MAX     0x7ffe

#define ADDRESS_BLOCK_VALUES 16

struct address_small {
	__u32 meta;
	__u32 child;
	__u64 base;
	union {
		__u16 classes[8]; /* five */
		struct {
			__u64 four_classes;
			__u64 steps; /* three, above the fifth class */
		};
	};
};

struct address_large {
	__u32 meta;
	__u32 child;
	__u64 base;
	union {
		__u16 classes[24]; /* 13 */
		struct {
			__u64 twelve_classes[3];
			__u64 steps[3]; /* eleven, above the thirteenth class */
		};
	};
};

struct address_sparse {
	__u32 meta;
	__u32 child;
	__u16 classes[8]; /* six */
	__u64 lasts[5];
};

struct address_inner {
	__u32 meta;
	__u32 child;
	__u64 lasts[7];
};

struct address_direct {
	__u32 meta;
	__u32 child;
	__u64 base;
	__u32 before; /* the value of what is less than the base */
	__u32 limit;  /* the last index */
	__u64 unused[5];
};

/* A DIRECT root once more, where the program has it at hand. */
struct address_root {
	__u64 base;
	__u32 child;
	__u32 before;
	__u32 limit;
	__u32 blocks; /* of the table */
	__u8 used;    /* the table is: without it each address has class 0 */
	__u8 direct;  /* or else the root is in block 0 alone */
	__u8 shift;
};

union address_block {
	struct address_direct direct;
	struct address_small small[2];
	struct address_large large;
	struct address_sparse sparse;
	struct address_inner inner;
	__u32 values[ADDRESS_BLOCK_VALUES];
};

/* Bit 15 of each lane: whether that one of four 15-bit numbers is at most `step`. */
#define ADDRESS_LANES	0x0001000100010001ULL
#define ADDRESS_CARRIES (ADDRESS_LANES << 15)

static __always_inline __u64 address_reached(__u64 numbers, __u64 step)
{
	return (((step * ADDRESS_LANES) | ADDRESS_CARRIES) - numbers) & ADDRESS_CARRIES;
}

/* The sum of four lanes below 2^16. */
static __always_inline __u32 address_sum(__u64 lanes)
{
	return (lanes * ADDRESS_LANES) >> 48;
}

/* 1 where a < b, without a branch, which would be mispredicted half of the time. */
static __always_inline __u32 address_less(__u64 a, __u64 b)
{
	return ((~a & b) | (~(a ^ b) & (a - b))) >> 63;
}

/* Steps from the base of a node, which is not beyond the address. */
static __always_inline __u64 address_step(const struct address_small *node, __u64 address)
{
	__u64 step = (address - node->base) >> (node->meta >> ADDRESS_SHIFT_AT & 63);

	return step > ADDRESS_STEP_MAX ? ADDRESS_STEP_MAX : step;
}

static __always_inline __u32 address_value(__u32 meta, __u32 child, __u32 class, __u32 rank)
{
	return meta >> ADDRESS_LINKS_AT >> rank & 1 ? ADDRESS_NODE | (child + class) * 2 : class;
}

/*
 * The lane with a class is cleared, or it could borrow from the next one; that lane is then always
 * reached and stands for the base.
 */
#define ADDRESS_STEPS (~0xffffULL)

static __always_inline __u32 address_in_small(const struct address_small *node, __u64 address)
{
	__u32 rank = 0;

	if (address >= node->base) {
		__u64 step = address_step(node, address);

		rank = address_sum(address_reached(node->steps & ADDRESS_STEPS, step) >> 15);
	}
	rank &= 7;
	return address_value(node->meta, node->child, node->classes[rank], rank);
}

static __always_inline __u32 address_in_large(const struct address_large *node, __u64 address)
{
	__u32 rank = 0;

	if (address >= node->base) {
		__u64 step = address_step((const void *)node, address);

		rank = address_sum((address_reached(node->steps[0] & ADDRESS_STEPS, step) >> 15) +
				   (address_reached(node->steps[1], step) >> 15) +
				   (address_reached(node->steps[2], step) >> 15));
	}
	rank &= 15;
	return address_value(node->meta, node->child, node->classes[rank], rank);
}

static __always_inline __u32 address_in_sparse(const struct address_sparse *node, __u64 address)
{
	__u32 rank = 0;

	for (int i = 0; i < 5; i++)
		rank += address_less(node->lasts[i], address);
	rank &= 7;
	return address_value(node->meta, node->child, node->classes[rank], rank);
}

static __always_inline __u32 address_in_inner(const struct address_inner *node, __u64 address)
{
	__u32 child = node->child;

	for (int i = 0; i < 7; i++)
		child += address_less(node->lasts[i], address);
	return ADDRESS_NODE | child * 2;
}

/* The blocks of a table, of which the program knows how many there are. */
struct address_table {
	const union address_block *blocks;
	const volatile struct address_root *root;
};

static __always_inline __u32 address_in_array(const struct address_table *table, __u32 first,
					      __u64 slot, __u32 limit)
{
	__u64 block;

	if (slot > limit)
		slot = limit;
	block = first + slot / ADDRESS_BLOCK_VALUES;
	return block < table->root->blocks
		       ? table->blocks[block].values[slot % ADDRESS_BLOCK_VALUES]
		       : 0;
}

static __always_inline __u32 address_in_direct(const struct address_table *table,
					       const struct address_direct *node, __u64 address)
{
	__u32 shift = node->meta >> ADDRESS_SHIFT_AT & 63;

	if (address < node->base)
		return node->before;
	return address_in_array(table, node->child, (address - node->base) >> shift, node->limit);
}

static __always_inline __u32 address_at_root(const struct address_table *table, __u64 address)
{
	const volatile struct address_root *root = table->root;
	__u64 base = root->base;

	if (!root->direct)
		return ADDRESS_NODE;
	if (address < base)
		return root->before;
	return address_in_array(table, root->child, (address - base) >> root->shift, root->limit);
}

static __always_inline const union address_block *
address_block_of(const struct address_table *table, __u32 value)
{
	__u64 block = (value & ~ADDRESS_NODE) / 2;

	return block < table->root->blocks ? &table->blocks[block] : NULL;
}

/* The value at a node that is a leaf or, of every other kind, the node once more. */
static __always_inline __u32 address_in_leaf(const union address_block *block, __u32 value,
					     __u64 address)
{
	const struct address_small *node = &block->small[value & 1];

	switch (node->meta & ADDRESS_KIND) {
	case ADDRESS_SMALL:
		return address_in_small(node, address);
	case ADDRESS_LARGE:
		return address_in_large(&block->large, address);
	case ADDRESS_SPARSE:
		return address_in_sparse(&block->sparse, address);
	}
	return value;
}

/* The value at a node of any kind; with a class it was a leaf. */
static __always_inline __u32 address_in_node(const struct address_table *table,
					     const union address_block *block, __u32 value,
					     __u64 address)
{
	const struct address_small *node = &block->small[value & 1];

	switch (node->meta & ADDRESS_KIND) {
	case ADDRESS_DIRECT:
		return address_in_direct(table, &block->direct, address);
	case ADDRESS_INNER:
		return address_in_inner(&block->inner, address);
	}
	return address_in_leaf(block, value, address);
}

/* The half that a node asks for. */
static __always_inline __u64 address_half(const union address_block *block, __u32 value, __u64 high,
					  __u64 low)
{
	return block->small[value & 1].meta & ADDRESS_LOW ? low : high;
}

/*
 * The class of an address, or a node from where address_walk() goes on: nearly all ways end here,
 * and need no call, which would take longer than what is done here. `high` is the high half of an
 * IPv6 address; an IPv4 address has no other. The root may be followed by a tree of low halves at
 * once, where its array has a slot for each /64.
 */
static __always_inline __u32 address_above(const struct address_table *table, __u64 high, __u64 low,
					   const bool halves)
{
	const union address_block *block;
	__u32 value = address_at_root(table, high);

	if (!(value & ADDRESS_NODE))
		return value;
	block = address_block_of(table, value);
	if (!block)
		return 0;
	value = address_in_node(table, block, value,
				halves ? address_half(block, value, high, low) : high);
	if (!(value & ADDRESS_NODE))
		return value;
	block = address_block_of(table, value);
	if (!block)
		return 0;
	return address_in_leaf(block, value, halves ? address_half(block, value, high, low) : high);
}

#define ADDRESS_STEPS_A_CALL 4

/* From a node on down, several steps. */
static __always_inline __u32 address_walk(const struct address_table *table, __u32 value,
					  __u64 high, __u64 low)
{
#pragma clang loop unroll(disable)
	for (int i = 0; i < ADDRESS_STEPS_A_CALL && value & ADDRESS_NODE; i++) {
		const union address_block *block = address_block_of(table, value);

		if (!block)
			return 0;
		value = address_in_node(table, block, value, address_half(block, value, high, low));
	}
	return value;
}

/*
 * An array map, all blocks in its one value, which is looked up once, and its root, both set before
 * load; and what looks an address up in it: in host byte order, or as halves in host byte order.
 * The walk is verified by itself, once, and not for each way to get there.
 *
 * Not BPF_F_RDONLY_PROG: of a frozen map of that kind the verifier takes what it reads for known.
 */
#define ADDRESS_LOOKUP(name)                                                                       \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
		__uint(map_flags, BPF_F_MMAPABLE);                                                 \
		__uint(max_entries, 1);                                                            \
		__uint(key_size, sizeof(__u32));                                                   \
		__uint(value_size, sizeof(union address_block));                                   \
	} name SEC(".maps");                                                                       \
	const volatile struct address_root name##_root;                                            \
	static __always_inline struct address_table name##_table(void)                             \
	{                                                                                          \
		__u32 only = 0;                                                                    \
                                                                                                   \
		return (struct address_table){bpf_map_lookup_elem(&name, &only), &name##_root};    \
	}                                                                                          \
	__noinline __u32 name##_walk(__u32 value, __u64 high, __u64 low)                           \
	{                                                                                          \
		struct address_table table = name##_table();                                       \
                                                                                                   \
		return table.blocks ? address_walk(&table, value, high, low) : 0;                  \
	}                                                                                          \
	static __always_inline __u16 name##_lookup(__u64 high, __u64 low, int depth,               \
						   const bool halves)                              \
	{                                                                                          \
		struct address_table table;                                                        \
		__u32 value;                                                                       \
                                                                                                   \
		if (!name##_root.used)                                                             \
			return 0;                                                                  \
		table = name##_table();                                                            \
		if (!table.blocks)                                                                 \
			return 0;                                                                  \
		value = address_above(&table, high, low, halves);                                  \
		_Pragma("clang loop unroll(disable)") while (depth > 0 && value & ADDRESS_NODE)    \
		{                                                                                  \
			value = name##_walk(value, high, low);                                     \
			depth -= ADDRESS_STEPS_A_CALL;                                             \
		}                                                                                  \
		return value;                                                                      \
	}

#define ADDRESS_TABLE_IPV4(name)                                                                   \
	ADDRESS_LOOKUP(name)                                                                       \
	static __always_inline __u16 name##_class(__u32 address)                                   \
	{                                                                                          \
		return name##_lookup(address, 0, ADDRESS_DEPTH_IPV4, false);                       \
	}

#define ADDRESS_TABLE_IPV6(name)                                                                   \
	ADDRESS_LOOKUP(name)                                                                       \
	static __always_inline __u16 name##_class(__u64 high, __u64 low)                           \
	{                                                                                          \
		return name##_lookup(high, low, ADDRESS_DEPTH_IPV6, true);                         \
	}

#endif
