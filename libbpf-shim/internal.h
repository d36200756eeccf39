/* SPDX-License-Identifier: BSD-2-Clause */
/* internal.h -- shared by shim.c and the two loaders: light.c (a loader program) and libbpf.c (before Linux 5.17) */
#ifndef TASK_ITER_INTERNAL_H
#define TASK_ITER_INTERNAL_H

#include "shim.h"
#include <linux/bpf.h>
#include <pthread.h>
#include <stddef.h>
#include "../bpf/engine/query.h"

#define LOG_SIZE (16u << 20)
#define LAYOUT (QUERY_VERSION << 16 | (__u32)sizeof(struct query))

/* The programs of an object, in the order of enum stage, and the maps whose size a query chooses. */
#define STAGE_NAMES { "dump", "prepare", "finish", "gone" }
enum { GROUPS, OWNERS, AUTOMATON, DISTINCT, CHANGES, SEEN, TEXTS, SIZED_MAPS };
#define SIZED_NAMES { "groups", "owners", "automaton", "distinct", "changes", "seen", "texts" }

/* The variables in .bss that task_iter_fill() writes, in the order of FILL_*; the automaton is a map. */
#define FILL_NAMED { "", "shape", "names" }

struct place {
	__u32 at, size;			/* in .bss; a size of 0 where the object has no such variable */
};

/* How many entries the map has room for. */
static inline __u32 max_entries(const struct query *query, int map)
{
	const __u32 sizes[SIZED_MAPS] = {
		query->groups_max, query->owners_max, query->automaton_max, query->distinct_max, query->changes_max,
		query->changes_max, query->texts_max,
	};

	return sizes[map] ?: 1;
}

/* Whether the query needs the program. */
static inline int needs_stage(const struct query *query, int stage)
{
	static const __u32 flags[STAGES] = { 0, QUERY_PREPARE, QUERY_FINISH, QUERY_CHANGES };

	return stage == STAGE_DUMP || query->flags & flags[stage];
}

/*
 * A program file, TABLE.FORMAT.light, begins with this, in the byte order of both architectures. The loader's instructions, the
 * loader's data and the initial value of .rodata follow, each of the size given here.
 */
struct image {
	__u32 magic, layout;
	__u32 head;			/* bytes of this structure, which another build may have otherwise */
	__u32 maps, programs;		/* how many the object has */
	__u32 rodata, bss;		/* indexes of maps */
	__u32 sized[SIZED_MAPS];	/* the same; NONE where the object has no such map */
	__u32 stage[STAGES];		/* indexes of programs, or NONE */
	__u32 query, progress;		/* offsets in .rodata and .bss */
	struct place fill[FILLS];
	__u32 insns_size, data_size, rodata_size, bss_size;	/* the next part begins at a multiple of 8 */
};

_Static_assert(sizeof(struct image) % 8 == 0, "the instructions after an image are not aligned");

#define NONE (~0u)

#define IMAGE_MAGIC 0x72746974	/* "titr" */
#define IMAGE_MAX_MAPS 64
#define IMAGE_MAX_PROGRAMS 8

struct task_iter {
	void *object;			/* for the loader only: a struct light or a bpf_object */
	struct query *query;		/* .rodata, writable until loaded */
	char *bss;			/* once loaded */
	struct progress *progress;	/* in bss */
	struct place fill[FILLS];
	int prog_fd[STAGES], link_fd[STAGES];	/* -1: not yet, or the object has no such program */
	int map_fd[SIZED_MAPS];		/* -1: not yet, or the object has no such map */
	int configured;
	int spent;			/* a load was tried: a second try is refused, and the query may be read-only */
	int begun;			/* that load runs in the thread, or has ended there with the result */
	pthread_t thread;
	unsigned long turn;		/* the number of that load among all that were begun */
	int unwanted;			/* it need not begin any more */
	int result;
	char *log;			/* LOG_SIZE bytes, or NULL without a verbose load */
	__u32 log_level;
	char error[512];
};

/* Returns -error. Writes "STEP: the text of errno" as the error of a handle that is not NULL. */
int fail(struct task_iter *it, const char *step, int error);

long sys_bpf(enum bpf_cmd command, union bpf_attr *attr);
/* Fills info, a struct bpf_TYPE_info of the descriptor's type, or returns a negative errno. */
int info_of(int fd, void *info, __u32 size);

/* Fills object and query from a copy of the bytes; or returns a negative errno and leaves object NULL. */
int loader_open(struct task_iter *it, const void *bytes, size_t length);
/* Fills prog_fd, map_fd, bss, progress and fill, or returns a negative errno. */
int loader_load(struct task_iter *it);
void loader_free(struct task_iter *it);

#endif
