// SPDX-License-Identifier: BSD-2-Clause
/*
 * load.c -- something to look at, until standard input ends
 *
 *	load tasks PROCESSES THREADS DESCRIPTORS	processes, each with so many threads and descriptors of several kinds
 *	load files PROCESSES DESCRIPTORS		processes, each with so many descriptors of one file
 *	load vmas PROCESSES MAPPINGS			processes, each with so many mappings, three of four of files
 *	load tcp SOCKETS				connections over the loopback interface, both ends here
 *	load udp SOCKETS				half of them connected to the others
 *	load unix SOCKETS				pairs, and one of four bound to an abstract name
 *	load netlink SOCKETS
 *	load maps MAPS					arrays of one element
 *	load progs PROGRAMS				socket filters of two instructions
 *	load cgroups FOLDER GROUPS			control groups below a new one in FOLDER, 99 in each of its children
 *	load elems ELEMENTS				elements of one hash
 *
 * It prints a line when everything is there, with a number: of elems, the map's ID. A child dies with its parent, whatever ends
 * that.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/bpf.h>
#include <linux/netlink.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void check(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int pipe_ends[2];

/* Threads of real programs sleep in more than one place. */
static void *sleep_somewhere(void *place)
{
	struct epoll_event event;
	sem_t never;
	char byte;

	sem_init(&never, 0, 0);
	for (;;) {
		switch ((long)place % 6) {
		case 0:
			pause();
			break;
		case 1:
			sem_wait(&never);
			break;
		case 2:
			poll(NULL, 0, -1);
			break;
		case 3:
			if (read(pipe_ends[0], &byte, 1) <= 0)
				pause();
			break;
		case 4:
			epoll_wait(epoll_create1(EPOLL_CLOEXEC), &event, 1, -1);
			break;
		default:
			sleep(1000000);
		}
	}
	return NULL;
}

static void open_descriptors(long count)
{
	static const char *const files[] = { "/dev/null", "/etc/passwd", "/usr/bin/env", "/proc/self/status", "/usr/lib", "/" };
	long i = 3;

	check(pipe2(pipe_ends, 0) == 0, "pipe");
	for (i += 2; i + 5 <= count; i += 5) {
		int pair[2];

		check(open(files[i % 6], O_RDONLY) >= 0 && open(files[i % 5], O_RDONLY) >= 0, "open");
		check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
		check(eventfd(0, 0) >= 0, "eventfd");
	}
	for (; i < count; i++)
		check(dup(0) >= 0, "dup");
}

/* A child that lives until this process ends: 0 in the child, which says with `*ready` that it is set up. */
static pid_t start(int *ready)
{
	int ends[2];
	char byte;
	pid_t child;

	check(pipe(ends) == 0, "pipe");
	child = fork();
	check(child >= 0, "fork");
	if (child) {
		close(ends[1]);
		check(read(ends[0], &byte, 1) == 1, "a child");
		close(ends[0]);
		return child;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(ends[0]);
	close(0);	/* that only the parent waits for the end of its input */
	check(open("/dev/null", O_RDONLY) == 0, "/dev/null");
	*ready = ends[1];
	return 0;
}

static void is_ready(int ready)
{
	check(write(ready, "", 1) == 1, "write");
	close(ready);
}

static void limit_descriptors(long count)
{
	struct rlimit limit;

	check(getrlimit(RLIMIT_NOFILE, &limit) == 0, "RLIMIT_NOFILE");
	limit.rlim_cur = count;
	check(setrlimit(RLIMIT_NOFILE, &limit) == 0, "RLIMIT_NOFILE");
}

static void tasks(long processes, long threads, long descriptors)
{
	pthread_attr_t small;

	/* One of the threads that sleep in epoll_wait makes a descriptor of its own. */
	if (threads > 4)
		descriptors -= 1 + (threads - 5) / 6;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	for (long i = 0; i < processes; i++) {
		int ready;

		if (start(&ready))
			continue;
		check(dup2(ready, 100) == 100, "dup2");
		close(ready);
		open_descriptors(descriptors);
		for (long j = 1; j < threads; j++) {
			pthread_t thread;

			check(!pthread_create(&thread, &small, sleep_somewhere, (void *)j), "pthread_create");
		}
		is_ready(100);
		sleep_somewhere(0);
	}
}

static void files(long processes, long descriptors)
{
	limit_descriptors(descriptors + 10);
	for (long i = 0; i < processes; i++) {
		int ready;

		if (start(&ready))
			continue;
		for (long fd = 4; fd <= descriptors; fd++)
			check(dup(0) >= 0, "dup");
		is_ready(ready);
		sleep_somewhere(0);
	}
}

/* Neighbours differ in file or access, so that the kernel does not merge them. */
static void map_pages(long mappings)
{
	static const char *const files[] = { "/usr/bin/env", "/etc/passwd", "/proc/self/exe" };
	static const int access[] = { PROT_READ, PROT_READ | PROT_EXEC, PROT_READ | PROT_WRITE };
	int fds[3];

	for (long i = 0; i < 3; i++)
		check((fds[i] = open(files[i], O_RDONLY)) >= 0, files[i]);
	for (long i = 0; i < mappings; i++) {
		int fd = i % 4 == 3 ? -1 : fds[i / 4 % 3];
		void *at = mmap(NULL, 4096, access[i % 3], MAP_PRIVATE | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);

		check(at != MAP_FAILED, "mmap");
	}
}

static void vmas(long processes, long mappings)
{
	for (long i = 0; i < processes; i++) {
		int ready;

		if (start(&ready))
			continue;
		map_pages(mappings);
		is_ready(ready);
		sleep_somewhere(0);
	}
}

#define PROCESS_SOCKETS 4000

/* A listener and connections to it. */
static void connections(long sockets)
{
	struct linger reset = { .l_onoff = 1 };	/* on close nothing remains in TIME_WAIT */
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	check(listener >= 0 && bind(listener, (void *)&address, size) == 0 && listen(listener, 64) == 0 &&
	      getsockname(listener, (void *)&address, &size) == 0, "listen");
	for (long made = 1; made + 2 <= sockets; made += 2) {
		int client = socket(AF_INET, SOCK_STREAM, 0), server;

		check(client >= 0 && connect(client, (void *)&address, size) == 0, "connect");
		server = accept(listener, NULL, NULL);
		check(server >= 0, "accept");
		setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		setsockopt(server, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	}
}

static void udp_sockets(long sockets)
{
	struct sockaddr_in last = {};

	for (long made = 0; made < sockets; made++) {
		struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		socklen_t size = sizeof(address);
		int fd = socket(AF_INET, SOCK_DGRAM, 0);

		check(fd >= 0 && bind(fd, (void *)&address, size) == 0, "bind");
		if (made % 2)
			check(connect(fd, (void *)&last, size) == 0, "connect");
		else
			check(getsockname(fd, (void *)&last, &size) == 0, "getsockname");
	}
}

static void unix_sockets(long sockets)
{
	for (long made = 0; made + 4 <= sockets; made += 4) {
		struct sockaddr_un name = { .sun_family = AF_UNIX };
		int pair[2], fd;

		check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0, "socketpair");
		close(pair[0]);
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "task-iter/bench-%d-%ld", getpid(), made);
		check(fd >= 0 && bind(fd, (void *)&name, sizeof(name.sun_family) + 1 + strlen(name.sun_path + 1)) == 0, "bind");
	}
}

static void netlink_sockets(long sockets)
{
	for (long made = 0; made < sockets; made++) {
		struct sockaddr_nl address = { .nl_family = AF_NETLINK };
		int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

		check(fd >= 0 && bind(fd, (void *)&address, sizeof(address)) == 0, "bind");
	}
}

/* In processes, each within its limit of descriptors. */
static void sockets(void (*make)(long), long count)
{
	limit_descriptors(PROCESS_SOCKETS + 100);
	for (long made = 0; made < count; made += PROCESS_SOCKETS) {
		int ready;

		if (start(&ready))
			continue;
		make(count - made < PROCESS_SOCKETS ? count - made : PROCESS_SOCKETS);
		is_ready(ready);
		sleep_somewhere(0);
	}
}

static long sys_bpf(enum bpf_cmd command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int map(unsigned type, unsigned entries)
{
	union bpf_attr attr = { .map_type = type, .key_size = 4, .value_size = 16, .max_entries = entries };
	int fd;

	memcpy(attr.map_name, "bench", 6);
	fd = sys_bpf(BPF_MAP_CREATE, &attr);
	check(fd >= 0, "a map");
	return fd;
}

static void program(void)
{
	static const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K },	/* r0 = 0 */
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
		.insns = (unsigned long)code,
		.insn_cnt = sizeof(code) / sizeof(code[0]),
		.license = (unsigned long)"GPL",
	};

	memcpy(attr.prog_name, "bench", 6);
	check(sys_bpf(BPF_PROG_LOAD, &attr) >= 0, "a program");
}

/* The ID of a hash with so many elements. */
static unsigned elements(unsigned count)
{
	struct bpf_map_info info = {};
	union bpf_attr attr = {};
	int fd = map(BPF_MAP_TYPE_HASH, count);

	for (unsigned key = 0; key < count; key++) {
		unsigned long long value[2] = { key, key * 0x9e3779b97f4a7c15ull };

		attr = (union bpf_attr){ .map_fd = fd, .key = (unsigned long)&key, .value = (unsigned long)value };
		check(sys_bpf(BPF_MAP_UPDATE_ELEM, &attr) == 0, "an element");
	}
	attr = (union bpf_attr){ .info = { .bpf_fd = fd, .info_len = sizeof(info), .info = (unsigned long)&info } };
	check(sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) == 0, "the map's ID");
	return info.id;
}

#define GROUP_CHILDREN 99

/* Makes control groups below a new one, or removes them. */
static void groups(const char *folder, long count, int make)
{
	char path[PATH_MAX];

	if (make) {
		snprintf(path, sizeof(path), "%s/task-iter-bench-%d", folder, getpid());
		check(mkdir(path, 0755) == 0, path);
	}
	for (long i = 0; i < count; i++) {
		long child = i / (GROUP_CHILDREN + 1), at = i % (GROUP_CHILDREN + 1);
		int length = snprintf(path, sizeof(path), "%s/task-iter-bench-%d/bench-%ld.slice", folder, getpid(), child);

		if (make) {
			if (at)
				snprintf(path + length, sizeof(path) - length, "/session-%ld.scope", at);
			check(mkdir(path, 0755) == 0, path);
			continue;
		}
		/* Children before their parent: its place comes last. */
		if (at < GROUP_CHILDREN)
			snprintf(path + length, sizeof(path) - length, "/session-%ld.scope", at + 1);
		rmdir(path);
	}
	if (!make) {
		/* The last child may have fewer than all its children. */
		snprintf(path, sizeof(path), "%s/task-iter-bench-%d/bench-%ld.slice", folder, getpid(), (count - 1) / (GROUP_CHILDREN + 1));
		rmdir(path);
		snprintf(path, sizeof(path), "%s/task-iter-bench-%d", folder, getpid());
		rmdir(path);
	}
}

int main(int count, char **arguments)
{
	const char *kind = arguments[1];
	int is_group = count == 4 && !strcmp(kind, "cgroups");
	unsigned id = 0;
	long number[3] = {};
	char byte;

	signal(SIGPIPE, SIG_IGN);
	setpgid(0, 0);
	for (int i = 2; i < count && i < 5; i++)
		number[i - 2] = atol(arguments[i]);
	if (count == 5 && !strcmp(kind, "tasks")) {
		tasks(number[0], number[1], number[2]);
	} else if (count == 4 && !strcmp(kind, "files")) {
		files(number[0], number[1]);
	} else if (count == 4 && !strcmp(kind, "vmas")) {
		vmas(number[0], number[1]);
	} else if (is_group) {
		groups(arguments[2], number[1], 1);
	} else if (count == 3 && !strcmp(kind, "tcp")) {
		sockets(connections, number[0]);
	} else if (count == 3 && !strcmp(kind, "udp")) {
		sockets(udp_sockets, number[0]);
	} else if (count == 3 && !strcmp(kind, "unix")) {
		sockets(unix_sockets, number[0]);
	} else if (count == 3 && !strcmp(kind, "netlink")) {
		sockets(netlink_sockets, number[0]);
	} else if (count == 3 && !strcmp(kind, "maps")) {
		limit_descriptors(number[0] + 100);
		for (long i = 0; i < number[0]; i++)
			map(BPF_MAP_TYPE_ARRAY, 1);
	} else if (count == 3 && !strcmp(kind, "progs")) {
		limit_descriptors(number[0] + 100);
		for (long i = 0; i < number[0]; i++)
			program();
	} else if (count == 3 && !strcmp(kind, "elems")) {
		id = elements(number[0]);
	} else {
		return 2;
	}
	printf("%u\n", id);
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	if (is_group)
		groups(arguments[2], number[1], 0);
	/* The children are gone before this process is, so that the next load starts on a machine without them. */
	signal(SIGTERM, SIG_IGN);
	kill(0, SIGTERM);
	while (wait(NULL) > 0)
		;
	return 0;
}
