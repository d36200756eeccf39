// SPDX-License-Identifier: BSD-2-Clause
/*
 * fixture.c -- processes for the tests to look at: fixture MODE [ARGUMENT ...]
 *
 * A mode sets something up and prints one line of JSON about it; then the process waits until its standard input ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void check(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

/* name NAME: the process has that name, bytes as given. */
static void mode_name(char **arguments)
{
	check(arguments[0] != NULL, "NAME");
	check(prctl(PR_SET_NAME, arguments[0]) == 0, "prctl");
	printf("{}\n");
}

static void *pause_forever(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static pthread_t start(void *(*run)(void *), void *argument)
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, run, argument);
	check(errno == 0, "pthread_create");
	return thread;
}

/* threads NUMBER: so many threads besides the first. */
static void mode_threads(char **arguments)
{
	for (int i = atoi(arguments[0]); i > 0; i--)
		start(pause_forever, NULL);
	printf("{}\n");
}

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

/* exited-leader: three threads live on; the first of them is `tid`. */
static void mode_exited_leader(char **arguments)
{
	(void)arguments;
	start(outlive_leader, NULL);
	start(pause_forever, NULL);
	start(pause_forever, NULL);
	pthread_exit(NULL);
}

static int unshared_fd, unshared_tid, ready[2];

static void *unshare_files(void *unused)
{
	check(unshare(CLONE_FILES) == 0, "unshare");
	unshared_fd = open("/dev/null", O_RDONLY);
	unshared_tid = gettid();
	start(pause_forever, NULL);
	check(write(ready[1], "", 1) == 1, "write");
	return pause_forever(unused);
}

/* unshared-files: the thread `tid` and one more have a file table of their own, with `fd` in it. */
static void mode_unshared_files(char **arguments)
{
	char byte;

	(void)arguments;
	check(pipe(ready) == 0, "pipe");
	start(unshare_files, NULL);
	check(read(ready[0], &byte, 1) == 1, "read");
	printf("{\"tid\":%d,\"fd\":%d}\n", unshared_tid, unshared_fd);
}

/* zombie: the child `child` has ended and nobody has asked how. */
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

/* busy: has used 200 ms of processor time. */
static void mode_busy(char **arguments)
{
	struct rusage usage;

	(void)arguments;
	do
		getrusage(RUSAGE_SELF, &usage);
	while (usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec < 200000);
	printf("{}\n");
}

/* title TEXT: TEXT is over its arguments, as setproctitle() does it; it may reach into the environment. */
static void mode_title(char **arguments)
{
	char *title = strdup(arguments[0]), *start = arguments[-2];

	strcpy(start, title);
	printf("{}\n");
}

/* mappings FILE: a page of it from an offset, a shared anonymous page, one without access. */
static void mode_mappings(char **arguments)
{
	long page = sysconf(_SC_PAGESIZE);
	int file = open(arguments[0], O_RDONLY);

	check(mmap(NULL, page, PROT_READ, MAP_PRIVATE, file, page) != MAP_FAILED, "mmap");
	check(mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED, "mmap");
	check(mmap(NULL, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED, "mmap");
	printf("{}\n");
}

static const struct {
	const char *name;
	void (*run)(char **arguments);
} modes[] = {
	{ "name", mode_name },
	{ "threads", mode_threads },
	{ "exited-leader", mode_exited_leader },
	{ "unshared-files", mode_unshared_files },
	{ "zombie", mode_zombie },
	{ "busy", mode_busy },
	{ "title", mode_title },
	{ "mappings", mode_mappings },
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
	fprintf(stderr, "usage: fixture MODE [ARGUMENT ...]\n");
	return 2;
}
