/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * walked_path.h -- the path that bpf_d_path gives (fs/d_path.c): for kernels before 5.12, which do not let an iterator call
 * bpf_d_path, and for directories that nothing keeps from being freed meanwhile
 */
#ifndef TASK_ITER_WALKED_PATH_H
#define TASK_ITER_WALKED_PATH_H

#include "../engine/row.h"

#define PATH_LEVELS 1024	/* a deeper file has no path */
#define PATH_NAME 256		/* NAME_MAX and a NUL */

#define NSFS_MAGIC 0x6e736673
#define DMA_BUF_FS_MAGIC 0x444d4142

static u64 way_nodes[PATH_LEVELS];
static u64 way_dentry, way_mount, way_root_dentry, way_root_mount;
static u32 way_depth, way_length;

/* Goes up by one name, or out of a mount. */
BODY(way_up)
{
	struct dentry *dentry = (void *)way_dentry;
	struct vfsmount *vfsmount = (void *)way_mount;
	struct mount *mount, *outer;

	if (way_dentry == way_root_dentry && way_mount == way_root_mount)
		return 1;
	if (way_dentry == (u64)BPF_CORE_READ(vfsmount, mnt_root)) {
		mount = (void *)(way_mount - bpf_core_field_offset(struct mount, mnt));
		outer = BPF_CORE_READ(mount, mnt_parent);
		if (outer == mount)
			return 1;
		way_dentry = (u64)BPF_CORE_READ(mount, mnt_mountpoint);
		way_mount = (u64)outer + bpf_core_field_offset(struct mount, mnt);
		return 0;
	}
	if (way_dentry == (u64)BPF_CORE_READ(dentry, d_parent))
		return 1;
	way_nodes[way_depth & (PATH_LEVELS - 1)] = way_dentry;
	way_depth++;
	way_dentry = (u64)BPF_CORE_READ(dentry, d_parent);
	return way_depth >= PATH_LEVELS;
}

/* Appends a string of the kernel to source. */
static __noinline int way_string(u64 from)
{
	u32 at = way_length & SOURCE_MASK;
	long length;

	if (at > SOURCE_MASK - PATH_NAME)
		return 0;
	length = bpf_probe_read_kernel_str(source + at, PATH_NAME, (void *)from);
	if (length > 0)
		way_length = at + length - 1;
	return 0;
}

static __always_inline void way_literal(const char *text, u32 size)
{
	u32 at = way_length;

	WORD(SOURCE(at)) = literal_word(text, 0, size);
	WORD(SOURCE(at + 8)) = literal_word(text, 8, size);
	way_length = at + size;
}

#define WAY_LITERAL(text) way_literal(text, sizeof(text) - 1)

BODY(way_down)
{
	struct dentry *dentry;

	if (i >= way_depth || way_length > SOURCE_MASK - PATH_NAME)
		return 1;
	dentry = (void *)way_nodes[way_depth - 1 - i & (PATH_LEVELS - 1)];
	WAY_LITERAL("/");
	way_string((u64)BPF_CORE_READ(dentry, d_name.name));
	return 0;
}

/* Appends "[NUMBER]", which follows a kind: socket:[NUMBER]. */
static __noinline int way_number(u64 number)
{
	WAY_LITERAL("[");
	way_length = source_long_number(way_length, number);
	WAY_LITERAL("]");
	return 0;
}

/* Some kernels lack these fields, and must not see this code. */
static __noinline int way_dma_buf(struct dma_buf *buffer)
{
	return way_string((u64)BPF_CORE_READ(buffer, name));
}

/* Names a file that is in no tree, as its file system names it. */
GLOBAL int way_without_tree(u64 address)
{
	struct file *file = (void *)address;
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	u64 name = (u64)BPF_CORE_READ(dentry, d_name.name), own = (u64)BPF_CORE_READ(dentry, d_fsdata);
	u64 number = BPF_CORE_READ(file, f_inode, i_ino);

	switch (BPF_CORE_READ(file, f_inode, i_sb, s_magic)) {
	case SOCKFS_MAGIC:
		WAY_LITERAL("socket:");
		return way_number(number);
	case PIPEFS_MAGIC:
		WAY_LITERAL("pipe:");
		return way_number(number);
	case NSFS_MAGIC:
		way_string((u64)BPF_CORE_READ((struct proc_ns_operations *)own, name));
		WAY_LITERAL(":");
		return way_number(number);
	case ANON_INODE_FS_MAGIC:
		WAY_LITERAL("anon_inode:");
		return way_string(name);
	case DMA_BUF_FS_MAGIC:
		WAY_LITERAL("/");
		way_string(name);
		WAY_LITERAL(":");
		return bpf_core_field_exists(struct dma_buf, name) ? way_dma_buf((void *)own) : 0;
	default:
		WAY_LITERAL("/");
		way_string(name);
		WAY_LITERAL(" (deleted)");
		return 0;
	}
}

/* Writes the path of a name in a mount to source, as seen from the reader's root. Returns its length, or NO_STRING. */
GLOBAL int way_from_root(u64 entry, u64 mount)
{
	struct task_struct *reader = (void *)bpf_get_current_task();
	struct dentry *dentry = (void *)entry;
	bool is_root = dentry == BPF_CORE_READ(dentry, d_parent);

	way_length = way_depth = 0;
	way_dentry = entry;
	way_mount = mount;
	way_root_dentry = (u64)BPF_CORE_READ(reader, fs, root.dentry);
	way_root_mount = (u64)BPF_CORE_READ(reader, fs, root.mnt);
	LOOP(2 * PATH_LEVELS, way_up);
	if (way_depth >= PATH_LEVELS)
		return NO_STRING;
	LOOP(PATH_LEVELS, way_down);
	if (way_length > SOURCE_MASK - PATH_NAME)
		return NO_STRING;
	if (!way_length)
		WAY_LITERAL("/");
	if (!is_root && !BPF_CORE_READ(dentry, d_hash.pprev))
		WAY_LITERAL(" (deleted)");
	return way_length & SOURCE_MASK;
}

/* The same for a struct file, which may be in no tree. */
GLOBAL int walked_path(u64 address)
{
	struct file *file = (void *)address;
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	struct vfsmount *mount = BPF_CORE_READ(file, f_path.mnt);

	if (!BPF_CORE_READ(dentry, d_op, d_dname) ||
	    (dentry == BPF_CORE_READ(dentry, d_parent) && dentry == BPF_CORE_READ(mount, mnt_root)))
		return way_from_root((u64)dentry, (u64)mount);
	way_length = 0;
	way_without_tree(address);
	return way_length & SOURCE_MASK;
}

#endif
