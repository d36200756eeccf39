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

#ifdef FULL_COLUMNS
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

/* Whether the file is an anonymous inode whose name begins with these bytes, at most eight; shorter ones include their NUL. */
#define is_anonymous(file, name) (anonymous_name(file, sizeof(name)) == literal_word(name, 0, sizeof(name) < 8 ? sizeof(name) : 8))

static __always_inline u64 anonymous_name(struct file *file, u32 size)
{
	u64 word = 0;

	if (file->f_inode->i_sb->s_magic != ANON_INODE_FS_MAGIC)
		return 0;
	bpf_probe_read_kernel(&word, sizeof(word), BPF_CORE_READ(file->f_path.dentry, d_name.name));
	return size < 8 ? word & ((1ull << size * 8) - 1) : word;
}

/* A device number as major:minor: at most four digits and seven. */
static __always_inline struct text device_text(u32 dev)
{
	u64 major = eight_digits(dev >> 20), minor = eight_digits(dev & 0xfffff);
	u32 major_zeros = leading_zeros(major), minor_zeros = leading_zeros(minor);
	u32 size = 9 - major_zeros;	/* with the colon: 2 to 5 */
	struct text text;

	minor >>= minor_zeros * 8 & 63;
	text.low = major >> (major_zeros * 8 & 63) | (u64)':' << (size * 8 - 8 & 63) | minor << (size * 8 & 63);
	text.high = minor >> (64 - size * 8 & 63);
	text.length = size + 8 - minor_zeros;
	return text;
}

#endif
