// SPDX-License-Identifier: BSD-2-Clause
/*
 * interrupt.c -- signals that end a program between two writes, not inside one
 *
 * A runtime hands signals to its event loop, which does not run while the program reads, writes or sleeps. The handler here notes
 * the signal and wakes the only wait, task_iter_wait().
 */
#include "internal.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t caught;
static int wake = -1;

static void note(int number)
{
	int error = errno;
	__u64 one = 1;

	caught = number;
	/* A counter that is not zero wakes the wait too, so a full counter does no harm. */
	if (write(wake, &one, sizeof(one)) < 0)
		errno = error;
	errno = error;
}

int task_iter_interrupts(struct task_iter *it)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = note }, before;

	if (wake < 0)
		wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wake < 0)
		return fail(it, "eventfd", errno);
	for (unsigned int i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		/* A signal that nohup or a shell's & made this process ignore stays ignored. */
		if (sigaction(numbers[i], NULL, &before) < 0 || before.sa_handler == SIG_IGN)
			continue;
		if (sigaction(numbers[i], &action, NULL) < 0)
			return fail(it, "sigaction", errno);
	}
	return 0;
}

static long now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int poll_us(struct pollfd *fds, long us)
{
	struct timespec time = { us / 1000000, us % 1000000 * 1000 };

	return ppoll(fds, 2, &time, NULL);
}

#define NAP 2000	/* microseconds between two looks at whether a pipe is empty: poll cannot tell */

int task_iter_wait(struct task_iter *it, int fd, __u32 bytes, int us)
{
	static int told;	/* the signal that the caller knows: one that comes between two waits ends the second at once */
	long end = now_us() + us;

	for (;;) {
		struct pollfd fds[] = { { fd, bytes ? POLLOUT : 0, 0 }, { told ? -1 : wake, POLLIN, 0 } };
		int used = 0;
		long left = end - now_us();

		if (left < 0)
			left = 0;
		if (poll_us(fds, left) < 0 && errno != EINTR)
			return fail(it, "wait", errno);
		if (fds[0].revents & (POLLERR | POLLHUP | POLLNVAL))
			return (told = caught) << 8 | WAIT_GONE;
		if (fds[0].revents & POLLOUT) {
			/* poll says only that a page of the pipe is free. An empty pipe has room for any row. */
			if (bytes <= 4096 || fcntl(fd, F_GETPIPE_SZ) < 0 || ioctl(fd, FIONREAD, &used) < 0 || !used)
				return (told = caught) << 8 | WAIT_WRITABLE;
			fds[0].fd = -1;
			fds[1].revents = 0;
			poll_us(fds, left < NAP ? left : NAP);
		}
		if (caught != told || now_us() >= end)
			return (told = caught) << 8 | WAIT_NOTHING;
	}
}
