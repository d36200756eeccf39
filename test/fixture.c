// SPDX-License-Identifier: BSD-2-Clause
/*
 * fixture.c -- processes for the tests to look at: fixture MODE [ARGUMENT ...]; alone it lists its modes
 *
 * A mode sets something up and prints one line of JSON about it; then the process waits until its standard input ends.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/dma-buf.h>
#include <linux/netlink.h>
#include <linux/udmabuf.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void check(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static void mode_name(char **arguments)
{
	check(arguments[0] != NULL, "NAME");
	check(prctl(PR_SET_NAME, arguments[0]) == 0, "prctl");
	printf("{}\n");
}

static void put_file(const char *name, const char *text)
{
	int fd = open(name, O_RDWR | O_CREAT, 0600);

	check(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), name);
}

static void *sleep_as(void *name)
{
	prctl(PR_SET_NAME, name);
	for (;;)
		pause();
}

static void mode_values(char **arguments)
{
	static char names[][16] = { "", "alpha", "a \"b\" 'c' *", "exactly15bytes!", "caf\xc3\xa9" };
	char directory[256];
	int ends[2], fd;
	pthread_t thread;
	size_t length;

	check(arguments[0] && chdir(arguments[0]) == 0, "FOLDER");
	check(prctl(PR_SET_NAME, "values-fixture") == 0, "prctl");
	put_file("plain", "0123456789");
	put_file("*stars*in\"the'name\\", "");
	put_file("new\nline\ttab", "x");
	put_file("caf\xc3\xa9 \xe6\x97\xa5", "xyz");
	put_file("deleted.log", "gone");
	check(unlink("deleted.log") == 0, "unlink");
	put_file("owned", "");
	check(chown("owned", 4294967294u, 4294967294u) == 0, "chown");
	check(open("plain", O_RDONLY) >= 0 && open("plain", O_WRONLY | O_APPEND | O_CLOEXEC) >= 0, "plain");
	check(open(".", O_RDONLY | O_DIRECTORY) >= 0 && open("/dev/null", O_RDWR) >= 0, "open");
	check(pipe(ends) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "pipe");
	check(epoll_create1(0) >= 0 && eventfd(7, 0) >= 0, "epoll");
	check((fd = memfd_create("far", 0)) >= 0 && lseek(fd, INT64_MAX, SEEK_SET) == INT64_MAX, "memfd");
	check(ftruncate(fd, INT64_MAX) == 0 && fcntl(fd, F_DUPFD, 1000) == 1000, "memfd");
	check((fd = open("/proc/self/mem", O_RDONLY)) >= 0, "mem");
	lseek(fd, -4096, SEEK_SET);	/* an address, not a position: it is kept as it is */
	length = strlen(arguments[0]);
	while (length < 4000 - 4) {
		size_t part = 4000 - 4 - length - 1 < 250 ? 4000 - 4 - length - 1 : 250;

		memset(directory, 'd', part);
		directory[part] = 0;
		if (part)
			check(mkdir(directory, 0700) == 0 && chdir(directory) == 0, "mkdir");
		length += part + 1;
	}
	put_file("end", "");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		check(pthread_create(&thread, NULL, sleep_as, names[i]) == 0, "thread");
	usleep(100000);
	printf("{}\n");
}

/* The bytes that hexadecimal digits stand for; their number. */
static size_t unhex(const char *digits, char *bytes, size_t size)
{
	size_t length = 0;
	unsigned int byte;

	for (; length + 1 < size && sscanf(digits + 2 * length, "%2x", &byte) == 1; length++)
		bytes[length] = byte;
	bytes[length] = '\0';
	return length;
}

static void mode_names(char **arguments)
{
	static char line[16384], bytes[8192];
	int folder = open(arguments[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;

	check(folder >= 0, arguments[0]);
	printf("{}\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		unhex(line + 5, bytes, sizeof(bytes));
		if (!strncmp(line, "name ", 5)) {
			check(prctl(PR_SET_NAME, bytes) == 0, "prctl");
		} else {
			fd = openat(folder, bytes, O_RDWR | O_CREAT, 0600);
			check(fd >= 0, "openat");
			check(dup2(fd, 100) == 100, "dup2");
			close(fd);
		}
		printf("{}\n");
		fflush(stdout);
	}
}

static void mode_deep(char **arguments)
{
	int fd = open(arguments[0], O_RDONLY | O_DIRECTORY), next;
	char name[256];

	check(fd >= 0, arguments[0]);
	unhex(arguments[1], name, sizeof(name));
	for (int i = 0; i < atoi(arguments[2]); i++) {
		check(mkdirat(fd, name, 0700) == 0 || errno == EEXIST, "mkdirat");
		next = openat(fd, name, O_RDONLY | O_DIRECTORY);
		check(next >= 0, "openat");
		close(fd);
		fd = next;
	}
	check(dup2(fd, 100) == 100, "dup2");
	printf("{}\n");
}

static const char *separator;

/* One more descriptor of the process, which prints its number by a name for the kind. */
static void kind(const char *name, int fd)
{
	if (fd < 0)	/* this kernel or machine has none */
		return;
	printf("%s\"%s\":%d", separator, name, fd);
	separator = ",";
}

static void mode_descriptors(char **arguments)
{
	union bpf_attr map = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1 };
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "sock" };
	struct itimerspec hour = { .it_value.tv_sec = 3600 };
	int pipes[2], pair[2], fd;
	sigset_t signals;

	check(chdir(arguments[0]) == 0, arguments[0]);
	separator = "";
	printf("{");

	fd = open("regular", O_RDWR | O_CREAT | O_APPEND, 0640);
	check(fd >= 0 && write(fd, "twelve bytes", 12) == 12, "regular");
	kind("regular", fd);
	fd = open("regular", O_RDONLY | O_CLOEXEC);
	check(lseek(fd, 5, SEEK_SET) == 5, "lseek");
	kind("read at 5", fd);
	kind("write only", open("regular", O_WRONLY | O_NONBLOCK));
	check((fd = open("far", O_RDWR | O_CREAT, 0600)) >= 0, "far");
	check(ftruncate(fd, 5ll << 40) == 0 || ftruncate(fd, 5ll << 30) == 0, "ftruncate");
	lseek(fd, 3ll << 30, SEEK_SET);
	kind("far", fd);
	check((fd = open("owned", O_RDWR | O_CREAT, 0600)) >= 0 && fchown(fd, 4000000000u, 12) == 0, "owned");
	kind("owned", fd);
	check((fd = open("gone", O_RDWR | O_CREAT, 0600)) >= 0 && unlink("gone") == 0, "gone");
	kind("gone", fd);
	check((fd = open("kept", O_RDWR | O_CREAT, 0600)) >= 0 && link("kept", "kept-too") == 0 && unlink("kept") == 0, "kept");
	kind("one of two names gone", fd);
	kind("unnamed", open(".", O_TMPFILE | O_RDWR, 0600));
	kind("folder", open(".", O_RDONLY | O_DIRECTORY));
	check(mkdir("no-folder", 0700) == 0, "mkdir");
	kind("deleted folder", open("no-folder", O_RDONLY | O_DIRECTORY));
	check(rmdir("no-folder") == 0, "rmdir");
	check(symlink("regular", "link") == 0, "symlink");
	kind("link", open("link", O_PATH | O_NOFOLLOW));
	kind("path only", open("regular", O_PATH));
	check(mkfifo("fifo", 0600) == 0, "mkfifo");
	kind("fifo", open("fifo", O_RDWR));
	check(pipe2(pipes, O_NONBLOCK) == 0, "pipe2");
	kind("pipe, reading", pipes[0]);
	kind("pipe, writing", pipes[1]);
	check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
	kind("socket of a pair", pair[0]);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	check(bind(fd, (void *)&address, sizeof(address)) == 0, "bind");
	kind("bound socket", fd);
	kind("tcp socket", socket(AF_INET, SOCK_STREAM, 0));
	kind("udp6 socket", socket(AF_INET6, SOCK_DGRAM, 0));
	kind("netlink socket", socket(AF_NETLINK, SOCK_RAW, 0));
	kind("null", open("/dev/null", O_WRONLY));
	kind("zero", open("/dev/zero", O_RDWR));
	kind("urandom", open("/dev/urandom", O_RDONLY));
	kind("terminal", open("/dev/ptmx", O_RDWR | O_NOCTTY));
	kind("disk", open("/dev/vda", O_RDONLY));
	kind("loop device", open("/dev/loop0", O_RDONLY));
	kind("ram disk", open("/dev/ram0", O_RDONLY));
	kind("memory", open("/proc/self/mem", O_RDONLY));
	kind("procfs", open("/proc/version", O_RDONLY));
	kind("sysfs", open("/sys/kernel/btf/vmlinux", O_RDONLY));
	kind("namespace", open("/proc/self/ns/net", O_RDONLY));
	kind("epoll", epoll_create1(EPOLL_CLOEXEC));
	kind("eventfd", eventfd(7, EFD_NONBLOCK));
	fd = timerfd_create(CLOCK_MONOTONIC, 0);
	check(timerfd_settime(fd, 0, &hour, NULL) == 0, "timerfd_settime");
	kind("timerfd", fd);
	sigemptyset(&signals);
	kind("signalfd", signalfd(-1, &signals, 0));
	kind("inotify", inotify_init1(IN_CLOEXEC));
	kind("pidfd", syscall(SYS_pidfd_open, getpid(), 0));
	fd = memfd_create("a name", MFD_ALLOW_SEALING);
	check(ftruncate(fd, 8192) == 0, "memfd");
	kind("memfd", fd);
	kind("secret memory", syscall(SYS_memfd_secret, 0));
	kind("bpf map", syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof(map)));
	kind("high number", fcntl(0, F_DUPFD, 1000));
	printf("}\n");
}

static void mode_many(char **arguments)
{
	struct rlimit limit = { atoi(arguments[0]) + 100, atoi(arguments[0]) + 100 };
	int fd = open("/dev/null", O_RDONLY);

	check(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
	for (int i = 1; i < atoi(arguments[0]); i++)
		check(dup(fd) >= 0, "dup");
	printf("{\"first\":%d}\n", fd);
}

static void *wait_forever(void *name)
{
	if (name)
		prctl(PR_SET_NAME, name);
	for (;;)
		pause();
	return NULL;
}

static void start_thread(void *(*run)(void *), void *argument)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 64 * 1024);
	check(pthread_create(&thread, &attributes, run, argument) == 0, "pthread_create");
}

static void mode_threads(char **arguments)
{
	for (int i = 0; i < atoi(arguments[0]); i++)
		start_thread(wait_forever, "a thread");
	printf("{}\n");
}

static int sleeper_files[7], sleepers;	/* nothing will ever come out of these; threads on the way to their place */

/* Sleeps a moment in some places, so that return addresses are left over in its stack, then in its own for ever. */
static void *sleep_in(void *place)
{
	struct pollfd polled[] = { { sleeper_files[0], POLLIN, 0 }, { sleeper_files[1], POLLIN, 0 }, { sleeper_files[2], POLLIN, 0 } };
	struct timespec moment = { .tv_nsec = 1000000 };
	int epoll = epoll_create1(EPOLL_CLOEXEC), futex = 0;
	struct epoll_event event;
	fd_set set;
	char bytes[256];

	FD_ZERO(&set);
	FD_SET(sleeper_files[0], &set);
	epoll_wait(epoll, &event, 1, 1);
	poll(polled, 3, 1);
	nanosleep(&moment, NULL);
	pselect(sleeper_files[0] + 1, &set, NULL, NULL, &moment, NULL);
	syscall(SYS_futex, &futex, 0 /* FUTEX_WAIT */, 0, &moment, NULL, 0);
	FD_SET(sleeper_files[0], &set);
	__atomic_sub_fetch(&sleepers, 1, __ATOMIC_RELAXED);
	for (;;) {
		switch ((long)place) {
		case 0:
			pause();
			break;
		case 1:
			syscall(SYS_futex, &futex, 0, 0, NULL, NULL, 0);
			break;
		case 2:
			poll(polled, 3, -1);
			break;
		case 3:
			pselect(sleeper_files[0] + 1, &set, NULL, NULL, NULL, NULL);
			break;
		case 4:
			epoll_wait(epoll, &event, 1, -1);
			break;
		case 5:
			moment.tv_sec = 1 << 30;
			nanosleep(&moment, NULL);
			break;
		case 6:
			accept(sleeper_files[6], NULL, NULL);
			break;
		default:
			check(read(sleeper_files[(long)place - 7], bytes, sizeof(bytes)) < 0 && errno == EINTR, "read");
		}
	}
	return NULL;
}

static void mode_sleepers(char **arguments)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	int pipe_ends[2], pair[2], number = atoi(arguments[0]), places = 13;

	check(pipe(pipe_ends) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "pipe");
	sleeper_files[0] = pipe_ends[0];
	sleeper_files[1] = pair[0];
	sleeper_files[2] = eventfd(0, 0);
	sleeper_files[3] = timerfd_create(CLOCK_MONOTONIC, 0);
	sleeper_files[4] = inotify_init();
	sleeper_files[5] = socket(AF_INET, SOCK_DGRAM, 0);
	sleeper_files[6] = socket(AF_INET, SOCK_STREAM, 0);
	check(bind(sleeper_files[5], (void *)&any, sizeof(any)) == 0 && listen(sleeper_files[6], 1) == 0, "bind");
	sleepers = number * places;
	for (long i = 0; i < number * places; i++)
		start_thread(sleep_in, (void *)(i % places));
	while (__atomic_load_n(&sleepers, __ATOMIC_RELAXED))
		usleep(1000);
	printf("{\"places\":%d}\n", places);
}

static void *come_and_go(void *unused)
{
	char name[16];

	(void)unused;
	for (unsigned int i = 0;; i++) {
		snprintf(name, sizeof(name), i & 1 ? "odd" : "%015u", i);
		prctl(PR_SET_NAME, name);
		if (i % 64 == 0) {
			int fd = open("/dev/null", O_RDONLY), child = fork();

			if (!child)
				_exit(0);
			while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
				;
			close(fd);
		}
	}
	return NULL;
}

static void mode_restless(char **arguments)
{
	(void)arguments;
	start_thread(come_and_go, NULL);
	printf("{}\n");
}

/* --- BPF objects, by bpf(2) itself --- */

static int bpf(enum bpf_cmd command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int make_map(union bpf_attr attr, const char *name)
{
	int fd;

	strcpy(attr.map_name, name);
	fd = bpf(BPF_MAP_CREATE, &attr);
	check(fd >= 0, name);
	return fd;
}

static void put(int map, const void *key, const void *value)
{
	union bpf_attr attr = { .map_fd = map, .key = (unsigned long)key, .value = (unsigned long)value };

	check(bpf(BPF_MAP_UPDATE_ELEM, &attr) == 0, "BPF_MAP_UPDATE_ELEM");
}

static struct bpf_map_info map_info(int fd)
{
	struct bpf_map_info info = {};
	union bpf_attr attr = { .info = { .bpf_fd = fd, .info_len = sizeof(info), .info = (unsigned long)&info } };

	check(bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) == 0, "BPF_OBJ_GET_INFO_BY_FD");
	return info;
}

static void mode_maps(char **arguments)
{
	unsigned int cpus = sysconf(_SC_NPROCESSORS_CONF), key = 0x04030201;
	int hash = make_map((union bpf_attr){ .map_type = BPF_MAP_TYPE_HASH, .key_size = 4, .value_size = 21, .max_entries = 9,
					      .map_flags = BPF_F_NO_PREALLOC }, "fixture_hash");
	int percpu = make_map((union bpf_attr){ .map_type = BPF_MAP_TYPE_PERCPU_HASH, .key_size = 3, .value_size = 5,
						.max_entries = 9 }, "fixture_percpu");
	int large = make_map((union bpf_attr){ .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 20000,
					       .max_entries = 5 }, "fixture_large");
	int frozen = make_map((union bpf_attr){ .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1 },
			      "fixture_twin");
	int twin = make_map((union bpf_attr){ .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1 },
			    "fixture_twin");
	int stack = make_map((union bpf_attr){ .map_type = BPF_MAP_TYPE_STACK, .value_size = 4, .max_entries = 9 }, "fixture_stack");
	union bpf_attr freeze = { .map_fd = frozen };
	unsigned char value[20000], values[1024][8] = {};

	(void)arguments;
	for (unsigned int i = 0; i < sizeof(value); i++)
		value[i] = i * 7;
	put(hash, &key, value);
	key = 7;
	put(hash, &key, value + 100);
	for (unsigned int i = 0; i < cpus && i < 1024; i++)
		memcpy(values[i], value + 256 + i, 5);
	put(percpu, "\x0a\x0b\x0c", values);
	key = 3;
	put(large, &key, value);
	check(bpf(BPF_MAP_FREEZE, &freeze) == 0, "BPF_MAP_FREEZE");
	printf("{\"hash\":%u,\"percpu\":%u,\"large\":%u,\"frozen\":%u,\"twin\":%u,\"stack\":%u}\n", map_info(hash).id,
	       map_info(percpu).id, map_info(large).id, map_info(frozen).id, map_info(twin).id, map_info(stack).id);
}

/* A program that returns `result`. */
static int load(union bpf_attr attr, const char *name, int result)
{
	struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = result },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd;

	attr.insns = (unsigned long)code;
	attr.insn_cnt = sizeof(code) / sizeof(code[0]);
	attr.license = (unsigned long)"GPL";
	strcpy(attr.prog_name, name);
	fd = bpf(BPF_PROG_LOAD, &attr);
	check(fd >= 0, name);
	return fd;
}

static void print_program(const char *key, int fd)
{
	struct bpf_prog_info info = {};
	union bpf_attr attr = { .info = { .bpf_fd = fd, .info_len = sizeof(info), .info = (unsigned long)&info } };

	check(bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) == 0, "BPF_OBJ_GET_INFO_BY_FD");
	printf("\"%s\":{\"id\":%u,\"load_ns\":%llu,\"verified_insns\":%u},", key, info.id, info.load_time, info.verified_insns);
}

static void mode_programs(char **arguments)
{
	int filter = load((union bpf_attr){ .prog_type = BPF_PROG_TYPE_SOCKET_FILTER }, "fixture_filter", 0);
	int sleeper = load((union bpf_attr){ .prog_type = BPF_PROG_TYPE_SYSCALL, .prog_flags = BPF_F_SLEEPABLE }, "fixture_sleeper", 0);
	int lookup = load((union bpf_attr){ .prog_type = BPF_PROG_TYPE_SK_LOOKUP, .expected_attach_type = BPF_SK_LOOKUP },
			  "fixture_lookup", 1);
	union bpf_attr attr = { .link_create = { .prog_fd = lookup, .attach_type = BPF_SK_LOOKUP } };
	struct bpf_link_info info = {};
	int link;

	(void)arguments;
	check(unshare(CLONE_NEWNET) == 0, "unshare");
	attr.link_create.target_fd = open("/proc/self/ns/net", O_RDONLY);
	link = bpf(BPF_LINK_CREATE, &attr);
	check(link >= 0, "BPF_LINK_CREATE");
	attr = (union bpf_attr){ .info = { .bpf_fd = link, .info_len = sizeof(info), .info = (unsigned long)&info } };
	check(bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) == 0, "BPF_OBJ_GET_INFO_BY_FD");
	printf("{");
	print_program("filter", filter);
	print_program("sleeper", sleeper);
	print_program("lookup", lookup);
	printf("\"link\":%u}\n", info.id);
}

static unsigned long long inode_of(int fd)
{
	struct stat status;

	check(fstat(fd, &status) == 0, "fstat");
	return status.st_ino;
}

/* Two ends of a TCP connection over loopback. */
static void connect_pair(int family, int ends[2])
{
	struct sockaddr_storage address = { .ss_family = family };
	socklen_t size = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	int listener = socket(family, SOCK_STREAM, 0);

	if (family == AF_INET)
		((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		((struct sockaddr_in6 *)&address)->sin6_addr = in6addr_loopback;
	check(bind(listener, (void *)&address, size) == 0 && listen(listener, 1) == 0, "listen");
	check(getsockname(listener, (void *)&address, &size) == 0, "getsockname");
	ends[0] = socket(family, SOCK_STREAM, 0);
	check(connect(ends[0], (void *)&address, size) == 0, "connect");
	ends[1] = accept(listener, NULL, NULL);
	check(ends[1] >= 0, "accept");
	close(listener);
}

static void print_ports(const char *key, int fd)
{
	struct sockaddr_in6 local, remote;
	socklen_t size = sizeof(local);

	check(getsockname(fd, (void *)&local, &size) == 0, "getsockname");
	size = sizeof(remote);
	check(getpeername(fd, (void *)&remote, &size) == 0, "getpeername");
	printf(",\"%s\":{\"ino\":%llu,\"local\":%u,\"remote\":%u}", key, inode_of(fd), ntohs(local.sin6_port), ntohs(remote.sin6_port));
}

/* [1] int, [2] unsigned long long, [3] struct bpf_timer, [4] a structure with a timer between two numbers. */
static int make_btf(void)
{
	static const char strings[] = "\0int\0unsigned long long\0bpf_timer\0value\0a\0b\0c";
	struct {
		struct btf_header header;
		struct {
			struct { struct btf_type type; __u32 encoding; } numbers[2];
			struct btf_type timer;
			struct btf_member timer_members[2];
			struct btf_type value;
			struct btf_member value_members[3];
		} types;
		char strings[sizeof(strings)];
	} btf = {
		.header = { BTF_MAGIC, BTF_VERSION, 0, sizeof(btf.header), 0, sizeof(btf.types), sizeof(btf.types), sizeof(strings) },
		.types = {
			.numbers = {
				{ { .name_off = 1, .info = BTF_KIND_INT << 24, .size = 4 }, BTF_INT_SIGNED << 24 | 32 },
				{ { .name_off = 5, .info = BTF_KIND_INT << 24, .size = 8 }, 64 },
			},
			.timer = { .name_off = 24, .info = BTF_KIND_STRUCT << 24 | 2, .size = 16 },
			.timer_members = { { 40, 2, 0 }, { 42, 2, 64 } },
			.value = { .name_off = 34, .info = BTF_KIND_STRUCT << 24 | 3, .size = 32 },
			.value_members = { { 40, 2, 0 }, { 42, 3, 64 }, { 44, 2, 192 } },
		},
	};
	union bpf_attr attr = { .btf = (unsigned long)&btf, .btf_size = sizeof(btf.header) + sizeof(btf.types) + sizeof(strings) };
	int fd;

	memcpy(btf.strings, strings, sizeof(strings));
	fd = bpf(BPF_BTF_LOAD, &attr);
	check(fd >= 0, "BPF_BTF_LOAD");
	return fd;
}

static void mode_socket_maps(char **arguments)
{
	int storage = make_map((union bpf_attr){ .map_type = BPF_MAP_TYPE_SK_STORAGE, .key_size = 4, .value_size = 8,
						 .map_flags = BPF_F_NO_PREALLOC, .btf_fd = make_btf(), .btf_key_type_id = 1,
						 .btf_value_type_id = 2 }, "fixture_storage");
	int sockmap = make_map((union bpf_attr){ .map_type = BPF_MAP_TYPE_SOCKMAP, .key_size = 4, .value_size = 4, .max_entries = 4 },
			       "fixture_sockmap");
	int sockhash = make_map((union bpf_attr){ .map_type = BPF_MAP_TYPE_SOCKHASH, .key_size = 6, .value_size = 4,
						  .max_entries = 4 }, "fixture_hashed");
	int four[2], six[2], key = 1;
	unsigned long long value = 0x1122334455667788;

	(void)arguments;
	connect_pair(AF_INET, four);
	connect_pair(AF_INET6, six);
	put(storage, &four[0], &value);
	put(sockmap, &key, &four[0]);
	key = 3;
	put(sockmap, &key, &six[1]);
	put(sockhash, "socket", &six[0]);
	printf("{\"storage\":%u,\"btf\":%u,\"sockmap\":%u,\"sockhash\":%u", map_info(storage).id, map_info(storage).btf_id,
	       map_info(sockmap).id, map_info(sockhash).id);
	print_ports("four", four[0]);
	print_ports("six", six[1]);
	print_ports("hashed", six[0]);
	printf("}\n");
}

#define INSN(...) { __VA_ARGS__ }
#define LOAD_MAP(register, fd)                                               \
	INSN(.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = register, .src_reg = BPF_PSEUDO_MAP_FD, .imm = fd), INSN(.code = 0)

static void mode_timer(char **arguments)
{
	int map = make_map((union bpf_attr){ .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 32, .max_entries = 1,
					     .btf_fd = make_btf(), .btf_key_type_id = 1, .btf_value_type_id = 4 }, "fixture_timer");
	struct bpf_insn code[] = {
		INSN(.code = BPF_ST | BPF_MEM | BPF_W, .dst_reg = 10, .off = -4, .imm = 0),
		INSN(.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 2, .src_reg = 10),
		INSN(.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 2, .imm = -4),
		LOAD_MAP(1, map),
		INSN(.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_map_lookup_elem),
		INSN(.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = 0, .off = 6, .imm = 0),
		INSN(.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 1, .src_reg = 0),
		INSN(.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 1, .imm = 8),
		LOAD_MAP(2, map),
		INSN(.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = CLOCK_MONOTONIC),
		INSN(.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_timer_init),
		INSN(.code = BPF_JMP | BPF_EXIT),
	};
	unsigned long long value[4] = { 0x1111111111111111, 0, 0, 0x2222222222222222 };
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_SCHED_CLS, .insns = (unsigned long)code,
				.insn_cnt = sizeof(code) / sizeof(code[0]), .license = (unsigned long)"GPL" };
	char packet[64] = {};
	unsigned int key = 0;
	int program;

	(void)arguments;
	put(map, &key, value);
	program = bpf(BPF_PROG_LOAD, &attr);
	check(program >= 0, "BPF_PROG_LOAD");
	attr = (union bpf_attr){ .test = { .prog_fd = program, .data_in = (unsigned long)packet, .data_size_in = sizeof(packet) } };
	check(bpf(BPF_PROG_TEST_RUN, &attr) == 0, "BPF_PROG_TEST_RUN");
	printf("{\"map\":%u,\"result\":%u}\n", map_info(map).id, attr.test.retval);
}

static void mode_dmabuf(char **arguments)
{
	struct udmabuf_create create = { .size = 2 * getpagesize() };
	int device = open("/dev/udmabuf", O_RDWR), buffer;

	(void)arguments;
	check(device >= 0, "/dev/udmabuf");
	create.memfd = memfd_create("fixture", MFD_ALLOW_SEALING);
	check(create.memfd >= 0 && ftruncate(create.memfd, create.size) == 0, "memfd_create");
	check(fcntl(create.memfd, F_ADD_SEALS, F_SEAL_SHRINK) == 0, "F_ADD_SEALS");
	buffer = ioctl(device, UDMABUF_CREATE, &create);
	check(buffer >= 0, "UDMABUF_CREATE");
	check(ioctl(buffer, DMA_BUF_SET_NAME_B, "fixture \"buffer\"") == 0, "DMA_BUF_SET_NAME");
	printf("{\"ino\":%llu,\"size\":%llu}\n", inode_of(buffer), create.size);
}

static void mode_nonblocking(char **arguments)
{
	check(fcntl(1, F_SETFL, fcntl(1, F_GETFL) | O_NONBLOCK) == 0, "fcntl");
	execv(arguments[0], arguments);
	check(0, arguments[0]);
}

/* --- sockets, each mode in a network namespace of its own --- */

static void own_namespace(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	check(unshare(CLONE_NEWNET) == 0, "unshare");
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	check(ioctl(fd, SIOCSIFFLAGS, &request) == 0, "SIOCSIFFLAGS");
	close(fd);
}

/* "name":{"fd":3,"ino":123}, each after the first with a comma before it */
static void say(const char *name, int fd)
{
	static const char *separator = "";
	struct stat status;

	check(fstat(fd, &status) == 0, name);
	printf("%s\"%s\":{\"fd\":%d,\"ino\":%lu}", separator, name, fd, (unsigned long)status.st_ino);
	separator = ",";
}

static int named(const char *name, int family, int type, int protocol)
{
	int fd = socket(family, type, protocol);

	check(fd >= 0, name);
	say(name, fd);
	return fd;
}

union endpoint {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static socklen_t endpoint(union endpoint *to, const char *text, int port)
{
	memset(to, 0, sizeof(*to));
	if (inet_pton(AF_INET, text, &to->in.sin_addr) == 1) {
		to->in.sin_family = AF_INET;
		to->in.sin_port = htons(port);
		return sizeof(to->in);
	}
	check(inet_pton(AF_INET6, text, &to->in6.sin6_addr) == 1, text);
	to->in6.sin6_family = AF_INET6;
	to->in6.sin6_port = htons(port);
	return sizeof(to->in6);
}

static void bind_to(int fd, const char *text, int port)
{
	union endpoint local;
	socklen_t size = endpoint(&local, text, port);

	check(bind(fd, &local.any, size) == 0, text);
}

static void connect_to(int fd, const char *text, int port)
{
	union endpoint remote;
	socklen_t size = endpoint(&remote, text, port);

	check(connect(fd, &remote.any, size) == 0 || errno == EINPROGRESS, text);
}

static int listener(const char *name, const char *text, int port, int backlog)
{
	int fd = named(name, strchr(text, ':') ? AF_INET6 : AF_INET, SOCK_STREAM, 0), on = 1;

	check(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0, "SO_REUSEADDR");
	bind_to(fd, text, port);
	check(listen(fd, backlog) == 0, "listen");
	return fd;
}

static int accepted(const char *name, int listener)
{
	int fd = accept(listener, NULL, NULL);

	check(fd >= 0, name);
	say(name, fd);
	return fd;
}

static void mode_inet(char **arguments)
{
	struct sockaddr_nl groups = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int seconds = 600, smallest = 1, fd, server, client;
	char data[1000] = "";

	if (arguments[0]) {
		snprintf(data, sizeof(data), "%s/cgroup.procs", arguments[0]);
		fd = open(data, O_WRONLY);
		check(fd >= 0 && write(fd, "0", 1) == 1, data);
		close(fd);
	}
	own_namespace();
	printf("{");

	server = listener("listen", "127.0.0.1", 5001, 7);
	client = named("client", AF_INET, SOCK_STREAM, 0);
	connect_to(client, "127.0.0.1", 5001);
	fd = accepted("server", server);
	check(write(client, data, 1000) == 1000, "write");
	check(write(fd, data, 500) == 500 && read(client, data, 500) == 500, "read");

	/* one that closed first: in FIN_WAIT2, its peer in CLOSE_WAIT; and one whose peer closed too: in TIME_WAIT */
	fd = named("half-closed", AF_INET, SOCK_STREAM, 0);
	connect_to(fd, "127.0.0.1", 5001);
	accepted("close-wait", server);
	close(fd);
	fd = named("closed", AF_INET, SOCK_STREAM, 0);
	connect_to(fd, "127.0.0.1", 5001);
	client = accepted("closed-too", server);
	close(fd);
	check(read(client, data, 1) == 0, "end of file");
	close(client);

	fd = named("waiting", AF_INET, SOCK_STREAM, 0);
	connect_to(fd, "127.0.0.1", 5001);

	/* a handshake that is complete but for data stays a request */
	server = listener("deferring", "127.0.0.1", 5002, 3);
	check(setsockopt(server, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds)) == 0, "TCP_DEFER_ACCEPT");
	fd = named("silent", AF_INET, SOCK_STREAM, 0);
	connect_to(fd, "127.0.0.1", 5002);

	/* a listener whose queue is full answers nothing: segments are sent again */
	listener("full", "127.0.0.1", 5003, 0);
	connect_to(named("queued", AF_INET, SOCK_STREAM, 0), "127.0.0.1", 5003);
	connect_to(named("unanswered", AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), "127.0.0.1", 5003);

	server = listener("listen6", "::", 5004, 5);
	connect_to(named("client6", AF_INET6, SOCK_STREAM, 0), "::1", 5004);
	accepted("server6", server);
	connect_to(named("mapped", AF_INET6, SOCK_STREAM, 0), "::ffff:127.0.0.1", 5004);
	accepted("mapped-server", server);
	named("unbound", AF_INET, SOCK_STREAM, 0);

	check(setresuid(-1, 1234, -1) == 0, "setresuid");
	fd = named("udp", AF_INET, SOCK_DGRAM, 0);
	check(setresuid(-1, 0, -1) == 0, "setresuid");
	bind_to(fd, "127.0.0.1", 5005);
	client = named("udp-connected", AF_INET, SOCK_DGRAM, 0);
	connect_to(client, "127.0.0.1", 5005);
	check(write(client, data, 100) == 100, "write");
	fd = named("udp-full", AF_INET6, SOCK_DGRAM, 0);
	check(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &smallest, sizeof(smallest)) == 0, "SO_RCVBUF");
	bind_to(fd, "::1", 5006);
	client = named("udp6-connected", AF_INET6, SOCK_DGRAM, 0);
	connect_to(client, "::1", 5006);
	for (int i = 0; i < 20; i++)
		check(write(client, data, 1000) == 1000, "write");
	named("raw", AF_INET, SOCK_RAW, IPPROTO_ICMP);

	fd = named("netlink", AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	groups.nl_groups = 0x11;
	check(bind(fd, (void *)&groups, sizeof(groups)) == 0, "bind");
	fd = named("netlink-full", AF_NETLINK, SOCK_RAW, NETLINK_USERSOCK);
	groups.nl_groups = 1;
	check(bind(fd, (void *)&groups, sizeof(groups)) == 0, "bind");
	check(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &smallest, sizeof(smallest)) == 0, "SO_RCVBUF");
	fd = named("netlink-sender", AF_NETLINK, SOCK_RAW, NETLINK_USERSOCK);
	for (int i = 0; i < 20; i++)
		sendto(fd, data, 1000, 0, (void *)&groups, sizeof(groups));
	named("packet", AF_PACKET, SOCK_RAW, 0);
	printf("}\n");
}

static void mode_addresses(char **arguments)
{
	int on = 1, fd;

	own_namespace();
	for (int i = 0; arguments[i]; i++) {
		fd = socket(strchr(arguments[i], ':') ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
		check(setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)) == 0, "IP_FREEBIND");
		if (strchr(arguments[i], ':'))
			check(setsockopt(fd, IPPROTO_IPV6, 78 /* IPV6_FREEBIND */, &on, sizeof(on)) == 0, "IPV6_FREEBIND");
		bind_to(fd, arguments[i], i + 1);
	}
	printf("{}\n");
}

static void bind_unix(int fd, const char *name, size_t length)
{
	struct sockaddr_un local = { .sun_family = AF_UNIX };

	memcpy(local.sun_path, name, length);
	check(bind(fd, (void *)&local, offsetof(struct sockaddr_un, sun_path) + length) == 0, "bind");
}

static void connect_unix(int fd, const char *name, size_t length)
{
	struct sockaddr_un remote = { .sun_family = AF_UNIX };

	memcpy(remote.sun_path, name, length);
	check(connect(fd, (void *)&remote, offsetof(struct sockaddr_un, sun_path) + length) == 0, "connect");
}

static void pair(const char *name, const char *peer, int type, int pair[2])
{
	check(socketpair(AF_UNIX, type, 0, pair) == 0, name);
	say(name, pair[0]);
	say(peer, pair[1]);
}

static void mode_unix(char **arguments)
{
	const char *path = arguments[0], *longest = arguments[1];
	int fd, both[2];

	own_namespace();
	printf("{");
	fd = named("listen", AF_UNIX, SOCK_STREAM, 0);
	bind_unix(fd, path, strlen(path) + 1);
	check(listen(fd, 9) == 0, "listen");
	connect_unix(named("client", AF_UNIX, SOCK_STREAM, 0), path, strlen(path) + 1);
	accepted("server", fd);
	connect_unix(named("waiting", AF_UNIX, SOCK_STREAM, 0), path, strlen(path) + 1);

	fd = named("abstract", AF_UNIX, SOCK_SEQPACKET, 0);
	bind_unix(fd, "\0task-iter\0\0test\0", 17);
	check(listen(fd, 1) == 0, "listen");
	bind_unix(named("longest", AF_UNIX, SOCK_DGRAM, 0), longest, 108);

	pair("stream", "stream-peer", SOCK_STREAM, both);
	check(write(both[1], "0123456789", 10) == 10 && write(both[1], "01234", 5) == 5 && read(both[0], both + 1, 4) == 4, "stream");
	pair("datagram", "datagram-peer", SOCK_DGRAM, both);
	check(write(both[1], "0123456", 7) == 7 && write(both[1], "01234", 5) == 5, "datagram");
	pair("packets", "packets-peer", SOCK_SEQPACKET, both);
	check(write(both[1], "0123456", 7) == 7 && write(both[1], "01234", 5) == 5, "packets");
	check(setresuid(-1, 1234, -1) == 0, "setresuid");
	named("unbound", AF_UNIX, SOCK_DGRAM, 0);
	check(setresuid(-1, 0, -1) == 0, "setresuid");
	printf("}\n");
}

/* --- tasks --- */

static void *outlive_leader(void *unused)
{
	char state = 0, byte;

	while (state != 'Z') {
		FILE *stat = fopen("/proc/self/stat", "r");

		check(stat && fscanf(stat, "%*d (%*[^)]) %c", &state) == 1, "/proc/self/stat");
		fclose(stat);
	}
	printf("{\"tid\":%d}\n", gettid());
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	exit(0);
	return unused;
}

static void mode_exited_leader(char **arguments)
{
	(void)arguments;
	start_thread(outlive_leader, NULL);
	start_thread(wait_forever, NULL);
	start_thread(wait_forever, NULL);
	pthread_exit(NULL);
}

static int unshared_fd, unshared_tid, ready[2];

static void *unshare_files(void *unused)
{
	check(unshare(CLONE_FILES) == 0, "unshare");
	unshared_fd = open("/dev/null", O_RDONLY);
	unshared_tid = gettid();
	start_thread(wait_forever, NULL);
	check(write(ready[1], "", 1) == 1, "write");
	return wait_forever(unused);
}

static void mode_unshared_files(char **arguments)
{
	char byte;

	(void)arguments;
	check(pipe(ready) == 0, "pipe");
	start_thread(unshare_files, NULL);
	check(read(ready[0], &byte, 1) == 1, "read");
	printf("{\"tid\":%d,\"fd\":%d}\n", unshared_tid, unshared_fd);
}

static void mode_zombie(char **arguments)
{
	siginfo_t info;
	pid_t child = fork();

	(void)arguments;
	if (!child)
		_exit(0);
	check(child > 0 && waitid(P_PID, child, &info, WEXITED | WNOWAIT) == 0, "waitid");
	printf("{\"child\":%d}\n", child);
}

static void mode_busy(char **arguments)
{
	struct rusage usage;

	(void)arguments;
	do
		getrusage(RUSAGE_SELF, &usage);
	while (usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec < 200000);
	printf("{}\n");
}

static void mode_title(char **arguments)
{
	char *title = strdup(arguments[0]), *start = arguments[-2];

	strcpy(start, title);
	printf("{}\n");
}

static void mode_mappings(char **arguments)
{
	long page = sysconf(_SC_PAGESIZE);
	int file = open(arguments[0], O_RDONLY);

	check(mmap(NULL, page, PROT_READ, MAP_PRIVATE, file, page) != MAP_FAILED, "mmap");
	check(mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED, "mmap");
	check(mmap(NULL, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED, "mmap");
	printf("{}\n");
}

/* --- faults --- */

static void mode_family(char **arguments)
{
	char byte;

	printf("{\"children\":[");
	fflush(stdout);
	for (int i = 0; i < atoi(arguments[0]); i++) {
		pid_t child = fork();

		check(child >= 0, "fork");
		if (!child) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			prctl(PR_SET_NAME, arguments[1]);
			while (read(0, &byte, 1) > 0)
				;
			_exit(0);
		}
		printf("%s%d", i ? "," : "", child);
	}
	printf("]}\n");
}

static unsigned long *born;

static void *make_children(void *unused)
{
	for (;;) {
		pid_t child = fork();

		if (!child)
			_exit(0);
		__atomic_add_fetch(born, 1, __ATOMIC_RELAXED);
		waitpid(child, NULL, 0);
	}
	return unused;
}

static void *end_at_once(void *unused)
{
	return unused;
}

static void *make_threads(void *unused)
{
	pthread_t thread;

	for (;;) {
		if (pthread_create(&thread, NULL, end_at_once, NULL) == 0)
			pthread_join(thread, NULL);
	}
	return unused;
}

static void mode_storm(char **arguments)
{
	char line[16];

	(void)arguments;
	born = mmap(NULL, sizeof(*born), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(born != MAP_FAILED, "mmap");
	start_thread(make_children, NULL);
	start_thread(make_children, NULL);
	start_thread(make_threads, NULL);
	printf("{}\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		printf("{\"born\":%lu}\n", __atomic_load_n(born, __ATOMIC_RELAXED));
		fflush(stdout);
	}
	_exit(0);
}

static void mode_long_paths(char **arguments)
{
	char name[256], bytes[65536];
	size_t length, at = strlen(arguments[0]);
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to;
	ssize_t got;

	length = unhex(arguments[1], name, sizeof(name));
	check(chdir(arguments[0]) == 0, arguments[0]);
	for (; at + length + 3 <= (size_t)atoi(arguments[2]); at += length + 1)
		check(mkdir(name, 0700) == 0 && chdir(name) == 0, "mkdir");
	to = open("x", O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	check(to >= 0, "x");
	while ((got = read(from, bytes, sizeof(bytes))) > 0)
		check(write(to, bytes, got) == got, "write");
	close(to);
	execl("./x", "x", "at-path", arguments[1], arguments[1], NULL);
	check(0, "x");
}

static void mode_at_path(char **arguments)
{
	int fd = open("f", O_RDWR | O_CREAT, 0600);

	(void)arguments;
	check(fd >= 0 && ftruncate(fd, 4096) == 0, "f");
	check(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED, "mmap");
	printf("{\"fd\":%d}\n", fd);
}

static void mode_hostile(char **arguments)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_newname = "\x1b[31m\a\",'\x9b" };
	char *name = arguments[1], abstract[100];
	int fd;

	check(chdir(arguments[0]) == 0, arguments[0]);
	own_namespace();
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	check(ioctl(fd, SIOCSIFNAME, &request) == 0, "SIOCSIFNAME");
	close(fd);
	check(prctl(PR_SET_NAME, name) == 0, "prctl");
	fd = open(name, O_RDWR | O_CREAT, 0600);
	check(fd >= 0 && ftruncate(fd, 4096) == 0, "open");
	check(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED, "mmap");
	check(mkdir("s", 0700) == 0 && chdir("s") == 0, "mkdir");
	bind_unix(socket(AF_UNIX, SOCK_DGRAM, 0), name, strlen(name) + 1);
	abstract[0] = 0;
	strcpy(abstract + 1, name);
	bind_unix(socket(AF_UNIX, SOCK_DGRAM, 0), abstract, strlen(name) + 1);
	printf("{\"fd\":%d}\n", fd);
}

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

static void mode_no_jit(char **arguments)
{
	check(arguments[0] && prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0, "PR_SET_MDWE");
	execv(arguments[0], arguments);
	check(0, arguments[0]);
}

static const struct {
	const char *name, *parameters;
	void (*run)(char **arguments);
	const char *description;
} modes[] = {
	{ "name", "NAME", mode_name,
	  "The process has that name, bytes as given." },
	{ "values", "FOLDER", mode_values,
	  "Files, pipes, sockets and threads with ordinary and extreme values in every column: a path of 4,000 "
	  "bytes, names with what the language of --where quotes, positions at both ends of 64 bits, an owner of the "
	  "largest number." },
	{ "names", "FOLDER", mode_names,
	  "Does as it is told, one line at a time, and answers each with a line: \"name HEX\" is the process's name "
	  "from then on, \"file HEX\" the name in FOLDER of a new file that descriptor 100 has open." },
	{ "deep", "FOLDER HEX DEPTH", mode_deep,
	  "Descriptor 100 is a folder DEPTH folders below FOLDER, each named HEX." },
	{ "descriptors", "FOLDER", mode_descriptors,
	  "One of every kind, files in FOLDER." },
	{ "many", "FILES", mode_many,
	  "That many more descriptors." },
	{ "threads", "NUMBER", mode_threads,
	  "That many threads besides the first." },
	{ "sleepers", "NUMBER", mode_sleepers,
	  "So many threads in each of several places of the kernel, one of each, then the next of each." },
	{ "restless", "", mode_restless,
	  "A thread that renames itself, opens, closes and makes processes that end, all the time." },
	{ "maps", "", mode_maps,
	  "A hash, a per-CPU hash with another value on each CPU, an array of large values, a frozen one, and a "
	  "stack." },
	{ "programs", "", mode_programs,
	  "One for sockets, one that may sleep, and one that is linked to a network namespace of its own." },
	{ "socket-maps", "", mode_socket_maps,
	  "A value stored for a socket; TCP sockets in a sockmap, and one in a sockhash." },
	{ "timer", "", mode_timer,
	  "A value with a timer in it, which a program has initialised: it holds a kernel address." },
	{ "dmabuf", "", mode_dmabuf,
	  "A buffer of two pages from /dev/udmabuf, with a name." },
	{ "nonblocking", "COMMAND [ARGUMENT ...]", mode_nonblocking,
	  "Becomes that command, with a standard output that does not wait." },
	{ "inet", "[CGROUP]", mode_inet,
	  "TCP in its states, UDP, netlink; made in that control group." },
	{ "addresses", "ADDRESS ...", mode_addresses,
	  "A UDP socket bound to each, on the ports from 1 on." },
	{ "unix", "PATH LONG", mode_unix,
	  "Unix sockets; they are bound to PATH and to the 108 bytes of LONG, which the test removes." },
	{ "exited-leader", "", mode_exited_leader,
	  "Three threads live on; the first of them is `tid`." },
	{ "unshared-files", "", mode_unshared_files,
	  "The thread `tid` and one more have a file table of their own, with `fd` in it." },
	{ "zombie", "", mode_zombie,
	  "The child `child` has ended and nobody has asked how." },
	{ "busy", "", mode_busy,
	  "Has used 200 ms of processor time." },
	{ "title", "TEXT", mode_title,
	  "TEXT is over its arguments, as setproctitle() does it; it may reach into the environment." },
	{ "mappings", "FILE", mode_mappings,
	  "A page of it from an offset, a shared anonymous page, one without access." },
	{ "family", "NUMBER NAME", mode_family,
	  "That many children with that name, `children`; they wait as it does." },
	{ "storm", "", mode_storm,
	  "Processes and threads begin and end all the time; to a line it answers how many processes have been "
	  "`born`." },
	{ "long-paths", "FOLDER HEX LENGTH", mode_long_paths,
	  "Goes down folders named HEX as often as that many bytes take, copies itself there and becomes the copy, "
	  "which has a file open and mapped." },
	{ "at-path", "", mode_at_path,
	  "Has a file \"f\" of the current folder open and mapped." },
	{ "hostile", "FOLDER NAME", mode_hostile,
	  "NAME is what a thread, a file that is open and mapped, a bound socket and an abstract one are called, and "
	  "in a network namespace of its own the one device." },
	{ "no-jit", "COMMAND [ARGUMENT ...]", mode_no_jit,
	  "Becomes the command, which may not make code at run time (Linux 6.3)." },
};

int main(int count, char **arguments)
{
	char byte;

	for (size_t i = 0; count > 1 && i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(arguments[1], modes[i].name))
			continue;
		modes[i].run(arguments + 2);
		fflush(stdout);
		while (read(0, &byte, 1) > 0)
			;
		return 0;
	}
	if (count > 1) {
		fprintf(stderr, "fixture: there is no mode %s\n", arguments[1]);
		return 2;
	}
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		printf("%s %s\n\t%s\n", modes[i].name, modes[i].parameters, modes[i].description);
	return 0;
}
