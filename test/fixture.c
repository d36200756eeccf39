// SPDX-License-Identifier: BSD-2-Clause
/*
 * fixture.c -- processes for the tests to look at: fixture MODE [ARGUMENT ...]
 *
 * A mode sets something up and prints one line of JSON about it; then the process waits until its standard input ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
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

/*
 * values FOLDER: files, pipes, sockets and threads with ordinary and extreme values in every column: a path of 4,000 bytes, names
 * with what the language of --where quotes, positions at both ends of 64 bits, an owner of the largest number.
 */
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

static const struct {
	const char *name;
	void (*run)(char **arguments);
} modes[] = {
	{ "name", mode_name },
	{ "values", mode_values },
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
