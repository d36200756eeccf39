/* SPDX-License-Identifier: BSD-2-Clause */
/* internal.h -- what shim.c and the two ways of loading share: light.c (a light skeleton) and libbpf.c (before Linux 5.17) */
#ifndef TASK_ITER_INTERNAL_H
#define TASK_ITER_INTERNAL_H

#include "shim.h"
#include "../bpf/engine/query.h"

#define LOG_SIZE (16u << 20)

struct task_iter {
	void *object;			/* the loader's own: a skeleton or a bpf_object */
	struct query *query;		/* .rodata, writable until loaded */
	struct progress *progress;	/* .bss, once loaded */
	int prog_fd, link_fd;		/* -1: not yet */
	int configured;
	int spent;			/* loading was tried: there is no second time, and the query may be read-only */
	char *log;			/* LOG_SIZE bytes, or NULL when nobody asked */
	__u32 log_level;
	char error[512];
};

/* Leaves "STEP: what errno means" as the handle's error, where there is a handle; -error. */
int fail(struct task_iter *it, const char *step, int error);

/* Fills object and query, or returns a negative errno. */
int loader_open(struct task_iter *it, const char *program);
/* Fills prog_fd and progress, or returns a negative errno. */
int loader_load(struct task_iter *it);
void loader_free(struct task_iter *it);

#endif
