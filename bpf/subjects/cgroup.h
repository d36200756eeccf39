/* SPDX-License-Identifier: GPL-2.0-only */
/* cgroup.h -- paths of control groups, as /proc/PID/cgroup shows them to the reader */
#ifndef TASK_ITER_CGROUP_H
#define TASK_ITER_CGROUP_H

#include "../engine/row.h"
#include "../engine/symbol.h"

#define CGROUP_LEVELS 1024	/* a deeper control group has no path */
#define CGROUP_NAME 256		/* NAME_MAX and a NUL */
#define CSS_ONLINE 2

/* A sleepable program defines how it protects its reads by RCU. */
#ifndef RCU_LOCK
#define RCU_LOCK do { } while (0)
#define RCU_UNLOCK do { } while (0)
#endif

static u64 path_nodes[CGROUP_LEVELS];
static u64 path_at, path_top;
static u32 path_depth, path_top_depth, path_length;
u32 path_name_at;	/* where in the path the slash before the last name is */

static __always_inline u64 parent_of(u64 node)
{
	u64 offset, parent = 0;

	if (bpf_core_field_exists(struct kernfs_node, __parent))
		offset = OFFSET(struct kernfs_node, __parent);
	else
		offset = OFFSET(struct kernfs_node___6_14, parent);
	bpf_probe_read_kernel(&parent, sizeof(parent), (void *)node + offset);
	return parent;
}

/* Walks up from both ends to their common ancestor. */
BODY(meet)
{
	if (path_at == path_top)
		return 1;
	if (path_depth >= path_top_depth) {
		path_at = parent_of(path_at);
		path_depth--;
	} else {
		path_top = parent_of(path_top);
		path_top_depth--;
	}
	return 0;
}

BODY(climb)
{
	if (path_at == path_top || !path_at)
		return 1;
	path_nodes[i & (CGROUP_LEVELS - 1)] = path_at;
	path_depth = i + 1;
	path_at = parent_of(path_at);
	return 0;
}

BODY(descend)
{
	u32 at = path_length & SOURCE_MASK;
	struct kernfs_node *node;
	long length;

	if (i >= path_depth || path_length > SOURCE_MASK)
		return 1;
	node = (void *)path_nodes[path_depth - 1 - i & (CGROUP_LEVELS - 1)];
	source[at] = '/';
	path_name_at = at;
	length = bpf_probe_read_kernel_str(source + at + 1, CGROUP_NAME, BPF_CORE_READ(node, name));
	path_length = at + length;
	return 0;
}

/* Writes the path to source. Returns its length, or NO_STRING for a path that is too long. */
GLOBAL int cgroup_path(u64 address)
{
	struct task_struct *reader = (void *)bpf_get_current_task();
	struct kernfs_node *node = (void *)address;
	struct cgroup *cgroup, *root;
	u32 root_level;
	bool removed;

	RCU_LOCK;
	cgroup = BPF_CORE_READ(node, priv);
	removed = !(BPF_CORE_READ(cgroup, self.flags) & CSS_ONLINE);
	root = BPF_CORE_READ(reader, nsproxy, cgroup_ns, root_cset, dfl_cgrp);
	root_level = BPF_CORE_READ(root, level);
	path_at = address;
	path_top = (u64)BPF_CORE_READ(root, kn);
	path_length = 0;
	/* In a cgroup namespace the path starts with "/.." for each level up to the common ancestor. */
	if (root_level) {
		path_depth = BPF_CORE_READ(cgroup, level);
		path_top_depth = root_level;
		LOOP(2 * CGROUP_LEVELS, meet);
		root_level -= path_top_depth;
		for (u32 i = 0; i < CHUNK; i++) {
			if (i >= root_level)
				break;
			WORD(source + i * 3) = 0x2e2e2f;
			path_length += 3;
		}
		path_at = address;
	}
	path_depth = 0;
	LOOP(CGROUP_LEVELS, climb);
	LOOP(CGROUP_LEVELS, descend);
	RCU_UNLOCK;
	if (path_at != path_top || path_length > SOURCE_MASK - 16)	/* " (deleted)" may follow */
		return NO_STRING;
	if (!path_length) {
		source[0] = '/';
		path_length = 1;
	}
	if (removed) {
		WORD(SOURCE(path_length)) = literal_word(" (deleted)", 0, 8);
		WORD(SOURCE(path_length + 8)) = literal_word("d)", 0, 2);
		path_length += 10;
	}
	return path_length;
}

#endif
