/* Preloaded by tests/checks/instructions: what valgrind up to 3.21 cannot do. It has no
 * openat2, which imgmake opens files with, and no room for a map of LMDB's usual size.
 * Not for use anywhere else: openat follows every link. */
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/syscall.h>

enum { MAP_MAX = 256 << 20 };

struct MDB_env;

long syscall(long number, ...)
{
	static long (*real)(long, ...);
	long a[6];
	va_list args;

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_openat2) {
		const struct open_how *how = (const struct open_how *)a[2];

		return openat((int)a[0], (const char *)a[1], (int)how->flags,
		              (mode_t)how->mode);
	}
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "syscall");
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int mdb_env_set_mapsize(struct MDB_env *env, size_t size)
{
	int (*real)(struct MDB_env *, size_t);

	*(void **)&real = dlsym(RTLD_NEXT, "mdb_env_set_mapsize");
	return real(env, size < MAP_MAX ? size : MAP_MAX);
}
