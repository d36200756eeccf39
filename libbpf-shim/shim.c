// SPDX-License-Identifier: BSD-2-Clause
/* shim.c -- all functions of shim.h; light.c or libbpf.c loads the program */
#include "internal.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/bpf.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

long sys_bpf(enum bpf_cmd command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

int info_of(int fd, void *info, __u32 size)
{
	union bpf_attr attr = {};

	attr.info.bpf_fd = fd;
	attr.info.info_len = size;
	attr.info.info = (unsigned long)info;
	return sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) < 0 ? -errno : 0;
}

int fail(struct task_iter *it, const char *step, int error)
{
	if (it)
		snprintf(it->error, sizeof(it->error), "%s: %s", step, strerror(error));
	return -error;
}

__u32 task_iter_version(void)
{
	return LAYOUT;
}

struct task_iter *task_iter_open(const void *program, __u32 size)
{
	struct task_iter *it = calloc(1, sizeof(*it));
	int error;

	if (!it)
		return NULL;
	for (int i = 0; i < STAGES; i++)
		it->prog_fd[i] = it->link_fd[i] = -1;
	for (int i = 0; i < SIZED_MAPS; i++)
		it->map_fd[i] = -1;
	error = program ? loader_open(it, program, size) : -EINVAL;
	if (error == -ENOMEM) {
		free(it);
		return NULL;
	}
	if (error)
		snprintf(it->error, sizeof(it->error), "open: these bytes are not a program that this library loads");
	return it;
}

/* The beginning of a file of /proc or /sys; "" where it cannot be read. */
static void text_of(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? 0 : read(fd, text, size - 1);

	text[length < 0 ? 0 : length] = 0;
	if (fd >= 0)
		close(fd);
}

/* The number at *text, which then points behind that number. */
static unsigned long number_at(const char **text)
{
	unsigned long number = 0;

	for (; **text >= '0' && **text <= '9'; ++*text)
		number = number * 10 + (**text - '0');
	return number;
}

/* A list as the kernel writes it, "0-3,8": how many numbers it has; and one more than the last one. Both are 0 without a list. */
static void read_list(const char *path, unsigned long *count, unsigned long *end)
{
	char text[4096];
	const char *at = text;

	*count = *end = 0;
	text_of(path, text, sizeof(text));
	while (*at >= '0' && *at <= '9') {
		unsigned long first = number_at(&at);

		*end = first + 1;
		if (*at == '-') {
			at++;
			*end = number_at(&at) + 1;
		}
		*count += *end - first;
		if (*at == ',')
			at++;
	}
}

/* Fills in what the query knows of this machine. To read a file, JavaScript first loads functions for 5 ms on a slow machine. */
static void describe_machine(struct query *query)
{
	unsigned long cpus, nodes, unused, files = 1 << 16;
	char text[64];
	const char *at = text;

	query->page_shift = __builtin_ctzl(sysconf(_SC_PAGESIZE));
	if (query->cpus == 1) {
		read_list("/sys/devices/system/cpu/possible", &cpus, &unused);
		query->cpus = cpus ?: sysconf(_SC_NPROCESSORS_CONF);
	}
	if (query->nodes == 1) {
		read_list("/sys/devices/system/node/possible", &unused, &nodes);
		query->nodes = nodes ?: 1;
	}
	if (query->owners_max != 1)
		return;
	/*
	 * An owner for each socket: there are no more of them than open files, and a quarter as many again may be opened meanwhile. Texts:
	 * a few for each process with sockets.
	 */
	text_of("/proc/sys/fs/file-nr", text, sizeof(text));
	if (*at)
		files = number_at(&at);
	if (files > 1 << 28)
		files = 1 << 28;
	query->owners_max = 1024 + files + (files + 3) / 4;
	if (query->texts_max == 1)
		query->texts_max = 16384 + files / 2;
}

int task_iter_configure(struct task_iter *it, const void *query, __u32 size, __u32 verbose)
{
	if (it && !it->query)
		return -EINVAL;	/* open has said why */
	if (!it || !query || size != sizeof(struct query) || it->spent)
		return fail(it, "configure", EINVAL);
	memcpy(it->query, query, size);
	describe_machine(it->query);
	if (verbose && !it->log) {
		it->log = calloc(1, LOG_SIZE);
		if (!it->log)
			return fail(it, "configure", ENOMEM);
		it->log_level = verbose;
	}
	it->configured = 1;
	return 0;
}

/*
 * Blocks all signals of this thread but synchronous faults and `others`: the verifier stops with EAGAIN when a signal is pending, for
 * example from a profiler or a garbage collector. sigprocmask acts on this thread only, like pthread_sigmask, which was in another
 * library before glibc 2.32.
 */
static void block_signals(const int *others, size_t count, sigset_t *before)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };
	sigset_t blocked;

	sigfillset(&blocked);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&blocked, faults[i]);
	for (size_t i = 0; i < count; i++)
		sigdelset(&blocked, others[i]);
	sigprocmask(SIG_BLOCK, &blocked, before);
}

/* Loads that have begun take turns: at most as many as there are processors run at once, in the order of their beginnings. */
static pthread_mutex_t turns = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_ended = PTHREAD_COND_INITIALIZER;
static unsigned long turns_begun, turns_ended, processors;

static void *load_begun(void *handle)
{
	struct task_iter *it = handle;
	int unwanted;

	pthread_mutex_lock(&turns);
	while (it->turn >= turns_ended + processors)
		pthread_cond_wait(&turn_ended, &turns);
	unwanted = it->unwanted;
	pthread_mutex_unlock(&turns);
	it->result = unwanted ? -ECANCELED : loader_load(it);
	pthread_mutex_lock(&turns);
	turns_ended++;
	pthread_cond_broadcast(&turn_ended);
	pthread_mutex_unlock(&turns);
	return NULL;
}

/* Since glibc 2.34 in libc.so.6; before, in a library that a runtime with threads has loaded. */
#ifdef __x86_64__
#define OLD_GLIBC "GLIBC_2.2.5"
#else
#define OLD_GLIBC "GLIBC_2.17"
#endif
__asm__(".symver pthread_create, pthread_create@" OLD_GLIBC);
__asm__(".symver pthread_join, pthread_join@" OLD_GLIBC);

int task_iter_begin(struct task_iter *it)
{
	sigset_t before;
	int error;

	if (!it || !it->configured || it->spent)
		return fail(it, "load", EINVAL);
	/* A thread begins with the mask of its creator. */
	block_signals(NULL, 0, &before);
	pthread_mutex_lock(&turns);
	if (!processors)
		processors = sysconf(_SC_NPROCESSORS_ONLN);
	it->turn = turns_begun;
	error = pthread_create(&it->thread, NULL, load_begun, it);
	if (!error)
		turns_begun++;
	pthread_mutex_unlock(&turns);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (error)
		return fail(it, "load", error);
	it->begun = it->spent = 1;
	return 0;
}

int task_iter_load(struct task_iter *it)
{
	static const int ends[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
	sigset_t before;

	if (it && it->begun) {
		pthread_join(it->thread, NULL);
		it->begun = 0;
	} else if (!it || !it->configured || it->spent) {
		return fail(it, "load", EINVAL);
	} else {
		it->spent = 1;
		block_signals(ends, sizeof(ends) / sizeof(ends[0]), &before);
		it->result = loader_load(it);
		sigprocmask(SIG_SETMASK, &before, NULL);
	}
	return it->result < 0 ? fail(it, "load", -it->result) : 0;
}

static int attach(struct task_iter *it, int stage, union bpf_iter_link_info *info)
{
	union bpf_attr attr = {};
	int fd;

	attr.link_create.prog_fd = it->prog_fd[stage];
	attr.link_create.attach_type = BPF_TRACE_ITER;
	if (info) {
		attr.link_create.iter_info = (unsigned long)info;
		attr.link_create.iter_info_len = sizeof(*info);
	}
	fd = sys_bpf(BPF_LINK_CREATE, &attr);
	if (fd < 0)
		return fail(it, "attach", errno);
	if (it->link_fd[stage] >= 0)
		close(it->link_fd[stage]);
	it->link_fd[stage] = fd;
	return 0;
}

int task_iter_attach(struct task_iter *it, __u32 pid, __u32 tid, __u32 map_id)
{
	union bpf_iter_link_info info = {};
	union bpf_attr attr = {};
	int result, map;

	if (!it || it->prog_fd[STAGE_DUMP] < 0)
		return fail(it, "attach", EINVAL);
	if (map_id) {
		attr.map_id = map_id;
		map = sys_bpf(BPF_MAP_GET_FD_BY_ID, &attr);
		if (map < 0)
			return fail(it, "map", errno);
		info.map.map_fd = map;
		result = attach(it, STAGE_DUMP, &info);
		close(map);
		return result;
	}
	if (tid)
		info.task.tid = tid;
	else if (pid)
		info.task.pid = pid;
	return attach(it, STAGE_DUMP, pid || tid ? &info : NULL);
}

int task_iter_attach_cgroups(struct task_iter *it)
{
	union bpf_iter_link_info info = {};

	if (!it || it->prog_fd[STAGE_DUMP] < 0)
		return fail(it, "attach", EINVAL);
	info.cgroup.order = BPF_CGROUP_ITER_DESCENDANTS_PRE;
	return attach(it, STAGE_DUMP, &info);
}

static int iter_create(struct task_iter *it, int stage)
{
	union bpf_attr attr = {};
	int fd;

	if (!it || it->link_fd[stage] < 0)
		return fail(it, "iter_create", EINVAL);
	attr.iter_create.link_fd = it->link_fd[stage];
	fd = sys_bpf(BPF_ITER_CREATE, &attr);
	return fd < 0 ? fail(it, "iter_create", errno) : fd;
}

int task_iter_resume(struct task_iter *it)
{
	return iter_create(it, STAGE_DUMP);
}

/* Deletes all that an earlier pass has left in a map. Hashes have this command since Linux 5.6. */
static int empty(int map_fd)
{
	struct bpf_map_info map = {};
	union bpf_attr attr = {};
	__u32 at = 0, next, count = 4096;
	int error = info_of(map_fd, &map, sizeof(map));
	char *buffer;

	if (error < 0)
		return error;
	buffer = malloc((map.key_size + map.value_size) * count);
	if (!buffer)
		return -ENOMEM;
	for (int first = 1; !error; first = 0, at = next) {
		memset(&attr, 0, sizeof(attr));
		attr.batch.map_fd = map_fd;
		attr.batch.in_batch = first ? 0 : (unsigned long)&at;
		attr.batch.out_batch = (unsigned long)&next;
		attr.batch.keys = (unsigned long)buffer;
		attr.batch.values = (unsigned long)(buffer + map.key_size * count);
		attr.batch.count = count;
		if (sys_bpf(BPF_MAP_LOOKUP_AND_DELETE_BATCH, &attr) < 0)
			error = -errno;
	}
	free(buffer);
	return error == -ENOENT ? 0 : error;	/* the end of the map */
}

int task_iter_stage(struct task_iter *it, __u32 stage)
{
	union bpf_iter_link_info info = {};
	int error;

	if (!it || stage >= STAGES || it->prog_fd[stage] < 0)
		return fail(it, "attach", EINVAL);
	if (it->link_fd[stage] < 0) {
		info.map.map_fd = it->map_fd[stage == STAGE_GONE ? CHANGES : GROUPS];
		error = attach(it, stage, stage == STAGE_PREPARE ? NULL : &info);
		if (error)
			return error;
	} else if (stage == STAGE_PREPARE && it->map_fd[TEXTS] >= 0) {
		error = empty(it->map_fd[TEXTS]);
		if (error)
			return fail(it, "owners", -error);
	}
	return iter_create(it, stage);
}

int task_iter_create(struct task_iter *it)
{
	int fd = task_iter_resume(it);

	if (fd < 0)
		return fd;
	it->progress->seq_num = ~0ull;
	it->progress->walked = it->progress->rows = it->progress->shown = it->progress->cut = 0;
	return fd;
}

/* An iterator reads the network namespace of the thread that creates the iterator. */
static int create_in(struct task_iter *it, __u32 netns, int (*create)(struct task_iter *it))
{
	int own, fd;

	if (!it || it->link_fd[STAGE_DUMP] < 0)
		return fail(it, "netns", EINVAL);
	own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (own < 0)
		return fail(it, "netns", errno);
	if (setns(netns, CLONE_NEWNET) < 0) {
		fd = fail(it, "netns", errno);
	} else {
		fd = create(it);
		if (setns(own, CLONE_NEWNET) < 0) {
			if (fd >= 0)
				close(fd);
			fd = fail(it, "netns", errno);
		}
	}
	close(own);
	return fd;
}

int task_iter_create_in(struct task_iter *it, __u32 netns)
{
	return create_in(it, netns, task_iter_create);
}

int task_iter_resume_in(struct task_iter *it, __u32 netns)
{
	return create_in(it, netns, task_iter_resume);
}

int task_iter_read(struct task_iter *it, int fd, void *buffer, __u32 size)
{
	ssize_t got = read(fd, buffer, size);

	return got < 0 ? fail(it, "read", errno) : got;
}

int task_iter_close(int fd)
{
	return close(fd) < 0 ? -errno : 0;
}

int task_iter_write(struct task_iter *it, int fd, const void *bytes, __u32 size)
{
	struct pollfd full = { fd, POLLOUT, 0 };
	const char *rest = bytes;
	ssize_t wrote;

	if (!bytes || (fd <= STDERR_FILENO && fcntl(fd, F_GETFD) & FD_CLOEXEC))
		return fail(it, "write", bytes ? EBADF : EINVAL);
	while (size > 0) {
		wrote = write(fd, rest, size);
		if (wrote >= 0) {
			rest += wrote;
			size -= wrote;
		} else if (errno == EAGAIN) {
			poll(&full, 1, -1);
		} else if (errno != EINTR) {
			return fail(it, "write", errno);
		}
	}
	return 0;
}

static int fill_automaton(struct task_iter *it, const char *rows, __u32 size)
{
	union bpf_attr attr = {};

	for (__u32 state = 0; state < size / AUTOMATON_ROW; state++) {
		attr.map_fd = it->map_fd[AUTOMATON];
		attr.key = (unsigned long)&state;
		attr.value = (unsigned long)(rows + state * AUTOMATON_ROW);
		if (sys_bpf(BPF_MAP_UPDATE_ELEM, &attr) < 0)
			return fail(it, "fill", errno);
	}
	return 0;
}

int task_iter_fill(struct task_iter *it, __u32 variable, const void *bytes, __u32 size)
{
	if (it && bytes && variable == FILL_AUTOMATON && it->map_fd[AUTOMATON] >= 0)
		return fill_automaton(it, bytes, size);
	if (!it || !it->bss || !bytes || variable >= FILLS || size > it->fill[variable].size)
		return fail(it, "fill", EINVAL);
	memcpy(it->bss + it->fill[variable].at, bytes, size);
	return 0;
}

int task_iter_stamp(struct task_iter *it, const char *text)
{
	if (!it || !it->progress || !text || strlen(text) >= STAMP_SIZE)
		return fail(it, "stamp", EINVAL);
	it->progress->pass++;
	it->progress->met = 0;
	it->progress->stamp_length = strlen(text);
	memcpy(it->progress->stamp, text, strlen(text));
	return 0;
}

int task_iter_lost(struct task_iter *it)
{
	if (!it || !it->progress)
		return fail(it, "progress", EINVAL);
	return it->progress->lost < INT_MAX ? it->progress->lost : INT_MAX;
}

int task_iter_progress(struct task_iter *it, __u64 out[5])
{
	if (!it || !it->progress || !out)
		return fail(it, "progress", EINVAL);
	out[0] = it->progress->walked;
	out[1] = it->progress->rows + it->progress->shown;
	out[2] = it->progress->forgotten;
	out[3] = it->progress->held - it->progress->met;
	out[4] = it->progress->cut;
	return 0;
}

int task_iter_pin(struct task_iter *it, const char *path)
{
	union bpf_attr attr = {};

	if (!it || it->link_fd[STAGE_DUMP] < 0 || !path)
		return fail(it, "pin", EINVAL);
	attr.pathname = (unsigned long)path;
	attr.bpf_fd = it->link_fd[STAGE_DUMP];
	return sys_bpf(BPF_OBJ_PIN, &attr) < 0 ? fail(it, "pin", errno) : 0;
}

int task_iter_program_size(struct task_iter *it)
{
	struct bpf_prog_info info = {};
	int error;

	if (!it || it->prog_fd[STAGE_DUMP] < 0)
		return fail(it, "program_size", EINVAL);
	error = info_of(it->prog_fd[STAGE_DUMP], &info, sizeof(info));
	return error < 0 ? fail(it, "program_size", -error) : (int)info.xlated_prog_len;
}

int task_iter_map_btf(__u32 map_id, __u32 out[5], void *btf, __u32 size)
{
	struct bpf_map_info map = {};
	struct bpf_btf_info info = {};
	union bpf_attr attr = {};
	int fd, error;

	if (!out || !btf)
		return -EINVAL;
	attr.map_id = map_id;
	fd = sys_bpf(BPF_MAP_GET_FD_BY_ID, &attr);
	if (fd < 0)
		return -errno;
	error = info_of(fd, &map, sizeof(map));
	close(fd);
	if (error || !map.btf_id)
		return error;
	out[0] = map.type;
	out[1] = map.btf_key_type_id;
	out[2] = map.btf_value_type_id;
	out[3] = map.key_size;
	out[4] = map.value_size;
	memset(&attr, 0, sizeof(attr));
	attr.btf_id = map.btf_id;
	fd = sys_bpf(BPF_BTF_GET_FD_BY_ID, &attr);
	if (fd < 0)
		return -errno;
	info.btf = (unsigned long)btf;
	info.btf_size = size;
	error = info_of(fd, &info, sizeof(info));
	close(fd);
	return error ?: (int)info.btf_size;
}

const char *task_iter_error(struct task_iter *it)
{
	return it ? it->error : "no program";
}

const char *task_iter_log(struct task_iter *it)
{
	return it && it->log ? it->log : "";
}

void task_iter_free(struct task_iter *it)
{
	if (!it)
		return;
	if (it->begun) {
		pthread_mutex_lock(&turns);
		it->unwanted = 1;
		pthread_mutex_unlock(&turns);
		pthread_join(it->thread, NULL);
	}
	for (int i = 0; i < STAGES; i++)
		if (it->link_fd[i] >= 0)
			close(it->link_fd[i]);
	if (it->object)
		loader_free(it);
	free(it->log);
	free(it);
}
