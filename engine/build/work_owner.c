/* Owners by name: as /etc/passwd and /etc/group say in the image so far, this very layer
 * included. */
#include <errno.h>
#include <unistd.h>

#include "build/work.h"
#include "os/file.h"

enum { ACCOUNTS_LIMIT = 1 << 20 };

/* The spool is being appended to: its position must stay. */
static int read_at(int fd, int64_t offset, int64_t size, struct buf *text, struct err *e)
{
	char chunk[4096];

	while (size > 0) {
		size_t want =
			size < (int64_t)sizeof(chunk) ? (size_t)size : sizeof(chunk);
		ssize_t n = pread(fd, chunk, want, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(e, "read a temporary file in the store");
		buf_add(text, chunk, (size_t)n);
		size -= n;
		offset += n;
	}
	return 0;
}

static int read_pending(struct work *w, const struct tree_entry *own, struct buf *text,
                        struct err *e)
{
	for (size_t i = 0; i < w->pending.len; i++) {
		const struct pending *p = &w->pending.at[i];
		AUTO(spool_fini) struct spool spool;
		int64_t offset = 0;
		struct want want = { p->layer, p->source, &offset };

		if (p->to != own)
			continue;
		spool_init(&spool, w->node->build->o.store);
		if (extract_files(p->from, p->in, &want, 1, &spool, e) < 0)
			return -1;
		return spool.fd < 0 ? 0
		                    : read_at(spool.fd, offset, own->toc.size, text, e);
	}
	return 0;
}

/* What a step before in this very layer made. */
static int read_own(struct work *w, const struct tree_entry *own, struct buf *text,
                    struct err *e)
{
	const struct content *c = &own->content;

	if (own->toc.type != TOC_FILE)
		return 0;
	if (own->toc.size > ACCOUNTS_LIMIT)
		return err_set(e, ERR_LIMIT, "/%s is too big for a list of accounts",
		               own->toc.path);
	switch (c->kind) {
	case CONTENT_MEMORY: buf_add(text, c->memory, (size_t)own->toc.size); return 0;
	case CONTENT_PATH:
		return file_read_beneath(c->fd, c->path, text, ACCOUNTS_LIMIT, e);
	case CONTENT_FD: return read_at(c->fd, c->offset, own->toc.size, text, e);
	case CONTENT_NONE: break;
	}
	return read_pending(w, own, text, e);
}

/* /etc/passwd as the image so far has it: of this very layer, or of one below. */
int work_read_accounts(void *self, const char *path, struct buf *text, struct err *e)
{
	struct work *w = self;
	struct toc_view v = { w->tocs, w->below->layers.len };
	const struct toc_entry *entry = NULL;
	const struct tree_entry *own;
	AUTO_BUF at = BUF_INIT;
	int rc;

	if (tree_resolve(&w->tree, path, true, &at, &entry, e) < 0)
		return -1;
	if (!entry)
		return 0;
	own = tree_own(&w->tree, at.s);
	if (own)
		return read_own(w, own, text, e);
	rc = extract_read(w->node, w->below, &v, at.s, ACCOUNTS_LIMIT, text, e);
	return rc < 0 && e->code == ERR_NOT_FOUND ? 0 : rc;
}

int work_owner(struct work *w, const char *spec, struct owner *out, struct err *e)
{
	*out = (struct owner){ 0, 0 };
	return *spec ? account_resolve(spec, work_read_accounts, w, out, e) : 0;
}
