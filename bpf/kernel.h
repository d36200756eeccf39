/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kernel.h -- every kernel structure and field that task-iter reads, and nothing else
 *
 * Offsets are relocated at load (CO-RE), so neither order nor neighbours matter, and the build does not depend on the build
 * machine's kernel. A name with ___ is a flavour: the same structure as an older or newer kernel has it.
 */
#ifndef TASK_ITER_KERNEL_H
#define TASK_ITER_KERNEL_H

#include <linux/types.h>
#include <linux/bpf.h>
#include <stdbool.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s64 s64;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct list_head {
	struct list_head *next;
};

struct hlist_bl_node {
	struct hlist_bl_node **pprev;
};

struct seq_file;

/* pids and namespaces */

struct ns_common {
	unsigned int inum;
};

struct upid {
	int nr;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct signal_struct {
	struct list_head thread_head;
};

/* files */

struct qstr {
	const unsigned char *name;
};

struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
};

struct path {
	struct dentry *dentry;
};

struct super_block {
	u32 s_dev;
	unsigned long s_magic;
};

typedef struct {
	u32 val;
} kuid_t;

struct inode {
	u16 i_mode;
	kuid_t i_uid;
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_nlink;
	s64 i_size;
	u32 i_rdev;
};

struct file_operations {
	void *release, *read_iter, *read, *write_iter, *poll, *unlocked_ioctl, *iterate_shared;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
	const struct file_operations *f_op;
	unsigned int f_flags;
	unsigned int f_mode;
	s64 f_pos;
};

struct fdtable {
	unsigned long *close_on_exec;
};

struct files_struct {
	struct fdtable *fdt;
};

/* tasks */

struct task_struct {
	unsigned int __state;		/* since 5.14 */
	int exit_state;
	int pid;
	int tgid;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct list_head thread_node;
	char comm[16];
	struct files_struct *files;
	struct signal_struct *signal;
};

struct task_struct___5_13 {
	long state;
};

/* memory */

/* control groups */

/* sockets and routes */

/* BPF objects */

/* the rest */

/* what the iterators hand to a program */

struct bpf_iter_meta {
	struct seq_file *seq;
	u64 session_id;
	u64 seq_num;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	u32 fd;
	struct file *file;
};

#pragma clang attribute pop

#endif
