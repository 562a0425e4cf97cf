#include "base/mem.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static _Noreturn void out_of_memory(void)
{
	static const char line[] = "imgmake: out of memory\n";

	/* No exit handlers: they could allocate, or wait for other threads. */
	if (write(STDERR_FILENO, line, sizeof(line) - 1) < 0)
		_exit(2);
	_exit(2);
}

void *mem_alloc(size_t n)
{
	void *p = calloc(1, n ? n : 1);

	if (!p)
		out_of_memory();
	return p;
}

/* More is asked for than needed, for the part of it that is aligned. */
void *mem_pages(size_t n)
{
	char *all = mmap(NULL, n + MEM_LARGE_PAGE, PROT_READ | PROT_WRITE,
	                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t before;

	if (all == MAP_FAILED)
		return NULL;
	before = -(uintptr_t)all % MEM_LARGE_PAGE;
	if (before)
		munmap(all, before);
	if (before < MEM_LARGE_PAGE)
		munmap(all + before + n, MEM_LARGE_PAGE - before);
	(void)!madvise(all + before, n, MADV_HUGEPAGE); /* no more than advice */
	return all + before;
}

void mem_pages_free(void *p, size_t n)
{
	munmap(p, n);
}

void *mem_grow(void *p, size_t count, size_t size)
{
	void *q = reallocarray(p, count ? count : 1, size ? size : 1);

	if (!q)
		out_of_memory();
	return q;
}

char *mem_strdup(const char *s)
{
	return mem_strndup(s, strlen(s));
}

char *mem_strndup(const char *s, size_t n)
{
	char *p = mem_alloc(n + 1);

	memcpy(p, s, n);
	return p;
}
