/* SPDX-License-Identifier: GPL-2.0-only */
/* file.h -- columns of files that several tables have */
#ifndef TASK_ITER_FILE_H
#define TASK_ITER_FILE_H

#include "../engine/row.h"
#include "../engine/symbol.h"

#define SOCKFS_MAGIC 0x534f434b
#define PIPEFS_MAGIC 0x50495045
#define ANON_INODE_FS_MAGIC 0x09041934

/* Iterators may call bpf_d_path since 5.12. The helper bpf_check_mtu came in the same release, and stands for it here. */
#ifdef BOUNDED_LOOPS
#define HAVE_D_PATH bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_check_mtu)
#else
#define HAVE_D_PATH true
#endif

#ifdef BOUNDED_LOOPS
#include "walked_path.h"
#else
#define walked_path(file) (-1)
#endif

/* Length without the NUL; -ENAMETOOLONG where /proc fails with the same error. */
static __always_inline long path_of(struct file *file)
{
	if (!HAVE_D_PATH)
		return walked_path(ADDRESS(file));
	return bpf_d_path(&file->f_path, source, SOURCE_MASK + 1) - 1;
}

/* Writes a device number as major:minor. */
static __always_inline long device_of(u32 dev)
{
	u32 at = source_number(0, dev >> 20);

	*SOURCE(at) = ':';
	return source_number(at + 1, dev & 0xfffff);
}

#endif
