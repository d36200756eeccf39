/* SPDX-License-Identifier: GPL-2.0-only */
/* files.bpf.c -- open file descriptors, one row each */
#include "../table.h"
#include "../task.h"
#include "../file.h"
#define SHARED files
#include "../shared.h"

#define FILE_TYPES(W) W(0, ANON) W(1, FIFO) W(2, CHR) W(4, DIR) W(6, BLK) W(8, REG) W(10, LNK) W(12, SOCK)

#define COLUMNS(COL, MORE)                                                   \
	COL(comm, STR, 16, comm_of(task), "Name of the thread that holds the descriptor table.") \
	COL(pid, U64, 8, pid_of(task), "Process ID.")                        \
	COL(tid, U64, 8, tid_of(task), "Thread ID.")                         \
	COL(fd, U64, 6, ctx->fd, "File descriptor number.")                  \
	COL(type, ENUM(FILE_TYPES), 4, type_of(file), "Type of file; ANON is an anonymous inode (epoll, eventfd, bpf ...).") \
	COL(mode, TOKEN, 4, mode_of(file), "Access: r, w, or - in their place.") \
	COL(path, LONG, 40, path_of(file), "Path, as /proc/PID/fd shows it.") \
	COL(file_ops, SYMBOL, 24, operations_of(file), "Symbol of the file's operations; where the kernel keeps none for data, of one of them.") \
	MORE(flags, U64, 8, flags_of(task, file, ctx->fd), "Flags, as in /proc/PID/fdinfo (O_* bits).") \
	MORE(pos, S64, 12, file->f_pos, "Position in bytes.")                \
	MORE(ino, U64, 10, file->f_inode->i_ino, "Inode number.")            \
	MORE(dev, TOKEN, 7, device_of(file->f_inode->i_sb->s_dev), "Device of the file system, major:minor.") \
	MORE(size, S64, 12, file->f_inode->i_size, "Size in bytes.")         \
	MORE(uid, U64, 6, file->f_inode->i_uid.val, "User ID of the file's owner.") \
	MORE(deleted, BOOL, 7, is_deleted(file), "Whether its name has been unlinked.")

TABLE(files, "task_file", "5.8", "file descriptors", "Open file descriptors of every process.")

#ifndef DESCRIBE

DEFINE_WORDS(FILE_TYPES);

#define ANON_INODE_FS_MAGIC 0x09041934
#define PID_FS_MAGIC 0x50494446		/* pidfds, since 6.9 */

static __always_inline u32 type_of(struct file *file)
{
	unsigned long magic = file->f_inode->i_sb->s_magic;

	/* These claim to be regular files (all of them since 6.17); stat(2) hides it. */
	if (magic == ANON_INODE_FS_MAGIC || magic == PID_FS_MAGIC)
		return 0;
	return file->f_inode->i_mode >> 12;
}

static __always_inline long mode_of(struct file *file)
{
	u32 mode = file->f_mode;

	source[0] = mode & 1 ? 'r' : '-';
	source[1] = mode & 2 ? 'w' : '-';
	return 2;
}

/* Without CONFIG_KALLSYMS_ALL a table of operations has no symbol; a function in it says nearly as much. */
static __always_inline u64 operations_of(struct file *file)
{
	const struct file_operations *operations = file->f_op;
	u64 table = ADDRESS(operations);

	if (!HAVE_SNPRINTF || symbol_of(table, SYMBOL_NAME) >= 0)
		return table;
	return ADDRESS(operations->release ?: operations->read_iter ?: operations->read ?: operations->write_iter ?:
		       operations->poll ?: operations->unlocked_ioctl ?: operations->iterate_shared);
}

#define O_CLOEXEC 02000000

/* f_flags has no O_CLOEXEC: that is a bit of the descriptor table. */
static __always_inline u32 flags_of(struct task_struct *task, struct file *file, u32 fd)
{
	unsigned long *bits = BPF_CORE_READ(task, files, fdt, close_on_exec), word = 0;

	bpf_probe_read_kernel(&word, sizeof(word), bits + fd / 64);
	return (file->f_flags & ~O_CLOEXEC) | (word >> (fd & 63) & 1 ? O_CLOEXEC : 0);
}

static __always_inline bool is_deleted(struct file *file)
{
	struct dentry *dentry = file->f_path.dentry;

	return !file->f_inode->i_nlink || (!dentry->d_hash.pprev && dentry != dentry->d_parent);
}

SEC("iter/task_file")
int dump(struct bpf_iter__task_file *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;

	if (!task || !file)
		return 0;
	step(ctx->meta);
	if (!is_first(task))
		return 0;
	FILTER;
	WRITE;
	return 0;
}

#endif
