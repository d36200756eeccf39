/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shim.h -- from a BPF program to a file descriptor with its rows
 *
 * Call open, configure, load, attach and create in this order. The library decides nothing about queries, formats or messages. A
 * function that returns an int returns a negative errno when it fails; when the function takes a handle, task_iter_error() then
 * returns a line that names the step. A NULL handle or a call out of order gives -EINVAL.
 */
#ifndef TASK_ITER_SHIM_H
#define TASK_ITER_SHIM_H

#include <linux/types.h>

#define EXPORT __attribute__((visibility("default")))

struct task_iter;

/* The layout of struct query that this library was built with: version << 16 | sizeof(struct query). */
EXPORT __u32 task_iter_version(void);

/*
 * Returns a handle for the program in the `size` bytes of a file: TABLE.FORMAT.light for light.so, TABLE.FORMAT.bounded.bpf.o for
 * libbpf.so. The function uses the bytes during this call only, and returns NULL only when memory is short. When the bytes are
 * not such a file, configure fails and the handle's error says so.
 */
EXPORT struct task_iter *task_iter_open(const void *program, __u32 size);

/*
 * The constant query, a struct query of exactly `size` bytes. With `verbose`, a log level of bpf(2), load leaves the verifier's
 * log: 1 all of it, 4 its last line. */
EXPORT int task_iter_configure(struct task_iter *it, const void *query, __u32 size, __u32 verbose);

/* Loads the program into the kernel. Configure the handle before. A handle is loaded once, even when the load fails. */
EXPORT int task_iter_load(struct task_iter *it);

/*
 * Begins the load in a thread of its own; task_iter_load() then waits for its end. Until then nothing but load and free may be called
 * with the handle. As many loads run at once as there are processors; others wait for their turn.
 */
EXPORT int task_iter_begin(struct task_iter *it);

/*
 * Attaches the program to its iterator; a second call replaces the link. pid or tid (0: none) narrow the walk: -E2BIG
 * before Linux 6.1. map_id (0: none) is the map whose elements are read.
 */
EXPORT int task_iter_attach(struct task_iter *it, __u32 pid, __u32 tid, __u32 map_id);

/* The same for the tree of control groups; a parent comes before its children. */
EXPORT int task_iter_attach_cgroups(struct task_iter *it);

/* Returns a new file descriptor that reads the table once; close it with task_iter_close(). Counting starts at zero. */
EXPORT int task_iter_create(struct task_iter *it);

/* The same, but counting goes on. Where a walk ended early (cgroups, unix), the program skips the rows that were shown. */
EXPORT int task_iter_resume(struct task_iter *it);

/*
 * A full program's object may have more than the walk of its table, which is STAGE_DUMP: a walk that runs before a pass, and an
 * iterators over the object's maps `groups` and `changes` that run after the pass. Returns a file descriptor as task_iter_create() does, and
 * counting goes on; -EINVAL where the object has no such program.
 */
enum { STAGE_DUMP, STAGE_PREPARE, STAGE_FINISH, STAGE_GONE, STAGES };
EXPORT int task_iter_stage(struct task_iter *it, __u32 stage);

/* read(2) and close(2) for a descriptor of create: Deno's functions accept only descriptors that Deno opened. */
EXPORT int task_iter_read(struct task_iter *it, int fd, void *buffer, __u32 size);
EXPORT int task_iter_close(int fd);

/*
 * Writes all bytes, with as many write(2) calls as needed; waits when a non-blocking descriptor is full. Also returns -EBADF for
 * a standard descriptor that an exec would close: a runtime opens /dev/null so where the user closed a standard descriptor.
 */
EXPORT int task_iter_write(struct task_iter *it, int fd, const void *bytes, __u32 size);

/* task_iter_create() and task_iter_resume() for the network namespace of an open descriptor. Afterwards the calling thread is in its own namespace again. */
EXPORT int task_iter_create_in(struct task_iter *it, __u32 netns);
EXPORT int task_iter_resume_in(struct task_iter *it, __u32 netns);

/*
 * Writes a variable of the loaded program, which a full program reads as data: bytes that are too many for the constant query. -EINVAL
 * where the program has no such variable, or too small a one. The automaton is rows of AUTOMATON_ROW bytes, one for each state.
 */
#define AUTOMATON_ROW 512
enum { FILL_AUTOMATON, FILL_SHAPE, FILL_NAMES, FILLS };
EXPORT int task_iter_fill(struct task_iter *it, __u32 variable, const void *bytes, __u32 size);

/* Begins the next pass, and sets the time in jsonl rows, and members that follow the time: JSON text of fewer than STAMP_SIZE bytes. */
EXPORT int task_iter_stamp(struct task_iter *it, const char *text);

/*
 * Writes the number of elements walked to out[0], of rows to out[1], of rows that the map `changes` had no room for to out[2], and of
 * rows in that map which the pass has not met to out[3]: after the walk these are gone, and STAGE_GONE writes them. out[4] is 1 when
 * the program ended the walk before its end: task_iter_resume() goes on.
 */
EXPORT int task_iter_progress(struct task_iter *it, __u64 out[5]);

/* Returns how many entries the maps `owners` and `texts` had no room for in the last run of STAGE_PREPARE. */
EXPORT int task_iter_lost(struct task_iter *it);

/* Pins the attached link as a file in a BPF file system. */
EXPORT int task_iter_pin(struct task_iter *it, const char *path);

/* Returns the bytes of the loaded program's instructions after verification (xlated_len). */
EXPORT int task_iter_program_size(struct task_iter *it);

/* Returns one line about the last failure, and the log of a verbose load; "" without either. Valid until the next call. */
EXPORT const char *task_iter_error(struct task_iter *it);
EXPORT const char *task_iter_log(struct task_iter *it);

/*
 * Copies the BTF of a map, cut to `size`, and writes to out[] the map's type, the IDs of its key's and value's types, and their
 * sizes in bytes. Returns the length of the BTF; 0 for a map without one.
 */
EXPORT int task_iter_map_btf(__u32 map_id, __u32 out[5], void *btf, __u32 size);

/*
 * Copies the description of the query pinned at `path`, cut to `size`. Returns its length; 0 when something else is pinned there.
 * A query has a description when its pool ends with DESCRIPTION and a text.
 */
#define DESCRIPTION "#!task-iter "
EXPORT int task_iter_pinned(const char *path, char *out, __u32 size);

/* Makes SIGINT, SIGTERM and SIGHUP end waits, not the process. */
EXPORT int task_iter_interrupts(struct task_iter *it);

/*
 * Waits until `bytes` can be written to `fd` at once and whole (0: nothing is to be written), until nobody reads it any more,
 * until a signal comes, or for `us` microseconds. One of WAIT_*, and above its 8 bits the number of the signal that has come so
 * far. A signal that came between two waits ends the second at once; after a wait has told of the signal, later ones are about `fd`
 * only.
 */
enum { WAIT_NOTHING, WAIT_WRITABLE, WAIT_GONE };
EXPORT int task_iter_wait(struct task_iter *it, int fd, __u32 bytes, int us);

EXPORT void task_iter_free(struct task_iter *it);

#endif
