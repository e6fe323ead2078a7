/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From the first byte of the frame to its upper-layer protocol. A cursor walks the packet; each
 * header's parser asks it for the header's bytes, checks them, and moves it on. The bytes that are
 * there decide: length fields are not enforced, because Ethernet pads short frames.
 */
#ifndef XDPCTL_PARSE_H
#define XDPCTL_PARSE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include "types.h"

#define VLAN_TAGS_MAX	    2
#define IPV6_EXTENSIONS_MAX 8

struct vlan_header {
	__be16 tci;
	__be16 ethertype;
};

/* What hop-by-hop, routing, fragment, AH and destination options have in common (RFC 8200, 4). */
struct ipv6_extension {
	__u8 next_header;
	__u8 length;
	__be16 fragment_offset; /* of the fragment header alone (RFC 8200, 4.5) */
	__be32 unused;
};

#define IPV6_FRAGMENT_OFFSET_MASK bpf_htons(0xfff8)

struct cursor {
	struct xdp_md *ctx;
	void *data;
	void *data_end;
	__u32 offset;
	__u32 length;
};

/*
 * The next `size` bytes, or NULL where the frame is shorter. A driver may keep any part of a frame,
 * even its headers, outside the linear area: those are copied into `copy`.
 */
static __always_inline const void *peek(const struct cursor *cursor, void *copy, __u32 size)
{
	const void *header = cursor->data + cursor->offset;

	if (header + size <= cursor->data_end)
		return header;
	if (cursor->offset + size > cursor->length)
		return NULL;
	if (bpf_xdp_load_bytes(cursor->ctx, cursor->offset, copy, size))
		return NULL;
	return copy;
}

static __always_inline bool is_vlan(__be16 ethertype)
{
	return ethertype == bpf_htons(ETH_P_8021Q) || ethertype == bpf_htons(ETH_P_8021AD);
}

/* The ethertype after the VLAN tags goes to *ethertype. */
static __always_inline enum malformed parse_ethernet(struct cursor *cursor, __be16 *ethertype)
{
	struct ethhdr copy;
	const struct ethhdr *eth = peek(cursor, &copy, sizeof(copy));

	if (!eth)
		return MALFORMED_SHORT_ETHERNET;
	*ethertype = eth->h_proto;
	cursor->offset += sizeof(*eth);

	for (int i = 0; i < VLAN_TAGS_MAX && is_vlan(*ethertype); i++) {
		struct vlan_header tag_copy;
		const struct vlan_header *tag = peek(cursor, &tag_copy, sizeof(tag_copy));

		if (!tag)
			return MALFORMED_SHORT_VLAN;
		*ethertype = tag->ethertype;
		cursor->offset += sizeof(*tag);
	}
	return is_vlan(*ethertype) ? MALFORMED_VLAN_DEPTH : WELL_FORMED;
}

static __always_inline enum malformed parse_ipv4(struct cursor *cursor, struct packet *packet)
{
	struct iphdr copy;
	const struct iphdr *ip = peek(cursor, &copy, sizeof(copy));
	__u32 header_length;

	if (!ip)
		return MALFORMED_SHORT_IPV4;
	if (ip->version != 4)
		return MALFORMED_IP_VERSION;
	header_length = ip->ihl * 4;
	if (header_length < sizeof(*ip))
		return MALFORMED_IPV4_HEADER_LENGTH;
	if (cursor->offset + header_length > cursor->length)
		return MALFORMED_SHORT_IPV4;
	packet->protocol = ip->protocol;
	cursor->offset += header_length;
	return WELL_FORMED;
}

/* The headers that the kernel's own ipv6_ext_hdr() walks over. */
static __always_inline bool is_extension(__u8 next_header)
{
	return next_header == IPPROTO_HOPOPTS || next_header == IPPROTO_ROUTING ||
	       next_header == IPPROTO_FRAGMENT || next_header == IPPROTO_AH ||
	       next_header == IPPROTO_DSTOPTS;
}

static __always_inline __u32 extension_length(__u8 type, __u8 length)
{
	if (type == IPPROTO_FRAGMENT)
		return 8;
	if (type == IPPROTO_AH)
		return (length + 2) * 4; /* RFC 4302, 2.2 */
	return (length + 1) * 8;
}

static __always_inline enum malformed parse_ipv6(struct cursor *cursor, struct packet *packet)
{
	struct ipv6hdr copy;
	const struct ipv6hdr *ip = peek(cursor, &copy, sizeof(copy));
	__u8 next_header;

	if (!ip)
		return MALFORMED_SHORT_IPV6;
	if (ip->version != 6)
		return MALFORMED_IP_VERSION;
	next_header = ip->nexthdr;
	cursor->offset += sizeof(*ip);

	for (int i = 0; i < IPV6_EXTENSIONS_MAX && is_extension(next_header); i++) {
		struct ipv6_extension extension_copy;
		const struct ipv6_extension *extension =
			peek(cursor, &extension_copy, sizeof(extension_copy));
		__u8 type = next_header;
		__u32 length;

		if (!extension)
			return MALFORMED_SHORT_EXTENSION;
		length = extension_length(type, extension->length);
		if (cursor->offset + length > cursor->length)
			return MALFORMED_SHORT_EXTENSION;
		next_header = extension->next_header;
		cursor->offset += length;
		if (type == IPPROTO_FRAGMENT &&
		    extension->fragment_offset & IPV6_FRAGMENT_OFFSET_MASK) {
			/* A later fragment: what follows is payload, not a header. */
			packet->protocol = next_header;
			return WELL_FORMED;
		}
	}
	if (is_extension(next_header))
		return MALFORMED_EXTENSION_DEPTH;
	packet->protocol = next_header;
	return WELL_FORMED;
}

static __always_inline enum malformed parse_network(struct cursor *cursor, __be16 ethertype,
						    struct packet *packet)
{
	switch (bpf_ntohs(ethertype)) {
	case ETH_P_IP:
		return parse_ipv4(cursor, packet);
	case ETH_P_IPV6:
		return parse_ipv6(cursor, packet);
	case ETH_P_ARP:
		packet->protocol = PROTOCOL_ARP;
		break;
	case ETH_P_LLDP:
		packet->protocol = PROTOCOL_LLDP;
		break;
	case ETH_P_MPLS_UC:
	case ETH_P_MPLS_MC:
		packet->protocol = PROTOCOL_MPLS;
		break;
	case ETH_P_PPP_DISC:
	case ETH_P_PPP_SES:
		packet->protocol = PROTOCOL_PPPOE;
		break;
	default:
		packet->protocol = PROTOCOL_OTHER;
	}
	return WELL_FORMED;
}

static __always_inline void parse(struct xdp_md *ctx, struct packet *packet)
{
	struct cursor cursor = {
		.ctx = ctx,
		.data = (void *)(long)ctx->data,
		.data_end = (void *)(long)ctx->data_end,
		.length = bpf_xdp_get_buff_len(ctx),
	};
	__be16 ethertype = 0;

	packet->length = cursor.length;
	packet->malformed = parse_ethernet(&cursor, &ethertype);
	if (packet->malformed == WELL_FORMED)
		packet->malformed = parse_network(&cursor, ethertype, packet);
	if (packet->malformed != WELL_FORMED)
		packet->protocol = PROTOCOL_MALFORMED;
}

#endif
