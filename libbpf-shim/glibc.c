// SPDX-License-Identifier: BSD-2-Clause
/*
 * glibc.c -- what Debian's static libbpf and libelf want of the C library, so that libbpf.so runs with glibc 2.17 and later
 *
 * A definition here takes the place of the C library's, whose version is newer, or of a form that a shared library cannot have. The
 * other objects of libbpf.so see them; nobody else does.
 */
#include "internal.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

struct stat;
#define HIDDEN __attribute__((visibility("hidden")))

/* glibc 2.33. The kernel's struct stat is the C library's on both architectures. */
HIDDEN int fstat(int fd, struct stat *status)
{
	return syscall(SYS_fstat, fd, status);
}

/* glibc 2.28 */
HIDDEN int fcntl64(int fd, int command, ...)
{
	va_list arguments;
	long argument;

	va_start(arguments, command);
	argument = va_arg(arguments, long);
	va_end(arguments);
	return syscall(SYS_fcntl, fd, command, argument);
}

/* glibc 2.22. libbpf reads the kernel's configuration by it, for externs in .kconfig, which no object here has. */
HIDDEN FILE *fmemopen(void *bytes, size_t size, const char *mode)
{
	(void)bytes;
	(void)size;
	(void)mode;
	errno = ENOSYS;
	return NULL;
}

/*
 * Debian's libbpf takes the address of stderr as only an executable may. libbpf's own print function alone uses it, and libbpf.c
 * has set another one before.
 */
HIDDEN FILE *stderr;

/*
 * The whole of libelf's elf_error.o, whose thread's own variable only an executable may have. A message is a number of libelf's
 * own: such a number means that the object is not as the build made it.
 */
static __thread int last;

HIDDEN void __libelf_seterrno(int error)
{
	last = error;
}

HIDDEN int elf_errno(void)
{
	int error = last;

	last = 0;
	return error;
}

HIDDEN const char *elf_errmsg(int error)
{
	static __thread char text[32];

	snprintf(text, sizeof(text), "libelf error %d", error == -1 ? last : error);
	return text;
}
