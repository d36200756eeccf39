/* SPDX-License-Identifier: GPL-2.0-only */
/* vmas.bpf.c -- mappings of every process, one row each, as in /proc/PID/maps */
#define OWNER (COLUMN_BIT(pid) | COLUMN_BIT(comm))
#define KEPT (COLUMN_BIT(dev) | COLUMN_BIT(ino) | COLUMN_BIT(path))
#define SAME is_same_file(seq, file)
#include "../engine/table.h"
#include "../subjects/task.h"
#include "../subjects/file.h"
#define SHARED mm
#include "../subjects/first_sharer.h"

#define COLUMNS(COL, MORE)                                                   \
	COL(pid, U64, 8, PID_OF(task), "Process ID.")                        \
	COL(comm, NAME, 16, comm_of(task), "Name of the process.")            \
	COL(start, HEX, 18, vma->vm_start, "Address of its first byte.")     \
	COL(end, HEX, 18, vma->vm_end, "Address after its last byte.")       \
	COL(perms, TEXT, 5, perms_of(vma), "r, w, x or - in their place; s for shared, p for private.") \
	COL(offset, U64, 10, file ? vma->vm_pgoff << query.page_shift : 0, "Offset of its first byte in the file; 0 without a file.") \
	COL(dev, TEXT, 7, file_device(file), "Device of the file system, major:minor.") \
	COL(ino, U64, 10, file ? file->f_inode->i_ino : ABSENT, "Inode number of the file.") \
	COL(path, LONG, 40, name_of(vma, file), "The file, or [heap], [stack], [vdso] and the like, as /proc/PID/maps shows it.") \
	MORE(size_kb, U64, 10, vma->vm_end - vma->vm_start >> 10, "Size.") \
	TASK_COLUMNS(MORE, uid)

#define IDENTITY(I) I(pid) I(start)

TABLE(vmas, "task_vma", "5.12", "mappings", "Memory mappings of every process.")

enum { VM_READ = 1, VM_WRITE = 2, VM_EXEC = 4, VM_MAYSHARE = 0x80 };

static __always_inline struct text perms_of(struct vm_area_struct *vma)
{
	u64 flags = vma->vm_flags;
	struct text text = {
		.low = letter_of(flags, VM_READ, 'r', '-') | letter_of(flags, VM_WRITE, 'w', '-') << 8 |
		       letter_of(flags, VM_EXEC, 'x', '-') << 16 | letter_of(flags, VM_MAYSHARE, 's', 'p') << 24,
		.length = 4,
	};

	return text;
}

static __always_inline struct text file_device(struct file *file)
{
	struct text none = { .length = NO_STRING };

	return file ? device_text(file->f_inode->i_sb->s_dev) : none;
}

static __always_inline long literal_name(const char *text, u32 length)
{
	WORD(source) = literal_word(text, 0, length);
	return length;
}

/* Mappings with a name from the kernel ([vdso], [vvar] ...) share one function; the name is in the same structure. */
static __always_inline bool is_special_mapping(struct vm_area_struct *vma)
{
	return symbol_of(ADDRESS(vma->vm_ops->name), SYMBOL_NAME) == 20 && WORD(source) == literal_word("special_", 0, 8) &&
	       WORD(source + 8) == literal_word("mapping_", 0, 8);
}

/* In the order of fs/proc/task_mmu.c. */
static __always_inline long name_of(struct vm_area_struct *vma, struct file *file)
{
	struct mm_struct *mm;

	if (file)
		return path_of(file);
	if (is_special_mapping(vma)) {
		struct vm_special_mapping *mapping = BPF_CORE_READ(vma, vm_private_data);

		return bpf_probe_read_kernel_str(source, 64, BPF_PROBE_READ(mapping, name)) - 1;
	}
	mm = vma->vm_mm;
	if (vma->vm_start < mm->brk && vma->vm_end > mm->start_brk)
		return literal_name("[heap]", 6);
	if (vma->vm_start <= mm->start_stack && vma->vm_end >= mm->start_stack)
		return literal_name("[stack]", 7);
	return NO_STRING;
}

static u64 last_file, last_inode, last_dentry;

/*
 * Whether the previous row, of the same read, was about the same file, as several mappings of a library are. A path may change
 * between two rows, but not between two reads: the reader may pause for long.
 */
static __always_inline bool is_same_file(struct seq_file *seq, struct file *file)
{
	u64 inode, dentry;
	bool same;

	if (!file)
		return last_file = 0, false;
	inode = ADDRESS(file->f_inode);
	dentry = ADDRESS(file->f_path.dentry);
	same = seq->count && last_file == ADDRESS(file) && last_inode == inode && last_dentry == dentry;
	last_file = ADDRESS(file);
	last_inode = inode;
	last_dentry = dentry;
	return same;
}

SEC("iter/task_vma")
int dump(struct bpf_iter__task_vma *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *task = ctx->task;
	struct vm_area_struct *vma = ctx->vma;
	struct file *file;

	if (!task || !vma)
		return 0;
	START_TASK_WALK(ctx);
	if (!is_first(task))
		return 0;
	file = vma->vm_file;
	RETURN_UNLESS_KEPT;
	WRITE_ROW;
	return 0;
}
