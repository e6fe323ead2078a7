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

#include "config.h"
#include "frame.h"
#include "types.h"

#define VLAN_TAGS_MAX	    2
#define VLAN_ID_MASK	    0x0fff
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

/* Eight extension headers end before; the verifier wants to be told. */
#define OFFSET_MAX	    0x7fff

#define IPV6_OFFSET_MASK    0xfff8
#define IPV6_MORE_FRAGMENTS 0x0001
#define IPV4_OFFSET_MASK    0x1fff
#define IPV4_MORE_FRAGMENTS 0x2000

/* What TCP, UDP, UDP-Lite, SCTP and DCCP begin with. */
struct ports {
	__be16 source;
	__be16 destination;
};

#define TCP_FLAGS_AT 13 /* RFC 9293, 3.1 */

struct cursor {
	struct xdp_md *ctx;
	void *data;
	void *data_end;
	__u32 offset;
	__u32 length;
	__u32 present; /* bits of enum present, so far */
	bool asked; /* there are rules that ask for what a packet says: a constant when inlined */
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

static __always_inline __u64 mac_number(const __u8 *mac)
{
	__u64 number = 0;

	for (int i = 0; i < ETH_ALEN; i++)
		number = number << 8 | mac[i];
	return number;
}

/* The ethertype after the VLAN tags goes to *ethertype. */
static __always_inline enum malformed parse_ethernet(struct cursor *cursor, __be16 *ethertype,
						     struct packet *packet)
{
	struct ethhdr copy;
	const struct ethhdr *eth = peek(cursor, &copy, sizeof(copy));

	if (!eth)
		return MALFORMED_SHORT_ETHERNET;
	*ethertype = eth->h_proto;
	cursor->offset += sizeof(*eth);
	if (cursor->asked &&
	    (config.fields[FIELD_SRC_MAC].used || config.fields[FIELD_DST_MAC].used)) {
		packet->source_mac = mac_number(eth->h_source);
		packet->destination_mac = mac_number(eth->h_dest);
	}
	if (cursor->asked) {
		cursor->present = HAS_MACS;
		packet->vlan = VLAN_NONE;
	}

	for (int i = 0; i < VLAN_TAGS_MAX && is_vlan(*ethertype); i++) {
		struct vlan_header tag_copy;
		const struct vlan_header *tag = peek(cursor, &tag_copy, sizeof(tag_copy));

		if (!tag)
			return MALFORMED_SHORT_VLAN;
		if (cursor->asked && i == 0) {
			packet->vlan = bpf_ntohs(tag->tci) & VLAN_ID_MASK;
			cursor->present |= HAS_VLAN;
		}
		*ethertype = tag->ethertype;
		cursor->offset += sizeof(*tag);
	}
	if (is_vlan(*ethertype))
		return MALFORMED_VLAN_DEPTH;
	if (cursor->asked) {
		packet->ethertype = bpf_ntohs(*ethertype);
		cursor->present |= HAS_VLAN | HAS_ETHERTYPE;
	}
	return WELL_FORMED;
}

/* An atomic fragment, at offset 0 with no more to come, is none (RFC 6946). */
static __always_inline enum fragment fragment_of(__u32 offset, __u32 more)
{
	if (offset)
		return FRAGMENT_LATER;
	return more ? FRAGMENT_FIRST : FRAGMENT_NO;
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
	packet->source[0] = bpf_ntohl(ip->saddr);
	cursor->present |= HAS_IPV4;
	if (cursor->asked) {
		packet->destination[0] = bpf_ntohl(ip->daddr);
		packet->ttl = ip->ttl;
		packet->dscp = ip->tos >> 2;
		packet->fragment = fragment_of(bpf_ntohs(ip->frag_off) & IPV4_OFFSET_MASK,
					       bpf_ntohs(ip->frag_off) & IPV4_MORE_FRAGMENTS);
		packet->upper = ip->protocol;
		cursor->present |= HAS_PROTOCOL;
	}
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

/* What is found behind extension headers, in one number. */
#define WALKED(malformed, fragment, next_header, offset)                                           \
	((__u64)(offset) << 32 | (malformed) << 16 | (fragment) << 8 | (next_header))
#define WALKED_MALFORMED(walked)   ((enum malformed)((walked) >> 16 & 0xff))
#define WALKED_FRAGMENT(walked)	   ((walked) >> 8 & 0xff)
#define WALKED_NEXT_HEADER(walked) ((walked)&0xff)
#define WALKED_OFFSET(walked)	   ((walked) >> 32 & OFFSET_MAX)

/*
 * From the first extension header to what follows the last one. A global function is verified by
 * itself: once, and not once for each way to get here and on from here.
 */
__noinline __u64 walk_extensions(struct xdp_md *ctx, __u32 offset, __u32 next_header)
{
	struct cursor cursor = {
		.ctx = ctx,
		.data = (void *)(long)ctx->data,
		.data_end = (void *)(long)ctx->data_end,
		.offset = offset & OFFSET_MAX,
		.length = frame_length(ctx),
	};
	enum fragment fragment = FRAGMENT_NO;

	for (int i = 0; i < IPV6_EXTENSIONS_MAX && is_extension(next_header); i++) {
		struct ipv6_extension copy;
		const struct ipv6_extension *extension;
		__u8 type = next_header;
		__u32 length;

		if (cursor.offset > OFFSET_MAX)
			return WALKED(MALFORMED_SHORT_EXTENSION, 0, 0, 0);
		extension = peek(&cursor, &copy, sizeof(copy));
		if (!extension)
			return WALKED(MALFORMED_SHORT_EXTENSION, 0, 0, 0);
		length = extension_length(type, extension->length);
		if (cursor.offset + length > cursor.length)
			return WALKED(MALFORMED_SHORT_EXTENSION, 0, 0, 0);
		next_header = extension->next_header;
		cursor.offset += length;
		if (type == IPPROTO_FRAGMENT) {
			__u16 field = bpf_ntohs(extension->fragment_offset);

			/* Of several headers one that says more than "whole" decides. */
			if (field & (IPV6_OFFSET_MASK | IPV6_MORE_FRAGMENTS))
				fragment = fragment_of(field & IPV6_OFFSET_MASK,
						       field & IPV6_MORE_FRAGMENTS);
			/* What follows in a later one is payload, not a header. */
			if (field & IPV6_OFFSET_MASK)
				return WALKED(WELL_FORMED, fragment, next_header, cursor.offset);
		}
	}
	return WALKED(is_extension(next_header) ? MALFORMED_EXTENSION_DEPTH : WELL_FORMED, fragment,
		      next_header, cursor.offset);
}

static __always_inline void read_ipv6_address(const struct in6_addr *address, __u64 *halves)
{
	for (int i = 0; i < 2; i++)
		halves[i] = (__u64)bpf_ntohl(address->in6_u.u6_addr32[2 * i]) << 32 |
			    bpf_ntohl(address->in6_u.u6_addr32[2 * i + 1]);
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
	read_ipv6_address(&ip->saddr, packet->source);
	cursor->present |= HAS_IPV6;
	if (cursor->asked) {
		read_ipv6_address(&ip->daddr, packet->destination);
		packet->ttl = ip->hop_limit;
		packet->dscp = bpf_ntohs(*(const __be16 *)ip) >> 6 & 0x3f;
		packet->fragment = FRAGMENT_NO;
	}
	next_header = ip->nexthdr;
	cursor->offset += sizeof(*ip);
	if (is_extension(next_header)) {
		__u64 walked = walk_extensions(cursor->ctx, cursor->offset, next_header);

		if (WALKED_MALFORMED(walked) != WELL_FORMED)
			return WALKED_MALFORMED(walked);
		packet->fragment = WALKED_FRAGMENT(walked);
		next_header = WALKED_NEXT_HEADER(walked);
		cursor->offset = WALKED_OFFSET(walked);
	}
	packet->protocol = next_header;
	if (cursor->asked) {
		packet->upper = next_header;
		cursor->present |= HAS_PROTOCOL;
	}
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

/* What a transport header takes at least; 0 for what has no fields that rules ask for. */
static __always_inline __u32 transport_size(__u8 protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return 20;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return 8;
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		return 12;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return 4;
	}
	return 0;
}

/* Ports, flags, or type and code: as far as the bytes are there. */
static __always_inline enum malformed parse_transport(struct cursor *cursor, struct packet *packet)
{
	__u32 size = transport_size(packet->upper);
	struct ports ports_copy;
	const struct ports *ports;
	__u8 flags_copy[TCP_FLAGS_AT + 1];
	const __u8 *flags;

	if (!size || packet->fragment == FRAGMENT_LATER)
		return WELL_FORMED;
	if (size == 4) {
		__u8 message_copy[2];
		const __u8 *message = peek(cursor, message_copy, sizeof(message_copy));

		if (message) {
			packet->icmp = (packet->upper == IPPROTO_ICMPV6) << 16 | message[0] << 8 |
				       message[1];
			cursor->present |= HAS_ICMP;
		}
	} else {
		ports = peek(cursor, &ports_copy, sizeof(ports_copy));
		if (ports) {
			packet->source_port = bpf_ntohs(ports->source);
			packet->destination_port = bpf_ntohs(ports->destination);
			cursor->present |= HAS_PORTS;
		}
		if (config.fields[FIELD_FLAGS].used && packet->upper == IPPROTO_TCP) {
			flags = peek(cursor, flags_copy, sizeof(flags_copy));
			if (flags) {
				packet->tcp_flags = flags[TCP_FLAGS_AT];
				cursor->present |= HAS_FLAGS;
			}
		}
	}
	return cursor->offset + size > cursor->length ? MALFORMED_SHORT_TRANSPORT : WELL_FORMED;
}

static __always_inline void parse(struct xdp_md *ctx, struct packet *packet, bool asked)
{
	struct cursor cursor = {
		.ctx = ctx,
		.data = (void *)(long)ctx->data,
		.data_end = (void *)(long)ctx->data_end,
		.length = frame_length(ctx),
		.asked = asked,
	};
	__be16 ethertype = 0;

	packet->length = cursor.length;
	packet->malformed = parse_ethernet(&cursor, &ethertype, packet);
	if (packet->malformed == WELL_FORMED)
		packet->malformed = parse_network(&cursor, ethertype, packet);
	/* Let no value of the parsers' live on in a register: where a header was malformed clang
	 * moves one that was never set to the stack, which the verifier refuses. */
	asm volatile("" : : "r"(packet) : "memory");
	if (packet->malformed != WELL_FORMED)
		packet->protocol = PROTOCOL_MALFORMED;
	else if (asked && cursor.present & HAS_PROTOCOL)
		packet->malformed = parse_transport(&cursor, packet);
	packet->present = cursor.present;
}

#endif
