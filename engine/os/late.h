#ifndef OS_LATE_H
#define OS_LATE_H

/* Shared libraries that most commands have no need of, loaded when they are first used:
 * with what they draw in, the dynamic linker takes longer over them than a build takes in
 * which nothing has changed. A file named after the library (curl_late.c) defines its
 * functions under their own names, each by a pointer that late_load() has set: callers
 * include the library's header, and the compiler checks calls and definitions against it,
 * as if it were linked. Who enters a room calls late_load() first. */
#include <pthread.h>
#include <stdbool.h>

#include "base/err.h"

struct late_name {
	const char *name;
	void *at; /* the pointer to the function */
};

struct late {
	const char *soname, *package; /* the latter for people: "libcurl" */
	const struct late_name *names;
	size_t n;
	pthread_mutex_t lock;
	bool loaded;
};

/* Loads it once, for good. ERR_FAILED: it is not installed, or another version; nothing
 * that was asked for is then said to be missing. */
MUST_CHECK int late_load(struct late *l, struct err *e);

/* For lists of functions, X(type, name, (parameters), (arguments)). */
#define LATE_POINTER(type, name, parameters, arguments)                                  \
	static __typeof__(name) *late_##name;
#define LATE_NAME(type, name, parameters, arguments) { #name, &late_##name },
#define LATE_FUNCTION(type, name, parameters, arguments)                                 \
	type(name) parameters                                                            \
	{                                                                                \
		return late_##name arguments;                                            \
	}

#endif
