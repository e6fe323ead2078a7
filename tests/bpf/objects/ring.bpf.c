// SPDX-License-Identifier: GPL-2.0-only
/* Each run sends a number, one more than the last, and after it that many bytes. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct sample {
	__u64 number;
	__u8 bytes[256];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} samples SEC(".maps");

__u64 sent;
__u64 lost;
struct sample sample;

SEC("xdp")
int t_ring(struct xdp_md *ctx)
{
	__u64 length = sent % sizeof(sample.bytes);

	sample.number = sent;
	if (bpf_ringbuf_output(&samples, &sample, sizeof(sample.number) + length, 0))
		lost++;
	else
		sent++;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
