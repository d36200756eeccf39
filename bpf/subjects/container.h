/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * container.h -- the container and the pod of a task, by the names of its control group and of the groups above that
 *
 * The innermost group that has the form of a container counts, whatever is below it (a service inside the container). From
 * the names that runtimes give (the hexadecimal ID has 64 digits):
 *
 *	[/]docker/ID, docker-ID.scope, cri-containerd-ID.scope, crio-ID.scope, libpod-ID[.scope], kubepods/.../podUID/ID,
 *	SLICE:cri-containerd:ID, ecs/TASK/ID			the ID's first 12 digits, as docker ps shows them
 *	ecs/TASK/NAME, lxc/NAME, lxc.payload/NAME, lxc.payload.NAME, machine-NAME.scope,
 *	systemd-nspawn@NAME.service/payload			the name
 *	podUID, ...-podUID.slice				a pod of Kubernetes; a systemd slice has _ for each - of the UID
 *
 * The programs that watch over a container are not in it, though they may be in a group named after it: conmon's scope, the
 * supervisor of systemd-nspawn; nor is a virtual machine (machine-qemu...).
 */
#ifndef TASK_ITER_CONTAINER_H
#define TASK_ITER_CONTAINER_H

#include "cgroup.h"

#define ID_DIGITS 64
#define ID_SHOWN 12
#define UID_LENGTH 36
#define HASH_LENGTH 32	/* the UID of a pod that the node itself runs is a hash without dashes */

/* A name is read to source[NAME_AT]. Before it there are zeros, so that a byte before its start is no byte of a name. */
#define NAME_AT 64

/* What the names said that were looked at last, for each hierarchy. A number of a group is never used again. */
enum { UNIFIED, MEMORY, PIDS, CPU, HIERARCHIES };
enum { CONTAINER, POD };
struct found {
	u64 group;
	u32 container_length, pod_length;
	char container[CGROUP_NAME];
	char pod[UID_LENGTH + 4];
};
static struct found found[HIERARCHIES];

/* The group that is looked at, and the two below it on the way. */
static u64 group_at, group_below, group_below_that;
static u64 below_word;		/* the first eight bytes of the name below */
static u32 found_in;

#define FOUND (&found[found_in & (HIERARCHIES - 1)])

/* Sets the high bit of each byte that is a hexadecimal digit, as far as no byte before it has its own high bit set. */
static __always_inline u64 hex_digits(u64 word)
{
	u64 digit = word + REPEAT(0x80 - '0') & ~(word + REPEAT(0x7f - '9'));
	u64 letter = word + REPEAT(0x80 - 'a') & ~(word + REPEAT(0x7f - 'f'));

	return (digit | letter) & ~word & REPEAT(0x80);
}

/* Sets the high bit of each byte that equals one byte. */
static __always_inline u64 exactly(u64 word, u64 bytes)
{
	u64 other = word ^ bytes;

	return ~((other & REPEAT(0x7f)) + REPEAT(0x7f) | other | REPEAT(0x7f));
}

static __noinline u32 is_hex(u32 at, u32 words)
{
	u64 all = REPEAT(0x80);

	for (u32 i = 0; i < ID_DIGITS / 8; i++)
		if (i < words)
			all &= hex_digits(WORD(SOURCE(at + i * 8)));
	return all == REPEAT(0x80);
}

/* Whether a UID is at source[at]: digits and dashes, or underscores. */
static __noinline u32 is_uid(u32 at)
{
	u64 all = REPEAT(0x80);

	for (u32 i = 0; i < UID_LENGTH; i += 8) {
		u64 word = WORD(SOURCE(at + i)), good;

		good = hex_digits(word) | exactly(word, REPEAT('-')) | exactly(word, REPEAT('_'));
		if (UID_LENGTH - i < 8)
			good |= REPEAT(0x80) << (UID_LENGTH - i) * 8;
		all &= good;
	}
	return all == REPEAT(0x80);
}

/* Whether `length` bytes at source[at] equal a text of at most 16 bytes. */
static __always_inline bool is_text(u32 at, const char *text, u32 length)
{
	u64 low = WORD(SOURCE(at)) ^ literal_word(text, 0, length), high = 0;

	if (length < 8)
		low <<= 64 - length * 8;
	else if (length > 8)
		high = (WORD(SOURCE(at + 8)) ^ literal_word(text, 8, length)) << (128 - length * 8 & 63);
	return !(low | high);
}

#define IS_TEXT(at, text) is_text(at, text, sizeof(text) - 1)

/* A pod's UID ends at source[end]; a slice has underscores where the UID has dashes. */
GLOBAL int keep_pod(u32 end)
{
	u32 length = UID_LENGTH, at = end - UID_LENGTH;

	if (end < NAME_AT + 3 + HASH_LENGTH)
		return 0;
	if (!IS_TEXT(at - 3, "pod") || !is_uid(at)) {
		length = HASH_LENGTH;
		at = end - HASH_LENGTH;
		if (!IS_TEXT(at - 3, "pod") || !is_hex(at, HASH_LENGTH / 8))
			return 0;
	}
	if (*SOURCE(at - 4) && *SOURCE(at - 4) != '-')
		return 0;
	for (u32 i = 0; i < UID_LENGTH; i += 8) {
		u64 word = WORD(SOURCE(at + i));

		WORD(FOUND->pod + i) = word ^ (exactly(word, REPEAT('_')) >> 7) * ('_' ^ '-');
	}
	FOUND->pod_length = length;
	return 1;
}

static __noinline int keep_container(u32 at, u32 length)
{
	if (length >= CGROUP_NAME)
		return 0;
	barrier_var(length);
	bpf_probe_read_kernel(FOUND->container, length & (CGROUP_NAME - 1), SOURCE(at));
	FOUND->container_length = length;
	return 0;
}

static u32 escape_from, escape_to, escape_end;

static __always_inline u32 nibble(u8 digit)
{
	return (digit & 15) + (digit >> 6) * 9;
}

/* systemd writes \xHH for a byte that a name of a unit may not have, and for a dash. */
BODY(unescape_byte)
{
	u32 from = escape_from, to = escape_to;
	bool escaped = IS_TEXT(from, "\\x");

	if (from >= escape_end)
		return 1;
	*SOURCE(to) = escaped ? nibble(*SOURCE(from + 2)) << 4 | nibble(*SOURCE(from + 3)) : *SOURCE(from);
	escape_from = from + (escaped ? 4 : 1);
	escape_to = to + 1;
	return 0;
}

/* Keeps the part of a unit's name from `at` on. */
GLOBAL int keep_unit(u32 at, u32 end)
{
	escape_from = escape_to = at;
	escape_end = end;
	LOOP(CGROUP_NAME, unescape_byte);
	keep_container(at, escape_to - at);
	return 0;
}

GLOBAL int keep_name_of(u64 address)
{
	struct kernfs_node *node = (void *)address;
	long length = bpf_probe_read_kernel_str(FOUND->container, CGROUP_NAME, BPF_CORE_READ(node, name));

	if (length > 0)
		FOUND->container_length = length - 1;
	return 0;
}

/* Keeps what the name of the group says. */
GLOBAL int look_at_group(u64 address)
{
	struct kernfs_node *node = (void *)address;
	long length = bpf_probe_read_kernel_str(source + NAME_AT, CGROUP_NAME, BPF_CORE_READ(node, name)) - 1;
	u32 end = NAME_AT + length, stem = end, id;
	bool is_scope, has_id;
	u8 before;

	if (length <= 0 || length >= CGROUP_NAME)
		return 0;
	for (u32 i = 0; i < NAME_AT; i += 8)
		WORD(source + i) = 0;
	is_scope = IS_TEXT(end - 6, ".scope");
	if (is_scope || IS_TEXT(end - 6, ".slice"))
		stem = end - 6;
	id = stem - ID_DIGITS;
	before = *SOURCE(id - 1);
	has_id = stem >= NAME_AT + ID_DIGITS && (!before || before == '-' || before == ':') && is_hex(id, ID_DIGITS / 8);
	if (!FOUND->pod_length) {
		keep_pod(stem);
		if (has_id && before == ':') {
			keep_pod(id - (sizeof(".slice:cri-containerd:") - 1));
			keep_pod(id - (sizeof(".slice:crio:") - 1));
		}
	}
	if (FOUND->container_length)
		return 0;
	if (has_id) {
		if (!IS_TEXT(id - 8, "-conmon-"))
			keep_container(id, ID_SHOWN);
	} else if (IS_TEXT(NAME_AT, "lxc.payload.")) {
		keep_container(NAME_AT + 12, end - NAME_AT - 12);
	} else if (is_scope && IS_TEXT(NAME_AT, "machine-")) {
		if (!IS_TEXT(NAME_AT + 8, "qemu\\x2d") && below_word != literal_word("supervisor", 0, 8))
			keep_unit(NAME_AT + 8, stem);
	} else if (below_word == literal_word("payload", 0, 8) && IS_TEXT(NAME_AT, "systemd-nspawn@")) {
		keep_unit(NAME_AT + 15, end - (sizeof(".service") - 1));
	} else if (group_below && ((length == 3 && IS_TEXT(NAME_AT, "lxc")) || (length == 11 && IS_TEXT(NAME_AT, "lxc.payload")))) {
		keep_name_of(group_below);
	} else if (group_below_that && length == 3 && IS_TEXT(NAME_AT, "ecs")) {
		keep_name_of(group_below_that);
	}
	return 0;
}

BODY(go_up)
{
	u64 at = group_at;

	if (!at || (FOUND->container_length && FOUND->pod_length))
		return 1;
	WORD(source + NAME_AT) = 0;
	look_at_group(at);
	below_word = WORD(source + NAME_AT);
	group_below_that = group_below;
	group_below = at;
	group_at = parent_of(at);
	return 0;
}

/* Looks at a group and at all above it, up to the hierarchy's root, which the reader's cgroup namespace may hide. */
GLOBAL int look_up(u64 address, u32 hierarchy)
{
	struct kernfs_node *node = (void *)address;
	u64 group = BPF_CORE_READ(node, id);

	found_in = hierarchy;
	if (FOUND->group == group)
		return 0;
	FOUND->group = group;
	FOUND->container_length = FOUND->pod_length = 0;
	group_at = address;
	group_below = group_below_that = below_word = 0;
	LOOP(CGROUP_LEVELS, go_up);
	return 0;
}

static __noinline u64 node_in_v1(struct css_set *set, u32 subsystem)
{
	u64 state = 0;

	bpf_probe_read_kernel(&state, sizeof(state), (void *)&set->subsys + subsystem * sizeof(state));
	return (u64)BPF_CORE_READ((struct cgroup_subsys_state *)state, cgroup, kn);
}

static __noinline s32 copy_found(u32 what)
{
	struct found *from = FOUND;

	if (what == POD) {
		bpf_probe_read_kernel(source, sizeof(from->pod), from->pod);
		return from->pod_length;
	}
	bpf_probe_read_kernel(source, sizeof(from->container), from->container);
	return from->container_length;
}

/* The subsystem's number differs from kernel to kernel; a kernel without the subsystem has none. */
#define LOOK_UP_V1(subsystem, hierarchy)                                     \
	if (!length && bpf_core_enum_value_exists(enum cgroup_subsys_id, subsystem)) { \
		look_up(node_in_v1(set, bpf_core_enum_value(enum cgroup_subsys_id, subsystem)), hierarchy); \
		length = copy_found(what);                                   \
	}

/*
 * Writes the container or the pod to source. Returns its length, or NO_STRING. Version 2 of control groups counts, then the
 * hierarchies of version 1 that every runtime uses, where they are mounted.
 */
GLOBAL int group_name_of(u64 task, u32 what)
{
	struct css_set *set;
	s32 length;

	RCU_LOCK;
	set = BPF_CORE_READ((struct task_struct *)task, cgroups);
	look_up((u64)BPF_CORE_READ(set, dfl_cgrp, kn), UNIFIED);
	length = copy_found(what);
	LOOK_UP_V1(memory_cgrp_id, MEMORY);
	LOOK_UP_V1(pids_cgrp_id, PIDS);
	LOOK_UP_V1(cpu_cgrp_id, CPU);
	RCU_UNLOCK;
	return length ?: NO_STRING;
}

#endif
