/* SPDX-License-Identifier: BSD-2-Clause */
/* internal.h -- shared by shim.c and the two loaders: light.c (a loader program) and libbpf.c (before Linux 5.17) */
#ifndef TASK_ITER_INTERNAL_H
#define TASK_ITER_INTERNAL_H

#include "shim.h"
#include <stddef.h>
#include "../bpf/engine/query.h"

#define LOG_SIZE (16u << 20)
#define LAYOUT (QUERY_VERSION << 16 | (__u32)sizeof(struct query))

/*
 * A program file, TABLE.FORMAT.light, begins with this, in the byte order of both architectures. The loader's instructions, the
 * loader's data and the initial value of .rodata follow, each of the size given here.
 */
struct image {
	__u32 magic, layout;
	__u32 maps;			/* number of the program's maps; the next two fields are indexes of maps */
	__u32 rodata, bss;
	__u32 query, progress;		/* offsets in .rodata and .bss */
	__u32 insns_size, data_size, rodata_size, bss_size;
	__u32 unused;			/* the next part begins at a multiple of 8 */
};

#define IMAGE_MAGIC 0x72746974	/* "titr" */
#define IMAGE_MAX_MAPS 64

struct task_iter {
	void *object;			/* for the loader only: a struct light or a bpf_object */
	struct query *query;		/* .rodata, writable until loaded */
	struct progress *progress;	/* .bss, once loaded */
	int prog_fd, link_fd;		/* -1: not yet */
	int configured;
	int spent;			/* a load was tried: a second try is refused, and the query may be read-only */
	char *log;			/* LOG_SIZE bytes, or NULL without a verbose load */
	__u32 log_level;
	char error[512];
};

/* Returns -error. Writes "STEP: the text of errno" as the error of a handle that is not NULL. */
int fail(struct task_iter *it, const char *step, int error);

/* Fills object and query from a copy of the bytes; or returns a negative errno and leaves object NULL. */
int loader_open(struct task_iter *it, const void *bytes, size_t length);
/* Fills prog_fd and progress, or returns a negative errno. */
int loader_load(struct task_iter *it);
void loader_free(struct task_iter *it);

#endif
