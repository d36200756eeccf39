/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cgroups.bpf.c -- control groups (v2), one row each
 *
 * The kernel ends a walk when its rows fill a buffer. User space then starts another walk, which skips the groups that earlier
 * walks have shown. Mostly these are as many as before, and the last of them is the same group: then no other one is looked at, for a
 * group is in memory that nothing else has touched. Where groups were made or removed in between, a walk searches its place: it visits
 * children before siblings, and siblings in the order of their serial numbers, so the serial numbers from the root to a group give
 * the group's place in the walk.
 */
#include "../engine/table.h"
#include "../subjects/cgroup.h"

#define COLUMNS(COL, MORE)                                                   \
	COL(id, U64, 10, BPF_CORE_READ(cgroup, kn, id), "ID: the inode number of its folder.") \
	COL(path, LONG, 40, path_of(cgroup), "Path in the hierarchy, as /proc/PID/cgroup shows it.") \
	COL(level, U64, 5, cgroup->level, "How far below the root.")         \
	MORE(procs, U64, 6, ({ s64 procs_ = processes_of(ADDRESS(cgroup)); procs_ < 0 ? ABSENT : procs_; }), "Processes whose first thread is in it, not below it.") \
	MORE(populated, BOOL, 9, own_sets(cgroup) + cgroup->nr_populated_domain_children + cgroup->nr_populated_threaded_children, "Whether a process is in it or below it.") \
	MORE(frozen, BOOL, 6, cgroup->flags & CGRP_FROZEN, "Whether it is frozen, and all below it.")

#define IDENTITY(I) I(id)

TABLE(cgroups, "cgroup", "6.1", "control groups", "Control groups of the v2 hierarchy.")

#define CGRP_FROZEN (1 << 3)

static u64 named_parent;

/*
 * Siblings follow each other: where source[] still has the path of a group with the same parent, only the name is new. Groups of
 * the v2 hierarchy keep their names, and a serial number is never given twice.
 */
static __always_inline long path_of(struct cgroup *cgroup)
{
	struct kernfs_node *node = BPF_CORE_READ(cgroup, kn);
	u64 parent = BPF_CORE_READ(cgroup, self.parent, serial_nr);
	bool online = cgroup->self.flags & CSS_ONLINE;
	u32 at = path_name_at & SOURCE_MASK;
	long length;

	if (!online || query.flags & QUERY_SHARED)
		parent = 0;
	if (parent && parent == named_parent) {
		length = bpf_probe_read_kernel_str(source + at + 1, CGROUP_NAME, BPF_CORE_READ(node, name));
		return at + length;
	}
	length = cgroup_path((u64)node);
	named_parent = length > 1 ? parent : 0;
	return length;
}

/* Not static: the compiler would shrink a flag to a byte, its BTF would not say so, and the kernel would refuse the program. */

/* The place of the walk: the serial numbers down to the last group. `walk_redo`: the row of that group did not fit. */
static u64 walk_serials[CGROUP_LEVELS];
u32 walk_level, walk_redo;
/* While a walk skips groups that an earlier walk has shown. When it searches its place: the first level at which the two may differ. */
u32 walk_passing, walk_searches, walk_same;

static __always_inline u32 at_level(u32 level)
{
	return level & (CGROUP_LEVELS - 1);
}

/* Returns whether an earlier walk has shown the group. */
static __always_inline bool is_passed(struct cgroup *cgroup)
{
	u64 serial = cgroup->self.serial_nr, other;
	u32 level = cgroup->level;

	if (level > walk_same)
		return true;
	other = walk_serials[at_level(level)];
	if (serial < other) {
		walk_same = level;
		return true;
	}
	if (serial > other || level == walk_level)
		walk_passing = 0;
	walk_same = level + 1;
	return serial == other && !(level == walk_level && walk_redo);
}

/* Lets user space begin a walk that searches its place. */
static __always_inline int search(void)
{
	walk_searches = progress.cut = 1;
	return 1;
}

/* A list of tasks in a css_set, and the list after it. */
enum { LIST_TASKS, LIST_MIGRATING, LIST_DYING, LISTS };

static u64 procs_links, procs_link, procs_set, procs_list, procs_at;
static u32 procs_kind, procs_count;
u32 procs_done;

static __always_inline void procs_first_list(u64 link)
{
	struct cgrp_cset_link *at = (void *)(link - bpf_core_field_offset(struct cgrp_cset_link, cset_link));

	procs_link = link;
	procs_set = (u64)BPF_CORE_READ(at, cset);
	procs_kind = LIST_TASKS;
	procs_list = procs_set + bpf_core_field_offset(struct css_set, tasks);
	procs_at = 0;
}

/*
 * One step from task to task, list to list, set to set. Tasks may move to other sets meanwhile: when a list leads to a task of
 * another set, the task has just moved, and the count starts again.
 */
BODY(count_process)
{
	struct list_head *list;
	struct task_struct *task;
	u64 next = 0;

	if (procs_link == procs_links) {
		procs_done = 1;
		return 1;
	}
	list = (void *)(procs_at ?: procs_list);
	next = (u64)BPF_CORE_READ(list, next);
	if (next == procs_list) {
		procs_at = 0;
		procs_kind++;
		if (procs_kind == LIST_MIGRATING) {
			procs_list = procs_set + bpf_core_field_offset(struct css_set, mg_tasks);
		} else if (procs_kind == LIST_DYING) {
			procs_list = procs_set + bpf_core_field_offset(struct css_set, dying_tasks);
		} else {
			list = (void *)procs_link;
			procs_first_list((u64)BPF_CORE_READ(list, next));
		}
		return 0;
	}
	task = (void *)(next - bpf_core_field_offset(struct task_struct, cg_list));
	if ((u64)BPF_CORE_READ(task, cgroups) != procs_set) {
		list = (void *)procs_links;
		procs_count = 0;
		procs_first_list((u64)BPF_CORE_READ(list, next));
		return 0;
	}
	procs_at = next;
	if (BPF_CORE_READ(task, group_leader) == task)
		procs_count += procs_kind != LIST_DYING || BPF_CORE_READ(task, signal, live.counter) > 0;
	return 0;
}

#ifdef BOUNDED_LOOPS
#define MAX_STEPS (1 << 12)
#else
#define MAX_STEPS (1 << 23)
#endif

/* -1 when tasks moved too fast for a count. */
GLOBAL s64 processes_of(u64 address)
{
	struct cgroup *cgroup = (void *)address;

	procs_links = address + bpf_core_field_offset(struct cgroup, cset_links);
	procs_count = procs_done = 0;
	procs_first_list((u64)BPF_CORE_READ(cgroup, cset_links.next));
	LOOP(MAX_STEPS, count_process);
	return procs_done ? procs_count : -1;
}

/* Sets of tasks in the group itself. */
static __noinline int sets_in_6_18(struct cgroup___6_18 *cgroup)
{
	return BPF_CORE_READ(cgroup, nr_populated_csets);
}

static __noinline int sets_in(struct cgroup *cgroup)
{
	return BPF_CORE_READ(cgroup, self.nr_populated_csets);
}

static __always_inline int own_sets(struct cgroup *cgroup)
{
	return bpf_core_field_exists(cgroup->self.nr_populated_csets) ? sets_in(cgroup) : sets_in_6_18((void *)cgroup);
}

SEC("iter/cgroup")
int dump(struct bpf_iter__cgroup *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct cgroup *cgroup = ctx->cgroup;

	if (!cgroup) {
		if (walk_passing && !walk_searches)
			search();
		return 0;
	}
	/* Starts a walk at its first group; without elements counted so far, this is the first walk. */
	if (!ctx->meta->seq_num) {
		walk_passing = progress.seq_num != ~0ull && !(query.flags & QUERY_SHARED);
		walk_same = progress.cut = 0;
	}
	if (walk_passing && walk_searches) {
		if (is_passed(cgroup))
			return 0;
	} else if (walk_passing) {
		if (ctx->meta->seq_num < progress.seq_num)
			return 0;
		if ((u32)cgroup->level != walk_level || cgroup->self.serial_nr != walk_serials[at_level(walk_level)])
			return search();
		walk_passing = 0;
		if (!walk_redo)
			return 0;
	}
	START_WALK(ctx);
	walk_searches = 0;
	walk_level = cgroup->level;
	walk_serials[at_level(walk_level)] = cgroup->self.serial_nr;
	walk_redo = 0;
	RETURN_UNLESS_KEPT;
	WRITE_ROW;
	if (seq->count == seq->size) {
		walk_redo = 1;
		progress.shown = 0;
	}
	return 0;
}
