#include "image/archive_late.h"

#include <archive.h>
#include <archive_entry.h>

#include "os/late.h"

#define READ struct archive *a
#define ENTRY struct archive_entry *entry

#define FUNCTIONS(X)                                                                     \
	X(int, archive_version_number, (void), ())                                       \
	X(const char *, archive_error_string, (READ), (a))                               \
	X(struct archive *, archive_read_new, (void), ())                                \
	X(int, archive_read_free, (READ), (a))                                           \
	X(int, archive_read_support_filter_none, (READ), (a))                            \
	X(int, archive_read_support_format_tar, (READ), (a))                             \
	X(int, archive_read_set_read_callback, (READ, archive_read_callback * read),     \
	  (a, read))                                                                     \
	X(int, archive_read_set_callback_data, (READ, void *self), (a, self))            \
	X(int, archive_read_open1, (READ), (a))                                          \
	X(int, archive_read_next_header, (READ, struct archive_entry * *out), (a, out))  \
	X(la_ssize_t, archive_read_data, (READ, void *data, size_t n), (a, data, n))     \
	X(mode_t, archive_entry_filetype, (ENTRY), (entry))                              \
	X(mode_t, archive_entry_perm, (ENTRY), (entry))                                  \
	X(const char *, archive_entry_pathname, (ENTRY), (entry))                        \
	X(const char *, archive_entry_hardlink, (ENTRY), (entry))                        \
	X(const char *, archive_entry_symlink, (ENTRY), (entry))                         \
	X(la_int64_t, archive_entry_size, (ENTRY), (entry))                              \
	X(la_int64_t, archive_entry_uid, (ENTRY), (entry))                               \
	X(la_int64_t, archive_entry_gid, (ENTRY), (entry))                               \
	X(dev_t, archive_entry_rdevmajor, (ENTRY), (entry))                              \
	X(dev_t, archive_entry_rdevminor, (ENTRY), (entry))

FUNCTIONS(LATE_POINTER)
FUNCTIONS(LATE_FUNCTION)

_Static_assert(ARCHIVE_VERSION_NUMBER / 1000000 == 3,
               "libarchive.so.13 is of libarchive 3");

int archive_late_load(struct err *e)
{
	static const struct late_name names[] = { FUNCTIONS(LATE_NAME) };
	static struct late library = { .soname = "libarchive.so.13",
		                       .package = "libarchive",
		                       .names = names,
		                       .n = ARRAY_LEN(names),
		                       .lock = PTHREAD_MUTEX_INITIALIZER };

	return late_load(&library, e);
}
