#ifndef BASE_MEM_H
#define BASE_MEM_H

/* Allocation that cannot fail: out of memory ends the process with one line and
 * exit status 2, since nothing above could go on. On-disk state survives this
 * as it survives kill -9. */
#include <stddef.h>
#include <stdlib.h>

void *mem_alloc(size_t n);                          /* zeroed */
void *mem_grow(void *p, size_t count, size_t size); /* realloc, checked product */
/* Zeroed memory straight from the kernel, in large pages where it has them: page by page,
 * it takes longer to give memory than most takes to fill. `n` is a multiple of
 * MEM_LARGE_PAGE. NULL: there is none. */
enum { MEM_LARGE_PAGE = 2 << 20 };
void *mem_pages(size_t n);
void mem_pages_free(void *p, size_t n);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n);

static inline void mem_free_ptr(void *pp)
{
	free(*(void **)pp);
}

#define AUTO_FREE __attribute__((cleanup(mem_free_ptr)))
#define AUTO(fini) __attribute__((cleanup(fini)))

#define STEAL(p)                                                                         \
	({                                                                               \
		__typeof__(p) *pp_ = &(p);                                               \
		__typeof__(p) v_ = *pp_;                                                 \
		*pp_ = NULL;                                                             \
		v_;                                                                      \
	})
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

#endif
