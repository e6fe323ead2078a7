// SPDX-License-Identifier: GPL-2.0-only
/* Tells of each program that a process starts. Only one of the two is loaded: see hello.py. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct event {
	__u32 pid;
	char comm[16];
	char filename[236];
};

/* For its type, which this way gets into the object's BTF, where Python reads its layout. */
struct event *type_of_events;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

/* As in /sys/kernel/tracing/events/sched/sched_process_exec/format. */
struct sched_process_exec {
	__u64 common;
	__u32 filename; /* __data_loc: the offset from here in the lower half */
};

/* As in /sys/kernel/tracing/events/syscalls/sys_enter_execve/format. */
struct sys_enter_execve {
	__u64 common;
	__u64 number;
	const char *filename;
};

static __always_inline struct event *begin(void)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (event) {
		event->pid = bpf_get_current_pid_tgid() >> 32;
		bpf_get_current_comm(event->comm, sizeof(event->comm));
	}
	return event;
}

/* Of attempts that fail, too; the name is the caller's. */
SEC("tracepoint/syscalls/sys_enter_execve")
int enter_execve(const struct sys_enter_execve *ctx)
{
	struct event *event = begin();

	if (event) {
		bpf_probe_read_user_str(event->filename, sizeof(event->filename), ctx->filename);
		bpf_ringbuf_submit(event, 0);
	}
	return 0;
}

/* Second choice, for kernels without tracepoints of system calls (CONFIG_FTRACE_SYSCALLS). */
SEC("tracepoint/sched/sched_process_exec")
int process_exec(const struct sched_process_exec *ctx)
{
	const void *filename = (const void *)ctx + (ctx->filename & 0xffff);
	struct event *event = begin();

	if (event) {
		bpf_probe_read_kernel_str(event->filename, sizeof(event->filename), filename);
		bpf_ringbuf_submit(event, 0);
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
