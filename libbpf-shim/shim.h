/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shim.h -- from a BPF program to a file descriptor with its rows
 *
 * Call open, configure, load, attach and create in this order. Policy, formats and text are elsewhere. A function that returns
 * an int returns a negative errno when it fails; one that takes a handle also leaves a line that names the step, which
 * task_iter_error() returns. A NULL handle, or a call out of order, is -EINVAL and no crash.
 */
#ifndef TASK_ITER_SHIM_H
#define TASK_ITER_SHIM_H

#include <linux/types.h>

#define EXPORT __attribute__((visibility("default")))

struct task_iter;

/* The layout of struct query that this library was built with: version << 16 | sizeof(struct query). */
EXPORT __u32 task_iter_version(void);

/*
 * A handle for the program whose file the `size` bytes are: TABLE.FORMAT.light for light.so, TABLE.FORMAT.bounded.bpf.o for libbpf.so.
 * The bytes are used during this call only. NULL only without memory. When the bytes are no such file, configure fails and the handle's
 * error says so.
 */
EXPORT struct task_iter *task_iter_open(const void *program, __u32 size);

/*
 * The constant query, a struct query of exactly `size` bytes. With `verbose`, a log level of bpf(2), load leaves the verifier's
 * log: 1 all of it, 4 its last line. */
EXPORT int task_iter_configure(struct task_iter *it, const void *query, __u32 size, __u32 verbose);

/* Into the kernel, past the verifier. A handle is loaded once, whatever comes of it; configure it before. */
EXPORT int task_iter_load(struct task_iter *it);

/*
 * Ties the program to its table; again with other arguments replaces the link. pid or tid (0: none) narrow the walk: -E2BIG
 * before Linux 6.1. map_id (0: none) is the map whose elements are read.
 */
EXPORT int task_iter_attach(struct task_iter *it, __u32 pid, __u32 tid, __u32 map_id);

/* The same for the tree of control groups, each before those below it. */
EXPORT int task_iter_attach_cgroups(struct task_iter *it);

/* A new file descriptor that reads the table once; task_iter_close() ends it. Counting starts anew. */
EXPORT int task_iter_create(struct task_iter *it);

/* The same, but counting goes on: where the kernel ended a walk before its end (cgroups), a program passes over what was shown. */
EXPORT int task_iter_resume(struct task_iter *it);

/* read(2) and close(2) of what create returned: Deno's own know only descriptors that it opened itself. */
EXPORT int task_iter_read(struct task_iter *it, int fd, void *buffer, __u32 size);
EXPORT int task_iter_close(int fd);

/*
 * write(2) of all of it, however little it takes at a time; waits where a descriptor that does not block is full. -EBADF also
 * for a standard descriptor that an exec would close: a runtime puts one of /dev/null where the user left none.
 */
EXPORT int task_iter_write(struct task_iter *it, int fd, const void *bytes, __u32 size);

/* The same for another network namespace, an open descriptor of it; the calling thread is back in its own afterwards. */
EXPORT int task_iter_create_in(struct task_iter *it, __u32 netns);

/* The time that jsonl rows carry, JSON text of at most 63 bytes. */
EXPORT int task_iter_stamp(struct task_iter *it, const char *text);

/* Elements walked, rows among them: out[0], out[1]. */
EXPORT int task_iter_progress(struct task_iter *it, __u64 out[2]);

/* The attached link as a file in bpffs. */
EXPORT int task_iter_pin(struct task_iter *it, const char *path);

/* The size in bytes of the loaded program's instructions after verification (xlated_len). */
EXPORT int task_iter_program_size(struct task_iter *it);

/* One line about the last failure, and the log of a verbose load; "" when there is none. Valid until the next call. */
EXPORT const char *task_iter_error(struct task_iter *it);
EXPORT const char *task_iter_log(struct task_iter *it);

/*
 * The description of the query that is pinned at `path`, cut to `size`; its length, 0 when something else is pinned there. A
 * query has one when its pool ends with DESCRIPTION and a text.
 */
#define DESCRIPTION "#!task-iter "
EXPORT int task_iter_pinned(const char *path, char *out, __u32 size);

/* From now on SIGINT, SIGTERM and SIGHUP end waits, not the process. */
EXPORT int task_iter_interrupts(struct task_iter *it);

/*
 * Waits until `bytes` can be written to `fd` at once and whole (0: nothing is to be written), until nobody reads it any more,
 * until a signal comes, or for `us` microseconds. One of WAIT_*, and above its 8 bits the number of the signal that has come so
 * far: a wait that starts after the signal is about `fd` only.
 */
enum { WAIT_NOTHING, WAIT_WRITABLE, WAIT_GONE };
EXPORT int task_iter_wait(struct task_iter *it, int fd, __u32 bytes, int us);

EXPORT void task_iter_free(struct task_iter *it);

#endif
