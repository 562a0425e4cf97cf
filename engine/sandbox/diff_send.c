#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/fd.h"
#include "sandbox/diff.h"
#include "sandbox/diff_entry.h"

/* Between the process that reads and ours: both tables, with the length of the first in
 * front. */
struct sending {
	const struct diff_options *o;
	int fd;
};

static int read_there(void *arg, struct err *e)
{
	struct sending *s = arg;
	struct diff d = { TOC_INIT, TOC_INIT };
	AUTO_BUF first = BUF_INIT;
	AUTO_BUF out = BUF_INIT;
	int rc = diff_read_here(&d, s->o, e);

	if (rc == 0) {
		toc_encode(&d.removed, &first);
		buf_add_u64(&out, first.len);
		buf_add(&out, first.s, first.len);
		toc_encode(&d.entries, &out);
		rc = fd_write(s->fd, out.s, out.len, "the difference", e);
	}
	diff_fini(&d);
	return rc;
}

static uint64_t get_u64(const char *s)
{
	uint64_t v = 0;

	for (int i = 8; i-- > 0;)
		v = v << 8 | (unsigned char)s[i];
	return v;
}

static int receive(struct diff *d, int fd, struct err *e)
{
	AUTO_BUF in = BUF_INIT;
	uint64_t first;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(e, "read the difference");
	if (fd_read_all(fd, &in, SIZE_MAX / 4, "the difference", e) < 0)
		return -1;
	first = in.len < 8 ? 0 : get_u64(in.s);
	if (in.len < 8 || first > in.len - 8)
		return err_set(e, ERR_FAILED, "the difference came in part only");
	if (toc_decode(&d->removed, in.s + 8, first, e) < 0)
		return -1;
	return toc_decode(&d->entries, in.s + 8 + first, in.len - 8 - first, e);
}

int diff_read(struct diff *d, const struct diff_options *o, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct sending s = { o, -1 };

	*d = (struct diff){ TOC_INIT, TOC_INIT };
	if (!o->inside.call)
		return diff_read_here(d, o, e) < 0
		               ? err_wrap(e, "read what the step changed")
		               : 0;
	s.fd = fd = memfd_create("difference", MFD_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "create a memory file");
	if (o->inside.call(o->inside.sandbox, read_there, &s, e) < 0 ||
	    receive(d, fd, e) < 0)
		return err_wrap(e, "read what the step changed");
	return 0;
}

void diff_fini(struct diff *d)
{
	toc_fini(&d->removed);
	toc_fini(&d->entries);
	*d = (struct diff){ TOC_INIT, TOC_INIT };
}

bool diff_is_empty(const struct diff *d)
{
	return !d->removed.n && !d->entries.n;
}
