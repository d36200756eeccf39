// SPDX-License-Identifier: BSD-2-Clause
/*
 * fixture.c -- processes for the tests to look at: fixture MODE [ARGUMENT ...]
 *
 * A mode sets something up and prints one line of JSON about it; then the process waits until its standard input ends.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
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

static const struct {
	const char *name;
	void (*run)(char **arguments);
} modes[] = {
	{ "name", mode_name },
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
