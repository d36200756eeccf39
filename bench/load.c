// SPDX-License-Identifier: BSD-2-Clause
/*
 * load.c -- something to look at, until standard input ends
 *
 *	load tasks PROCESSES THREADS DESCRIPTORS	processes, each with so many threads and descriptors of several kinds
 *	load files PROCESSES DESCRIPTORS		processes, each with so many descriptors of one file
 *	load tcp SOCKETS				connections over the loopback interface, both ends here
 *
 * It prints a line when everything is there. A child dies with its parent, whatever ends that.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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
#include <sys/resource.h>
#include <sys/socket.h>
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

#define PORT_SOCKETS 4000

/* A listener and connections to it; each in a process of its own, within its limit of descriptors. */
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

static void tcp(long sockets)
{
	limit_descriptors(PORT_SOCKETS + 100);
	for (long made = 0; made < sockets; made += PORT_SOCKETS) {
		int ready;

		if (start(&ready))
			continue;
		connections(sockets - made < PORT_SOCKETS ? sockets - made : PORT_SOCKETS);
		is_ready(ready);
		sleep_somewhere(0);
	}
}

int main(int count, char **arguments)
{
	long number[3] = {};
	char byte;

	signal(SIGPIPE, SIG_IGN);
	setpgid(0, 0);
	for (int i = 2; i < count && i < 5; i++)
		number[i - 2] = atol(arguments[i]);
	if (count == 5 && !strcmp(arguments[1], "tasks"))
		tasks(number[0], number[1], number[2]);
	else if (count == 4 && !strcmp(arguments[1], "files"))
		files(number[0], number[1]);
	else if (count == 3 && !strcmp(arguments[1], "tcp"))
		tcp(number[0]);
	else
		return 2;
	puts("ready");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	/* The children are gone before this process is, so that the next load starts on a machine without them. */
	signal(SIGTERM, SIG_IGN);
	kill(0, SIGTERM);
	while (wait(NULL) > 0)
		;
	return 0;
}
