/* Archives: read once into the spool, which also gives every file's digest. */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "build/work.h"
#include "image/tar_reader.h"
#include "os/fd.h"
#include "os/file.h"
#include "store/blobs.h"

static bool begins(const unsigned char *head, ssize_t n, const char *magic, size_t len)
{
	return n >= (ssize_t)len && !memcmp(head, magic, len);
}

/* Told by content, once, from a closed list: an archive's name proves nothing. */
static int detect(int fd, const char *name, enum codec *out, struct err *e)
{
	unsigned char head[262];
	ssize_t n = pread(fd, head, sizeof(head), 0);
	const char *other = NULL;

	if (n < 0)
		return err_sys(e, "read %s", name);
	*out = CODEC_NONE;
	if (begins(head, n, "\x1f\x8b", 2))
		*out = CODEC_GZIP;
	else if (begins(head, n, "\x28\xb5\x2f\xfd", 4))
		*out = CODEC_ZSTD;
	else if (begins(head, n,
	                "\xfd"
	                "7zXZ",
	                5))
		other = "xz";
	else if (begins(head, n, "BZh", 3))
		other = "bzip2";
	else if (begins(head, n, "PK\x03\x04", 4))
		other = "zip";
	if (other)
		return err_set(
			e, ERR_INVALID,
			"%s is a %s archive; unpack takes tar, tar.gz and tar.zst: convert it, "
			"in a host rule for example",
			name, other);
	return 0;
}

struct archive_reader {
	struct work *w;
	struct fileset *set;
	struct map by_dest; /* → index + 1 into set->files */
	uint64_t files;
};

static struct project_file *find(struct archive_reader *r, const char *dest)
{
	size_t i = (size_t)(uintptr_t)map_get(&r->by_dest, dest);

	return i ? &r->set->files.at[i - 1] : NULL;
}

/* As tar does it: of two entries with one path the later wins, and a hard link has the
 * content that its target had at that point. */
static void keep_entry(struct archive_reader *r, const struct project_file *x)
{
	struct project_file *old = find(r, x->dest);

	if (old) {
		*old = *x;
		return;
	}
	vec_push(&r->set->files, *x);
	map_put(&r->by_dest, x->dest, (void *)(uintptr_t)r->set->files.len);
}

static int add_entry(struct archive_reader *r, struct tar_reader *in,
                     const struct toc_entry *entry, struct err *e)
{
	const struct toc_entry *own = toc_add(&r->set->held, entry);
	struct project_file x = { .path = own->path,
		                  .dest = *own->path ? own->path : ".",
		                  .type = own->type,
		                  .mtime = own->mtime,
		                  .link = own->link,
		                  .offset = r->w->spool.size };
	const struct project_file *target;
	const char *dest;

	x.entry = arena_memdup(&r->set->arena, own, sizeof(*own));
	if (entry->type == TOC_FILE) {
		if (spool_tar_file(&r->w->spool, in, &x.digest, &x.size, e) < 0)
			return -1;
		x.ino = ++r->files;
	} else if (entry->type == TOC_HARDLINK) {
		target = find(r, entry->link);
		if (!target || target->type == TOC_DIR)
			return err_set(e, ERR_INVALID,
			               "%s is a hard link to %s, which is no file in "
			               "front of it",
			               entry->path, entry->link);
		dest = x.dest;
		x = *target;
		x.path = x.dest = dest;
	}
	keep_entry(r, &x);
	return 0;
}

static int read_archive(struct work *w, int fd, const char *name, struct fileset *set,
                        struct err *e)
{
	struct archive_reader r = { .w = w, .set = set, .by_dest = MAP_INIT };
	struct toc_entry entry;
	struct tar_reader *in;
	struct fd_source file;
	struct decoder *d;
	enum codec codec;
	int more;

	if (detect(fd, name, &codec, e) < 0)
		return err_wrap(e, "%s", name);
	fd_source_init(&file, fd, name);
	d = decoder_new(codec, &file.source, NULL);
	in = tar_reader_new(decoder_source(d), false, NULL);
	while ((more = tar_reader_next(in, &entry, e)) > 0)
		if (add_entry(&r, in, &entry, e) < 0) {
			more = -1;
			break;
		}
	tar_reader_free(in);
	decoder_free(d);
	map_fini(&r.by_dest);
	return more < 0 ? err_wrap(e, "%s", name) : 0;
}

/* The archive's own owners and modes hold, and its times, but none after
 * SOURCE_DATE_EPOCH. */
static int place_archive(struct work *w, int fd, const char *name, const char *to,
                         const char *owner, struct err *e)
{
	struct placing p = {
		.to = to, .mode = -1, .dir_mode = -1, .owner = owner, .mtime = MTIME_KEEP
	};
	struct fileset *set = mem_alloc(sizeof(*set));
	const struct build *b = w->node->build;

	vec_push(&w->sets, set);
	if (read_archive(w, fd, name, set, e) < 0 || fileset_settle(set, e) < 0)
		return -1;
	for (size_t i = 0; b->o.has_epoch && i < set->files.len; i++)
		if (set->files.at[i].mtime > b->o.epoch)
			set->files.at[i].mtime = b->o.epoch;
	p.spool = w->spool.fd;
	return work_place(w, set, &p, e);
}

static int open_own(struct work *w, int fd)
{
	vec_push(&w->fds, fd);
	return fd;
}

static int unpack_from(struct work *w, const struct step_unpack *u, struct err *e)
{
	const struct node *from = node_of(w->node, u->from);
	AUTO(spool_fini) struct spool archive;
	AUTO_FREE const struct toc **tocs = NULL;
	struct toc_view v;

	spool_init(&archive, w->node->build->o.store);
	if (node_tocs(from, &from->result, &tocs, e) < 0)
		return -1;
	v = (struct toc_view){ tocs, from->result.layers.len };
	if (extract_to(from, &from->result, &v, u->source, &archive, e) < 0)
		return -1;
	if (archive.fd < 0 || lseek(archive.fd, 0, SEEK_SET) < 0)
		return err_set(e, ERR_INVALID, "%s is empty", u->source);
	return place_archive(w, archive.fd, u->source, u->to, u->owner, e);
}

/* ctime: no write leaves it. */
static bool same_content(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

int work_unpack(struct work *w, const struct step_unpack *u, const struct step_plan *p,
                struct err *e)
{
	struct stat before, after;
	struct digest now;
	int fd;

	if (u->from)
		return unpack_from(w, u, e);
	/* What is unpacked must be what the key says. */
	fd = file_open_hashed(w->node->context, u->source, &now, &before, e);
	if (fd < 0)
		return -1;
	open_own(w, fd);
	if (digest_equal(&now, &p->source)) {
		if (place_archive(w, fd, u->source, u->to, u->owner, e) < 0)
			return -1;
		if (fstat(fd, &after) == 0 && same_content(&before, &after))
			return 0;
	}
	return err_set(e, ERR_CHANGED, "%s changed while it was used", u->source);
}

static int fetch(struct work *w, const struct step_add *a, const struct digest *want,
                 struct err *e)
{
	struct build *b = w->node->build;
	struct digest got;

	if (blobs_has(b->o.store->blobs, want, NULL))
		return 0;
	if (download(b, a->url, &got, e) < 0)
		return -1;
	if (digest_equal(&got, want))
		return 0;
	return err_set(e, ERR_CORRUPT, "%s is %s now, but %s says %s", a->url,
	               DIGEST_STR(&got), *a->sha256 ? "the recipe" : "Imagefile.lock",
	               DIGEST_STR(want));
}

/* The last part of a URL's path, as browsers and Docker call it: %20 is a blank. */
static const char *url_base(struct arena *a, const char *url)
{
	const char *path = strstr(url, "://");
	size_t n = strcspn(path ? path + 3 : url, "?#") +
	           (path ? (size_t)(path + 3 - url) : 0);
	char *whole = arena_strndup(a, url, n), *to = whole;
	const char *name;

	for (const char *from = whole; *from; to++) {
		unsigned byte;
		bool coded = *from == '%' && isxdigit((unsigned char)from[1]) &&
		             isxdigit((unsigned char)from[2]) &&
		             sscanf(from + 1, "%2x", &byte) == 1 && byte;

		*to = coded ? (char)byte : *from;
		from += coded ? 3 : 1;
	}
	*to = '\0';
	name = path_base(whole);
	return *name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 ? name
	                                                                  : "download";
}

static int place_download(struct work *w, const struct step_add *a,
                          const struct digest *d, int fd, int64_t size, struct err *e)
{
	struct placing p = { .to = a->to,
		             .mode = a->mode,
		             .dir_mode = -1,
		             .owner = a->owner,
		             .spool = fd };
	struct fileset *set = mem_alloc(sizeof(*set));
	struct toc_entry *entry = arena_alloc(&set->arena, sizeof(*entry));
	struct project_file x = {
		.type = TOC_FILE, .size = size, .digest = *d, .entry = entry
	};

	vec_push(&w->sets, set);
	x.path = x.dest = url_base(&set->arena, a->url);
	*entry = (struct toc_entry){
		.path = x.path, .type = TOC_FILE, .mode = 0644, .size = size
	};
	set->single = true;
	vec_push(&set->files, x);
	return work_place(w, set, &p, e);
}

int work_add(struct work *w, const struct step_add *a, const struct step_plan *p,
             struct err *e)
{
	struct blobs *blobs = w->node->build->o.store->blobs;
	int64_t size;
	int fd;

	if (fetch(w, a, &p->source, e) < 0)
		return -1;
	fd = blobs_get(blobs, &p->source, &size, e);
	if (fd < 0)
		return -1;
	open_own(w, fd);
	if (a->unpack)
		return place_archive(w, fd, a->url, a->to, a->owner, e);
	return place_download(w, a, &p->source, fd, size, e);
}
