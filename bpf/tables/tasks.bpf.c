/* SPDX-License-Identifier: GPL-2.0-only */
/* tasks.bpf.c -- threads, one row each, as ps -eLf */
#define AGING "age_ns"
#include "../engine/table.h"

/*
 * The command line is in the process's own memory, which only a sleepable program can read (5.18). The light program is
 * sleepable. Where the kernel refuses it, libbpf loads the other program, which has null for every command line.
 */
#if !defined(BOUNDED_LOOPS) && !defined(PLAIN_QUERY)
#define SLEEPABLE 1
/* Since 6.4 the verifier wants a sleepable program to lock RCU pointers; this type came in the same release. */
void bpf_rcu_read_lock(void) __attribute__((section(".ksyms"), weak));
void bpf_rcu_read_unlock(void) __attribute__((section(".ksyms"), weak));
#define HAVE_RCU_LOCK bpf_core_type_exists(struct bpf_refcount___6_4)
#define RCU_LOCK do { if (HAVE_RCU_LOCK) bpf_rcu_read_lock(); } while (0)
#define RCU_UNLOCK do { if (HAVE_RCU_LOCK) bpf_rcu_read_unlock(); } while (0)
#endif

#include "../subjects/task.h"

#define POLICIES(W) W(0, OTHER) W(1, FIFO) W(2, RR) W(3, BATCH) W(5, IDLE) W(6, DEADLINE) W(7, EXT)

#define COLUMNS(COL, MORE)                                                   \
	COL(pid, U64, 8, PID_OF(task), "Process ID.")                        \
	COL(tid, U64, 8, TID_OF(task), "Thread ID.")                         \
	PPID_COLUMN(COL, EVERY)                                              \
	UID_COLUMN(COL, EVERY, uid)                                          \
	COL(state, ENUM(TASK_STATES), 5, state_of(task), "State, as ps shows it.") \
	COL(comm, NAME, 16, comm_of(task), "Name of the thread.")             \
	MORE(gid, U64, 6, BPF_CORE_READ(task, real_cred, egid.val), "Effective group ID.")  \
	MORE(pgid, U64, 8, NUMBER_OF(BPF_CORE_READ(task, signal, pids[PIDTYPE_PGID])), "Process group ID; 0 where it is outside the pid namespace.") \
	MORE(sid, U64, 8, NUMBER_OF(BPF_CORE_READ(task, signal, pids[PIDTYPE_SID])), "Session ID; 0 where it is outside the pid namespace.") \
	MORE(nice, S64, 4, task->static_prio - 120, "Nice value.")           \
	MORE(prio, S64, 4, task->prio - 100, "Priority, as in /proc/PID/stat: 0 to 39, negative for real time.") \
	MORE(policy, ENUM(POLICIES), 8, task->policy, "Scheduling policy.")  \
	MORE(cpu, U64, 4, cpu_of(task), "Processor that it runs or last ran on.") \
	MORE(threads, U64, 7, BPF_CORE_READ(task, signal, nr_threads), "Number of threads of its process.") \
	MORE(utime_ns, U64, 12, task->utime, "CPU time of the thread in user mode, as accounted; /proc scales the two to the run time.") \
	MORE(stime_ns, U64, 12, task->stime, "CPU time of the thread in the kernel, as accounted.") \
	MORE(start_ns, U64, 16, task->start_boottime, "Time of its start since boot.") \
	MORE(vsize_kb, U64, 10, pages_kb(mapped(MM)), "Size of the address space.") \
	MORE(rss_kb, U64, 9, pages_kb(resident(MM)), "Resident memory, as /proc/PID/statm; since 6.2 the kernel leaves out some pages of each processor.") \
	MORE(minflt, U64, 9, task->min_flt, "Page faults of the thread without I/O.") \
	MORE(majflt, U64, 7, task->maj_flt, "Page faults of the thread with I/O.") \
	MORE(nvcsw, U64, 9, task->nvcsw, "Voluntary context switches of the thread.") \
	MORE(nivcsw, U64, 9, task->nivcsw, "Involuntary context switches of the thread.") \
	MORE(wchan, SYMBOL, 24, symbol_of(waits_in(task), SYMBOL_NAME), "Kernel function that the thread sleeps in.") \
	MORE(cmdline, LONG, 40, cmdline_of(task), "Command line, blanks between its arguments, at most 4 KiB; Linux 5.18 or later.") \
	EXE_COLUMN(MORE, EVERY)                                              \
	MORE(cgroup_id, U64, 10, BPF_CORE_READ((struct kernfs_node *)node_of(task), id), "ID of its control group (v2), the inode number of its folder.") \
	CGROUP_COLUMN(MORE, EVERY)                                           \
	MORE(pid_ns, U64, 10, pid_ns_of(task), "Inode number of its pid namespace.") \
	MORE(mnt_ns, U64, 10, mnt_ns_of(NSPROXY), "Inode number of its mount namespace.") \
	NET_NS_COLUMN(MORE, EVERY)                                           \
	MORE(user_ns, U64, 10, BPF_CORE_READ(task, real_cred, user_ns, ns.inum), "Inode number of its user namespace.") \
	MORE(kthread, BOOL, 7, task->flags & PF_KTHREAD, "Whether it is a thread of the kernel.") \
	MORE(oom_score_adj, S64, 13, BPF_CORE_READ(task, signal, oom_score_adj), "What is added to its score when memory runs out.") \
	MORE(seccomp, ENUM(SECCOMP_MODES), 8, HAS_SECCOMP ? number_at(task, OFFSET(struct task_struct, seccomp.mode)) : ABSENT, "Mode of secure computing; null where the kernel was built without.") \
	MORE(no_new_privs, BOOL, 12, task->atomic_flags & PFA_NO_NEW_PRIVS, "Whether execve can give it no more privileges.") \
	MORE(cap_eff, HEX, 18, effective_capabilities(task), "Effective capabilities, a bit each, as in /proc/PID/status.") \
	MORE(loginuid, U64, 8, ({ u32 login = loginuid_of(task); login == NO_LOGIN ? ABSENT : login; }), "User ID of the login that it descends from; null before a login, or where the kernel was built without auditing.") \
	MORE(fds, FULL(COSTLY), 7, ({ s64 count = open_descriptors(ADDRESS(task)); count < 0 ? ABSENT : count; }), "Open file descriptors of its table; null for a zombie.") \
	MORE(nofile, U64, 8, ({ u64 limit = BPF_CORE_READ(task, signal, rlim[RLIMIT_NOFILE].rlim_cur); limit == RLIM_INFINITY ? ABSENT : limit; }), "Soft limit of file descriptors; null without a limit.") \
	MORE(io_read_bytes, U64, 13, HAS_IO ? io_of(task, OFFSET(struct task_struct, ioac.read_bytes)) : ABSENT, "Bytes that the thread had read from storage, as /proc/PID/task/TID/io; null where the kernel was built without.") \
	MORE(io_write_bytes, U64, 14, HAS_IO ? io_of(task, OFFSET(struct task_struct, ioac.write_bytes)) : ABSENT, "Bytes that the thread had written to storage, likewise.") \
	MORE(age_ns, U64, 16, bpf_ktime_get_boot_ns() - task->start_boottime, "Time since its start, also time asleep; with start_ns the time since boot.") \
	CONTAINER_COLUMNS(MORE)                                              \
	MORE(cwd, FULL(LONG), 32, directory_of(ADDRESS(task), 0), "Working directory, as /proc/PID/cwd.") \
	MORE(root, FULL(LONG), 16, directory_of(ADDRESS(task), 1), "Root directory, as /proc/PID/root.")

/* linux/seccomp.h */
#define SECCOMP_MODES(W) W(0, DISABLED) W(1, STRICT) W(2, FILTER) W(3, DEAD)

#define IDENTITY(I) I(tid)

TABLE(tasks, "task", "5.8", "tasks", "Threads of every process, and the kernel's.")

DEFINE_WORDS(TASK_STATES);
DEFINE_WORDS(POLICIES);
DEFINE_WORDS(SECCOMP_MODES);

static __always_inline u64 pages_kb(u64 pages)
{
	return pages << query.page_shift >> 10;
}

enum { MM_FILEPAGES = 0, MM_ANONPAGES = 1, MM_SHMEMPAGES = 3 };

/* Pages of a kind. A counter may be a little below zero. */
static __always_inline s64 pages_of(struct mm_struct *mm, u32 kind)
{
	u64 offset;
	s64 count = 0;

	if (bpf_core_field_exists(mm->rss_stat[0].count))
		offset = OFFSET(struct mm_struct, rss_stat[0].count) + kind * bpf_core_type_size(struct percpu_counter);
	else
		offset = OFFSET(struct mm_struct___6_1, rss_stat.count) + kind * sizeof(count);
	bpf_probe_read_kernel(&count, sizeof(count), (void *)mm + offset);
	return count < 0 ? 0 : count;
}

static __always_inline u64 mapped(struct mm_struct *mm)
{
	return BPF_CORE_READ(mm, total_vm);
}

static __always_inline u64 resident(struct mm_struct *mm)
{
	return pages_of(mm, MM_FILEPAGES) + pages_of(mm, MM_ANONPAGES) + pages_of(mm, MM_SHMEMPAGES);
}

static __always_inline u32 cpu_of(struct task_struct *task)
{
	u64 offset;
	u32 cpu = 0;

	if (bpf_core_field_exists(task->thread_info.cpu))
		offset = OFFSET(struct task_struct, thread_info.cpu);
	else
		offset = OFFSET(struct task_struct___5_15, cpu);
	bpf_probe_read_kernel(&cpu, sizeof(cpu), (void *)task + offset);
	return cpu;
}

static __always_inline u64 waits_in(struct task_struct *task)
{
	u64 frame = 0;

	if (state_of(task) && bpf_get_task_stack(task, &frame, sizeof(frame), 0) < 0)
		frame = 0;
	return frame;
}

/*
 * This and node_of() of task.h are functions of their own, so that the kernel relocates their fields in one place: the kernel
 * caches one type name for each of 31 hashes, and a search for another name takes half a millisecond.
 */
static __noinline u32 pid_ns_of(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	struct upid *upid = (void *)&pid->numbers + BPF_CORE_READ(pid, level) * bpf_core_type_size(struct upid);

	return BPF_CORE_READ(upid, ns, ns.inum);
}

static __always_inline u32 mnt_ns_of(struct nsproxy *nsproxy)
{
	return BPF_CORE_READ(nsproxy, mnt_ns, ns.inum);
}

#define HAS_SECCOMP bpf_core_field_exists(task->seccomp.mode)
#define HAS_LOGINUID bpf_core_field_exists(task->loginuid)
#define HAS_IO bpf_core_field_exists(task->ioac.read_bytes)
#define PFA_NO_NEW_PRIVS 1		/* bit 0 of atomic_flags */
#define NO_LOGIN (~0u)
#define RLIMIT_NOFILE 7
#define RLIM_INFINITY (~0ull)

static __always_inline u32 number_at(struct task_struct *task, u64 offset)
{
	u32 number = 0;

	bpf_probe_read_kernel(&number, sizeof(number), (void *)task + offset);
	return number;
}

static __always_inline u64 io_of(struct task_struct *task, u64 offset)
{
	u64 bytes = 0;

	bpf_probe_read_kernel(&bytes, sizeof(bytes), (void *)task + offset);
	return bytes;
}

static __always_inline u32 loginuid_of(struct task_struct *task)
{
	return HAS_LOGINUID ? number_at(task, OFFSET(struct task_struct, loginuid)) : NO_LOGIN;
}

static __always_inline u64 effective_capabilities(struct task_struct *task)
{
	const struct cred *cred = BPF_CORE_READ(task, real_cred);
	u64 bits = 0;

	bpf_probe_read_kernel(&bits, sizeof(bits), (void *)cred + bpf_core_field_offset(struct cred, cap_effective));
	return bits;
}

/* Bits of a descriptor table's map. A turn counts eight words: 8,000 turns are four million descriptors. */
static u64 descriptor_bits;
static u32 descriptor_words, descriptors;

static __always_inline u32 ones(u64 word)
{
	word -= word >> 1 & REPEAT(0x55);
	word = (word & REPEAT(0x33)) + (word >> 2 & REPEAT(0x33));
	return ((word + (word >> 4)) & REPEAT(0x0f)) * REPEAT(1) >> 56;
}

BODY(count_descriptors)
{
	u64 words[16] = {};		/* twice the size of a turn, so that a mask bounds the read */
	u32 left = descriptor_words - i * 8, sum = 0;

	if (i * 8 >= descriptor_words)
		return 1;
	left = left < 8 ? left : 8;
	barrier_var(left);
	bpf_probe_read_kernel(words, left * 8 & 127, (void *)(descriptor_bits + i * 64));
	for (u32 word = 0; word < 8; word++)
		sum += ones(words[word]);
	descriptors += sum;
	return 0;
}

/* Global: the verifier walks the loop once, not at each use of the column. */
GLOBAL s64 open_descriptors(u64 address)
{
	struct task_struct *task = (void *)address;
	struct fdtable *fdt = BPF_CORE_READ(task, files, fdt);

	if (!fdt)
		return -1;
	descriptor_bits = (u64)BPF_CORE_READ(fdt, open_fds);
	descriptor_words = (BPF_CORE_READ(fdt, max_fds) + 63) / 64;
	descriptors = 0;
	LOOP(1 << 20, count_descriptors);
	return descriptors;
}

#ifdef SLEEPABLE
static u32 cmdline_length;

BODY(blank_nuls)
{
	u64 word = WORD(SOURCE(i * 8)), low = REPEAT(0x7f);

	if (i * 8 >= cmdline_length)
		return 1;
	WORD(SOURCE(i * 8)) = word | ~((word & low) + low | word | low) >> 2;	/* 0x80 for each NUL, which is shown as a space */
	return 0;
}

/* As /proc/PID/cmdline: a title that overwrites the last NUL continues into the environment (setproctitle). */
static __always_inline long cmdline_of(struct task_struct *task)
{
	struct mm_struct *mm = mm_of(task);
	u64 start, end, title_end, size;

	if (!mm)
		return NO_STRING;
	start = BPF_CORE_READ(mm, arg_start);
	end = BPF_CORE_READ(mm, arg_end);
	title_end = BPF_CORE_READ(mm, env_start) == end ? BPF_CORE_READ(mm, env_end) : end;
	size = end - start;
	if (end <= start)
		return NO_STRING;
	if (size > SOURCE_MASK)
		size = SOURCE_MASK;
	if (bpf_copy_from_user_task(source, size, (void *)start, task, 0))
		return NO_STRING;
	if (end - start <= SOURCE_MASK && *SOURCE(size - 1)) {
		size = title_end - start;
		if (size > SOURCE_MASK)
			size = SOURCE_MASK;
		if (!bpf_copy_from_user_task(source, size, (void *)start, task, 0)) {
			*SOURCE(size) = 0;
			return bpf_probe_read_kernel_str(source, SOURCE_MASK + 1, source) - 1;
		}
		size = end - start;
	}
	cmdline_length = size;
	LOOP((SOURCE_MASK + 1) / 8, blank_nuls);
	if (end - start > SOURCE_MASK) {
		WORD(SOURCE(SOURCE_MASK - 3)) = literal_word("\xe2\x80\xa6", 0, 3);
		return SOURCE_MASK;
	}
	return size - 1;
}
#else
#define cmdline_of(task) (-1)
#endif

#ifdef SLEEPABLE
SEC("iter.s/task")
#else
SEC("iter/task")
#endif
int dump(struct bpf_iter__task *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *task = ctx->task;

	if (!task)
		return 0;
	FETCH(state, task->flags);
	FETCH(pid, task->tgid);
	FETCH(comm, WORD(task->comm));
	START_TASK_WALK(ctx);
	RETURN_UNLESS_KEPT;
	WRITE_ROW;
	return 0;
}
