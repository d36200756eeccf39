// SPDX-License-Identifier: BSD-2-Clause
/*
 * measure.c -- the stop watch
 *
 *	measure run COMMAND [ARGUMENT ...]
 *		runs it with its output into /dev/null: {"ns":1,"cpu_ns":1,"kb":1,"status":0}, kb being its greatest resident set
 *	measure walk ROUNDS LIBRARY (PROGRAM QUERY TARGET) ...
 *		loads each file PROGRAM through the shim, which LIBRARY is, with the constant query in the file QUERY; TARGET is the ID
 *		of a map, "cgroups", or 0; then in ROUNDS rounds one pass of each into a buffer, in turn: [[[nanoseconds, bytes], ...],
 *		...], a list for each program. A pass waits for nothing, so its CPU time is its time, whatever else the machine does
 *	measure load LIBRARY PROGRAM QUERY TARGET
 *		loads it, makes one pass and frees it: {"ns":1}, from the library on
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READ_SIZE (31 << 10)	/* as src/native/walk.ts */

extern char **environ;

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "measure: %s: %s\n", what, why);
	exit(1);
}

static long long now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static int run(char **command)
{
	posix_spawn_file_actions_t actions;
	struct rusage usage;
	long long start;
	int status, error;
	pid_t child;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	start = now(CLOCK_MONOTONIC);
	error = posix_spawnp(&child, command[0], &actions, NULL, command, environ);
	if (error)
		fail(command[0], strerror(error));
	wait4(child, &status, 0, &usage);
	printf("{\"ns\":%lld,\"cpu_ns\":%lld,\"kb\":%ld,\"status\":%d}\n", now(CLOCK_MONOTONIC) - start,
	       (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000ll +
		       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000ll, usage.ru_maxrss,
	       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return 0;
}

struct walk {
	void *handle;
	long long (*passes)[2];
};

static struct {
	void *(*open)(const void *program, unsigned size);
	int (*configure)(void *handle, const void *query, unsigned size, unsigned verbose);
	int (*load)(void *handle);
	int (*attach)(void *handle, unsigned pid, unsigned tid, unsigned map);
	int (*attach_cgroups)(void *handle);
	int (*create)(void *handle);
	int (*resume)(void *handle);
	const char *(*error)(void *handle);
	void (*free)(void *handle);
} shim;

static void *symbol(void *library, const char *name)
{
	void *found = dlsym(library, name);

	if (!found)
		fail(name, dlerror());
	return found;
}

static void open_library(const char *path)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		fail(path, dlerror());
	shim.open = symbol(library, "task_iter_open");
	shim.configure = symbol(library, "task_iter_configure");
	shim.load = symbol(library, "task_iter_load");
	shim.attach = symbol(library, "task_iter_attach");
	shim.attach_cgroups = symbol(library, "task_iter_attach_cgroups");
	shim.create = symbol(library, "task_iter_create");
	shim.resume = symbol(library, "task_iter_resume");
	shim.error = symbol(library, "task_iter_error");
	shim.free = symbol(library, "task_iter_free");
}

/* The file into `bytes`; its size. */
static unsigned contents(const char *path, char *bytes, size_t room)
{
	FILE *file = fopen(path, "r");
	size_t size;

	if (!file)
		fail(path, strerror(errno));
	size = fread(bytes, 1, room, file);
	if (size == room)
		fail(path, "too large");
	fclose(file);
	return size;
}

static void load(struct walk *walk, char **arguments)
{
	static char program[1 << 20], query[1 << 16];
	const char *target = arguments[2];
	unsigned length, size;

	length = contents(arguments[0], program, sizeof(program));
	size = contents(arguments[1], query, sizeof(query));
	walk->handle = shim.open(program, length);
	if (shim.configure(walk->handle, query, size, 0) < 0 || shim.load(walk->handle) < 0 ||
	    (strcmp(target, "cgroups") ? shim.attach(walk->handle, 0, 0, atoi(target)) : shim.attach_cgroups(walk->handle)) < 0)
		fail(arguments[0], shim.error(walk->handle));
}

static void pass(struct walk *walk, long long result[2])
{
	static char buffer[READ_SIZE];
	long long start = now(CLOCK_THREAD_CPUTIME_ID);
	int fd = shim.create(walk->handle), next;
	ssize_t size;

	if (fd < 0)
		fail("iter_create", strerror(-fd));
	while ((size = read(fd, buffer, sizeof(buffer))) != 0) {
		if (size > 0) {
			result[1] += size;
		} else if (errno == EOPNOTSUPP) {
			/* A walk over control groups ends after one buffer (walk.ts). */
			next = shim.resume(walk->handle);
			if (next < 0)
				fail("iter_create", strerror(-next));
			close(fd);
			fd = next;
		} else if (errno != EAGAIN && errno != EINTR) {
			fail("read", strerror(errno));
		}
	}
	close(fd);
	result[0] = now(CLOCK_THREAD_CPUTIME_ID) - start;
}

static int load_once(char **arguments)
{
	long long result[2] = {}, start = now(CLOCK_MONOTONIC);
	struct walk walk;

	open_library(arguments[0]);
	load(&walk, arguments + 1);
	pass(&walk, result);
	shim.free(walk.handle);
	printf("{\"ns\":%lld}\n", now(CLOCK_MONOTONIC) - start);
	return 0;
}

static int walk(int rounds, int count, char **arguments)
{
	struct walk *walks = calloc(count, sizeof(*walks));

	for (int i = 0; i < count; i++) {
		walks[i].passes = calloc(rounds, sizeof(*walks[i].passes));
		load(&walks[i], arguments + i * 3);
	}
	/* Forwards and backwards: who comes after another finds some of its memory in the caches. */
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < count; i++) {
			int turn = (round + (round & 1 ? count - i : i)) % count;

			pass(&walks[turn], walks[turn].passes[round]);
		}
	}
	printf("[");
	for (int i = 0; i < count; i++) {
		printf("%s[", i ? "," : "");
		for (int round = 0; round < rounds; round++)
			printf("%s[%lld,%lld]", round ? "," : "", walks[i].passes[round][0], walks[i].passes[round][1]);
		printf("]");
	}
	printf("]\n");
	return 0;
}

int main(int count, char **arguments)
{
	if (count > 2 && !strcmp(arguments[1], "run"))
		return run(arguments + 2);
	if (count == 6 && !strcmp(arguments[1], "load"))
		return load_once(arguments + 2);
	if (count > 6 && !strcmp(arguments[1], "walk") && atoi(arguments[2]) > 0) {
		open_library(arguments[3]);
		return walk(atoi(arguments[2]), (count - 4) / 3, arguments + 4);
	}
	return 2;
}
