#ifndef TESTS_UNIT_PACKING_H
#define TESTS_UNIT_PACKING_H

/* Layers from entries in memory, for the tests of the packer and its tar stream. Included
 * after cmocka.h. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "image/pack.h"
#include "os/file.h"
#include "unit/streams.h"

/* A store of its own for each test. */
struct fixture {
	char dir[40];
	int fd;
	struct blobs *blobs;
	struct pool *pool;
};

static inline int set_up(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));
	struct err e;

	strcpy(f->dir, "/tmp/pack_test.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(blobs_open(&f->blobs, f->fd, false, &e), 0);
	f->pool = pool_new(3);
	*state = f;
	return 0;
}

static inline int tear_down(void **state)
{
	struct fixture *f = *state;
	struct err e;

	pool_free(f->pool);
	blobs_close(f->blobs);
	close(f->fd);
	assert_int_equal(file_remove_tree(AT_FDCWD, f->dir, &e), 0);
	free(f);
	return 0;
}

struct item {
	struct toc_entry entry;
	const char *data; /* of a file */
};

static inline int pack_items(struct packer *p, const struct item *items, size_t n,
                             struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		const char *data = items[i].data;

		if (packer_entry(p, &items[i].entry, e) < 0)
			return -1;
		if (data && packer_data(p, data, strlen(data), e) < 0)
			return -1;
	}
	return 0;
}

static inline int pack(struct fixture *f, enum codec codec, struct pool *pool,
                       const struct item *items, size_t n, struct layer *out,
                       struct err *e)
{
	struct packer *p;
	int rc = packer_open(&p, f->blobs, codec, pool, e);

	if (rc == 0)
		rc = pack_items(p, items, n, e);
	if (rc == 0)
		rc = packer_finish(p, out, e);
	packer_close(p);
	return rc;
}

/* The plain tar stream of a layer that is made of `items`. */
static inline void tar_of(struct fixture *f, const struct item *items, size_t n,
                          struct buf *tar)
{
	struct layer layer;
	struct err e;

	assert_int_equal(pack(f, CODEC_NONE, NULL, items, n, &layer, &e), 0);
	assert_int_equal(blobs_read(f->blobs, &layer.blob.digest, 64 << 20, tar, &e), 0);
}

static inline struct item file(const char *path, const char *data)
{
	struct item i = {
		{ .path = path, .type = TOC_FILE, .mode = 0644, .mtime = 315619200 }, data
	};

	i.entry.size = (int64_t)strlen(data);
	return i;
}

static inline struct item other(enum toc_type type, const char *path, const char *link)
{
	return (struct item){ { .path = path,
		                .type = type,
		                .mode = 0755,
		                .link = link,
		                .mtime = 315619200 },
		              NULL };
}

#define LONG50 "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN"
#define LONG100 LONG50 LONG50

static const struct toc_xattr caps[] = {
	{ "security.capability", "\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20 },
	{ "user.note", "line\nline=1", 11 },
};

/* One of everything. Returns their number. */
static inline size_t variety(struct item *at)
{
	size_t n = 0;

	at[n] = other(TOC_DIR, "", NULL);
	at[n++].entry.mode = 0755;
	at[n++] = other(TOC_DIR, "a dir", NULL);
	at[n++] = file("a dir/new\nline", "odd");
	at[n++] = file("a dir/not utf-8 \xff\xfe", "bytes");
	at[n++] = file("a dir/ol\xc3\xa9", "utf-8");
	at[n] = other(TOC_CHAR, "a dir/tty", NULL);
	at[n].entry.dev_major = 4;
	at[n++].entry.dev_minor = 64;
	at[n] = other(TOC_BLOCK, "a dir/vda", NULL);
	at[n].entry.dev_major = 254;
	at[n++].entry.dev_minor = 1048575;
	at[n++] = other(TOC_FIFO, "a dir/fifo", NULL);
	at[n++] = file("empty", "");
	at[n++] = other(TOC_HARDLINK, "hard", "a dir/new\nline");
	at[n++] = other(TOC_DIR, LONG100, NULL);
	at[n++] = file(LONG100 "/" LONG50, "ustar prefix");
	at[n++] = file(LONG100 "/" LONG100 "0", "pax path");
	at[n++] = other(TOC_DIR, LONG100 "/" LONG100 "d", NULL);
	at[n] = file("owner", "big ids");
	at[n].entry.uid = 4294967294u;
	at[n++].entry.gid = 2097152;
	at[n] = file("past", "before 1970");
	at[n++].entry.mtime = -12345;
	at[n] = file("setuid", "#!/bin/sh\n");
	at[n++].entry.mode = 06755;
	at[n] = file("with-xattrs", "x");
	at[n].entry.xattrs = caps;
	at[n++].entry.n_xattrs = 2;
	at[n++] = other(TOC_SYMLINK, "link", "../" LONG100 "/../etc/\xc3\xa9 x");
	at[n++] = other(TOC_SYMLINK, "short", "a dir");
	at[n++] = other(TOC_WHITEOUT, "zone/gone", NULL);
	at[n++] = other(TOC_OPAQUE, "zone", NULL);
	return n;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
