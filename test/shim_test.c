// SPDX-License-Identifier: BSD-2-Clause
/*
 * shim_test.c -- the C library alone, built with AddressSanitizer and UndefinedBehaviorSanitizer: shim_test PROGRAM SEED SECONDS
 *
 * Calls in the wrong order, with wrong sizes and NULLs; limits reached at every step; signals; readers of all kinds; then calls at
 * random. After each of these no descriptor is left. Prints a line of JSON; a check that fails, and what a sanitizer finds, end it with a message.
 */
#include "../libbpf-shim/shim.h"
#include "../bpf/engine/query.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition)                                                     \
	do {                                                                 \
		if (!(condition)) {                                          \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			exit(1);                                             \
		}                                                            \
	} while (0)

static char program[1 << 20];	/* the program file */
static __u32 program_size;

static struct task_iter *open_program(void)
{
	return task_iter_open(program, program_size);
}

static int descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int count = 0;

	CHECK(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

/* Columns 1 and 3 of every process. */
static const struct query plain = { .pass = { 1 << 1 | 1 << 3 }, .cell_max = 1000, .last = 3 };

static struct task_iter *loaded(const struct query *query)
{
	struct task_iter *it = open_program();

	CHECK(it);
	CHECK(task_iter_configure(it, query, sizeof(*query), 0) == 0);
	CHECK(task_iter_load(it) == 0);
	return it;
}

/* Every function of a handle at once: `result` is what all give that need more than the handle has. */
static void check_all(struct task_iter *it, int result)
{
	__u64 counts[5];
	char buffer[16];

	CHECK(task_iter_attach(it, 0, 0, 0) == result);
	CHECK(task_iter_attach(it, 1, 1, 1) == result);
	CHECK(task_iter_attach_cgroups(it) == result);
	CHECK(task_iter_create(it) == result);
	CHECK(task_iter_resume(it) == result);
	CHECK(task_iter_fill(it, FILL_NAMES, "x", 1) == result);
	for (__u32 stage = 0; stage <= STAGES; stage++)
		CHECK(task_iter_stage(it, stage) == result);
	CHECK(task_iter_create_in(it, 0) == result);
	CHECK(task_iter_resume_in(it, 0) == result);
	CHECK(task_iter_stamp(it, "\"now\"") == result);
	CHECK(task_iter_stamp(it, NULL) == result);
	CHECK(task_iter_progress(it, counts) == result);
	CHECK(task_iter_progress(it, NULL) == result);
	CHECK(task_iter_pin(it, "/nowhere") == result);
	CHECK(task_iter_pin(it, NULL) == result);
	CHECK(task_iter_program_size(it) == result);
	CHECK(task_iter_read(it, -1, buffer, sizeof(buffer)) == -EBADF);
	CHECK(task_iter_write(it, -1, "row", 3) == -EBADF);
}

static void orders(void)
{
	static const struct query query = plain;
	unsigned char larger[sizeof(query) + 1] = {};
	struct task_iter *it;
	char stamp[STAMP_SIZE + 1], byte;
	__u64 counts[5];
	int fd, error;

	CHECK(task_iter_version() == (QUERY_VERSION << 16 | sizeof(query)));
	for (int i = 0; i < 3; i++) {
		struct query query = {};

		it = task_iter_open(i ? program : NULL, program_size / 2 * (i - 1));
		CHECK(it && strstr(task_iter_error(it), "open: "));
		CHECK(task_iter_configure(it, &query, sizeof(query), 0) == -EINVAL && task_iter_load(it) == -EINVAL);
		CHECK(task_iter_attach(it, 0, 0, 0) == -EINVAL && task_iter_create(it) == -EINVAL);
		task_iter_free(it);
	}
	CHECK(task_iter_configure(NULL, &query, sizeof(query), 0) == -EINVAL && task_iter_load(NULL) == -EINVAL);
	check_all(NULL, -EINVAL);
	CHECK(!strcmp(task_iter_log(NULL), "") && strlen(task_iter_error(NULL)) > 0);
	for (int i = 0; i < 3; i++)
		task_iter_free(NULL);
	CHECK(task_iter_close(-1) == -EBADF);

	task_iter_free(open_program());
	it = open_program();
	CHECK(it && !strcmp(task_iter_error(it), "") && !strcmp(task_iter_log(it), ""));
	CHECK(task_iter_load(it) == -EINVAL && !strcmp(task_iter_error(it), "load: Invalid argument"));
	check_all(it, -EINVAL);
	CHECK(task_iter_configure(it, NULL, sizeof(query), 0) == -EINVAL);
	for (unsigned int size = 0; size <= sizeof(larger); size++)
		CHECK(size == sizeof(query) || task_iter_configure(it, larger, size, 0) == -EINVAL);
	CHECK(task_iter_configure(it, larger, ~0u, 0) == -EINVAL);
	CHECK(task_iter_load(it) == -EINVAL);
	CHECK(task_iter_configure(it, &query, sizeof(query), 1) == 0 && task_iter_configure(it, &query, sizeof(query), 0) == 0);
	check_all(it, -EINVAL);
	CHECK(task_iter_load(it) == 0 && strlen(task_iter_log(it)) > 0);
	CHECK(task_iter_load(it) == -EINVAL && task_iter_configure(it, &query, sizeof(query), 0) == -EINVAL);
	CHECK(task_iter_program_size(it) > 0 && task_iter_create(it) == -EINVAL && task_iter_pin(it, "/nowhere") == -EINVAL);
	CHECK(task_iter_attach(it, 0, 0, ~0u) == -ENOENT && !strcmp(task_iter_error(it), "map: No such file or directory"));
	for (int i = 0; i < 3; i++)
		CHECK(task_iter_attach(it, 0, 0, 0) == 0);
	CHECK(task_iter_create_in(it, ~0u) == -EBADF);
	CHECK(task_iter_resume_in(it, ~0u) == -EBADF);
	for (__u32 i = 0; i <= FILLS; i++) {
		error = task_iter_fill(it, i, "x", 1);	/* a full program has some of the variables */
		CHECK((error == 0 && i < FILLS) || error == -EINVAL);
		CHECK(i == FILL_AUTOMATON || task_iter_fill(it, i, "x", ~0u) == -EINVAL);
		CHECK(task_iter_fill(it, i, NULL, 0) == -EINVAL);
	}
	CHECK(task_iter_stage(it, STAGE_PREPARE) == -EINVAL && task_iter_stage(it, ~0u) == -EINVAL);
	CHECK(task_iter_pin(it, "/nowhere/at/all") == -ENOENT && task_iter_pin(it, "") == -ENOENT && task_iter_pin(it, NULL) == -EINVAL);
	memset(stamp, 'x', sizeof(stamp));
	stamp[STAMP_SIZE] = 0;
	CHECK(task_iter_stamp(it, stamp) == -EINVAL && task_iter_stamp(it, stamp + 1) == 0 && task_iter_stamp(it, "") == 0);
	fd = task_iter_create(it);
	CHECK(fd >= 0);
	CHECK(task_iter_read(it, fd, NULL, 100) == -EFAULT && task_iter_read(it, fd, &byte, 0) == 0);
	CHECK(task_iter_read(it, fd, &byte, 1) == 1);
	CHECK(task_iter_progress(it, counts) == 0 && counts[0] > 0 && counts[1] > 0 && task_iter_progress(it, NULL) == -EINVAL);
	task_iter_free(it);	/* what was created lives on */
	CHECK(task_iter_read(NULL, fd, &byte, 1) == 1);
	CHECK(task_iter_close(fd) == 0 && task_iter_close(fd) == -EBADF);

	/* A load that the kernel refuses: 99 is no log level. */
	it = open_program();
	CHECK(task_iter_configure(it, &query, sizeof(query), 99) == 0);
	CHECK(task_iter_load(it) < 0 && !strncmp(task_iter_error(it), "load: ", 6));
	CHECK(task_iter_load(it) == -EINVAL && task_iter_configure(it, &query, sizeof(query), 0) == -EINVAL);
	check_all(it, -EINVAL);
	task_iter_free(it);
}

/* Loads in threads of their own: several at once, one that the kernel refuses, and some that nobody waits for. */
static void ahead(void)
{
	struct task_iter *its[6];

	CHECK(task_iter_begin(NULL) == -EINVAL);
	for (int i = 0; i < 6; i++) {
		its[i] = open_program();
		CHECK(task_iter_begin(its[i]) == -EINVAL && !strcmp(task_iter_error(its[i]), "load: Invalid argument"));
		CHECK(task_iter_configure(its[i], &plain, sizeof(plain), i == 3 ? 99 : 0) == 0 && task_iter_begin(its[i]) == 0);
		CHECK(task_iter_begin(its[i]) == -EINVAL);
	}
	for (int i = 3; i >= 0; i--) {
		CHECK(i == 3 ? task_iter_load(its[i]) < 0 : task_iter_load(its[i]) == 0);
		CHECK(task_iter_load(its[i]) == -EINVAL && task_iter_begin(its[i]) == -EINVAL);
		CHECK((task_iter_attach(its[i], 0, 0, 0) == 0) == (i != 3));
	}
	for (int i = 0; i < 6; i++)
		task_iter_free(its[i]);
}

/* From few free descriptors to enough: each step fails in turn, says so, and leaves nothing. */
static int limits(void)
{
	struct rlimit all, few;
	int refused = 0, result;

	CHECK(getrlimit(RLIMIT_NOFILE, &all) == 0);
	for (rlim_t limit = 3;; limit++) {
		struct task_iter *it = open_program();

		CHECK(it && task_iter_configure(it, &plain, sizeof(plain), 0) == 0);
		few = (struct rlimit){ limit, all.rlim_max };
		CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
		result = task_iter_load(it);
		if (result == 0)
			result = task_iter_attach(it, 0, 0, 0);
		if (result == 0)
			result = task_iter_create(it);
		CHECK(setrlimit(RLIMIT_NOFILE, &all) == 0);
		if (result < 0)
			CHECK(strstr(task_iter_error(it), ": ") && ++refused < 100);
		else
			CHECK(task_iter_close(result) == 0);
		task_iter_free(it);
		if (result >= 0)
			return refused;
	}
}

static void ignore(int signal)
{
	(void)signal;
}

/* A signal every 200 microseconds: a load takes longer. */
static void interrupted(void)
{
	struct itimerval often = { { 0, 200 }, { 0, 200 } }, never = {};
	char buffer[4096];
	int fd, got;

	signal(SIGALRM, ignore);
	CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
	for (int i = 0; i < 5; i++) {
		struct task_iter *it = loaded(&plain);

		CHECK(task_iter_attach(it, 0, 0, 0) == 0);
		fd = task_iter_create(it);
		CHECK(fd >= 0);
		while ((got = task_iter_read(it, fd, buffer, sizeof(buffer))) > 0)
			;
		CHECK(got == 0 && task_iter_close(fd) == 0);
		task_iter_free(it);
	}
	CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
}

/* Through a pipe that does not block to a slow reader; to one that is gone; to a full disk; to what is not open. */
static void writes(void)
{
	static char bytes[1 << 20], seen[sizeof(bytes)];
	int ends[2], status, full;
	size_t got = 0;
	ssize_t took;
	pid_t reader;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = i * 31 >> 3;
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	reader = fork();
	CHECK(reader >= 0);
	if (reader == 0) {
		close(ends[1]);
		while ((took = read(ends[0], seen + got, sizeof(seen) - got)) > 0) {
			got += took;
			usleep(1000);
		}
		_exit(got != sizeof(bytes) || memcmp(bytes, seen, got));
	}
	close(ends[0]);
	CHECK(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
	CHECK(task_iter_write(NULL, ends[1], bytes, sizeof(bytes)) == 0);
	close(ends[1]);
	CHECK(waitpid(reader, &status, 0) == reader && status == 0);

	signal(SIGPIPE, SIG_IGN);
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	close(ends[0]);
	CHECK(task_iter_write(NULL, ends[1], bytes, 1) == -EPIPE && task_iter_write(NULL, ends[1], bytes, 0) == 0);
	CHECK(task_iter_write(NULL, ends[1], NULL, 1) == -EINVAL);
	close(ends[1]);
	full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	CHECK(full >= 0 && task_iter_write(NULL, full, bytes, 1) == -ENOSPC);
	close(full);
	CHECK(task_iter_write(NULL, full, bytes, 1) == -EBADF && task_iter_write(NULL, -1, bytes, 1) == -EBADF);
}

static uint64_t state;

static uint64_t random_word(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static uint32_t below(uint32_t limit)
{
	return random_word() % limit;
}

static void random_query(struct query *query)
{
	unsigned char *bytes = (unsigned char *)query;

	*query = plain;
	switch (below(4)) {
	case 0:
		return;
	case 1:
		for (size_t i = 0; i < sizeof(*query); i++)
			bytes[i] = random_word();
		return;
	case 2:
		for (int i = below(8); i >= 0; i--)
			bytes[below(sizeof(*query))] = random_word();
		return;
	default:
		query->pass[0] = random_word();
		query->where = random_word();
		query->tests = below(8);
	}
}

/* Values that a number may have: small ones, descriptors, the largest. */
static uint32_t random_number(void)
{
	static const uint32_t some[] = { 0, 1, 2, 1 << 20, INT32_MAX, UINT32_MAX };

	return below(2) ? some[below(sizeof(some) / sizeof(some[0]))] : below(100) + 1000;
}

#define HANDLES 4
#define OPEN 8

static uint64_t fuzz(uint64_t seed, double seconds)
{
	static struct task_iter *handles[HANDLES + 1];	/* the last one is NULL */
	static struct query query;
	const char *texts[] = { "", "\"2026-01-01T00:00:00Z\"", "/", "/proc", "/dev/null", NULL };
	int fds[OPEN], open_fds = 0, netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), result;
	uint64_t calls = 0;
	struct timespec start, now;
	__u64 counts[5];
	char *buffer;

	state = seed | 1;
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		uint32_t slot = below(HANDLES + 1), size;
		struct task_iter *it = handles[slot];

		calls++;
		switch (below(22)) {
		case 0:
			if (slot < HANDLES && !it)
				handles[slot] = below(8) ? open_program() : task_iter_open(below(2) ? program : NULL, below(program_size));
			break;
		case 1: case 2:
			random_query(&query);
			size = below(4) ? sizeof(query) : random_number();
			result = task_iter_configure(it, below(8) ? &query : NULL, size, below(64) ? 0 : random_number());
			CHECK(result == 0 || result == -EINVAL);
			break;
		case 3: case 4:
			CHECK((below(2) && task_iter_begin(it) > 0) || task_iter_load(it) <= 0);
			break;
		case 5: case 6:
			if (below(2))
				CHECK(task_iter_attach(it, 0, 0, 0) <= 0);
			else
				CHECK(task_iter_attach(it, random_number(), random_number(), below(4) ? 0 : random_number()) <= 0);
			break;
		case 7:
			CHECK(task_iter_attach_cgroups(it) <= 0);
			break;
		case 8: case 9: case 10:
			if (open_fds == OPEN)
				break;
			result = below(2) ? task_iter_create(it) : below(2) ? task_iter_resume(it) :
				 task_iter_create_in(it, below(2) ? (uint32_t)netns : random_number());
			if (result >= 0)
				fds[open_fds++] = result;
			break;
		case 11: case 12: case 13: case 14:
			size = below(8) ? below(40000) : 0;
			buffer = malloc(size ?: 1);
			result = task_iter_read(it, open_fds && below(8) ? fds[below(open_fds)] : -1, below(8) ? buffer : NULL, size);
			CHECK(result <= (int)size);
			free(buffer);
			break;
		case 15:
			if (open_fds && below(2))
				CHECK(task_iter_close(fds[--open_fds]) == 0);
			else
				CHECK(task_iter_close(-1 - (int)below(100)) == -EBADF);
			break;
		case 16:
			CHECK(task_iter_stamp(it, texts[below(6)]) <= 0);
			break;
		case 17:
			CHECK(task_iter_progress(it, below(4) ? counts : NULL) <= 0);
			break;
		case 18:
			CHECK(task_iter_pin(it, texts[below(6)]) < 0);
			break;
		case 19:
			CHECK(strlen(task_iter_error(it)) < 512 && strlen(task_iter_log(it)) < 16u << 20);
			break;
		case 20:
			result = task_iter_program_size(it);
			CHECK(result > 0 || result == -EINVAL);
			break;
		default:
			task_iter_free(it);
			if (slot < HANDLES)
				handles[slot] = NULL;
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec + (now.tv_nsec - start.tv_nsec) / 1e9 < seconds);
	while (open_fds)
		CHECK(task_iter_close(fds[--open_fds]) == 0);
	for (int i = 0; i < HANDLES; i++)
		task_iter_free(handles[i]);
	close(netns);
	return calls;
}

int main(int count, char **arguments)
{
	uint64_t calls;
	int before = descriptors(), refused;
	FILE *file;

	CHECK(count == 4);
	file = fopen(arguments[1], "r");
	CHECK(file);
	program_size = fread(program, 1, sizeof(program), file);
	CHECK(program_size > 0 && program_size < sizeof(program));
	fclose(file);
	orders();
	CHECK(descriptors() == before);
	ahead();
	refused = limits();
	CHECK(descriptors() == before);
	interrupted();
	CHECK(descriptors() == before);
	writes();
	CHECK(descriptors() == before);
	calls = fuzz(strtoull(arguments[2], NULL, 10), atof(arguments[3]));
	CHECK(descriptors() == before);
	printf("{\"refused\":%d,\"calls\":%llu}\n", refused, (unsigned long long)calls);
	return 0;
}
