#ifndef TESTS_UNIT_IMAGES_H
#define TESTS_UNIT_IMAGES_H

/* Small images in a store of the test's own, exported and imported. Included after
 * cmocka.h. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "image/image.h"
#include "image/layout.h"
#include "unit/packing.h"

static const struct platform amd64 = { "linux", "amd64", "" };
static const struct platform arm64 = { "linux", "arm64", "" };

/* Runs a shell command below the fixture's directory; it must succeed. */
PRINTF(2, 3)
static inline void sh(struct fixture *f, const char *fmt, ...)
{
	AUTO_BUF line = BUF_INIT;
	va_list ap;

	buf_addf(&line, "exec 2>>%s/sh.log; set -e; cd %s; ", f->dir, f->dir);
	va_start(ap, fmt);
	buf_vaddf(&line, fmt, ap);
	va_end(ap);
	if (system(line.s) != 0) {
		AUTO_BUF log = BUF_INIT;
		struct err e;

		if (file_read(f->fd, "sh.log", &log, 1 << 20, &e) == 0)
			print_error("%s\n", log.s);
		fail_msg("failed: %s", line.s);
	}
}

static inline void ok(int rc, const struct err *e)
{
	if (rc < 0)
		fail_msg("%s", e->msg);
}

static inline void put(struct fixture *f, struct buf *body, const char *type,
                       struct descriptor *d)
{
	struct err e;

	memset(d, 0, sizeof(*d));
	strcpy(d->media_type, type);
	d->size = (int64_t)body->len;
	ok(blobs_put(f->blobs, body->s, body->len, &d->digest, &e), &e);
}

/* Two layers, the first of them twice if `twice`. */
static inline struct descriptor make_image(struct fixture *f, const struct platform *p,
                                           const char *text, enum codec codec, bool twice)
{
	struct item lower[] = { other(TOC_DIR, "etc", NULL), file("etc/hello", text) };
	struct item upper[] = { file("top", text) };
	struct history h = { .created_by = "copy" };
	struct descriptor layers[3], out;
	AUTO_BUF body = BUF_INIT, config_body = BUF_INIT;
	struct manifest m = { .layers = layers };
	struct image_config c;
	struct layer l;
	struct err e;

	config_init(&c, p);
	config_set(&c, "Cmd", json_pack("[s]", "/top"));
	for (int i = 0; i < (twice ? 3 : 2); i++) {
		ok(pack(f, codec, NULL, i == 1 ? upper : lower, i == 1 ? 1 : 2, &l, &e),
		   &e);
		config_add_layer(&c, &l.diff_id, &h, 0);
		layers[m.n_layers++] = l.blob;
	}
	config_write(&c, &config_body);
	config_fini(&c);
	put(f, &config_body, MEDIA_OCI_CONFIG, &m.config);
	manifest_write(&m, &body);
	put(f, &body, MEDIA_OCI_MANIFEST, &out);
	return out;
}

static inline struct descriptor make_index(struct fixture *f)
{
	struct descriptor d[2] = { make_image(f, &amd64, "amd", CODEC_GZIP, false),
		                   make_image(f, &arm64, "arm", CODEC_GZIP, false) };
	struct image_index ix = { .manifests = d, .n = 2 };
	AUTO_BUF body = BUF_INIT;
	struct descriptor out;

	d[0].platform = amd64;
	d[1].platform = arm64;
	index_write(&ix, &body);
	put(f, &body, MEDIA_OCI_INDEX, &out);
	return out;
}

/* A second, empty store. */
static inline struct blobs *fresh_store(struct fixture *f, const char *name)
{
	struct blobs *b;
	struct err e;
	int fd;

	ok(file_mkdirs(f->fd, name, 0700, &e), &e);
	fd = openat(f->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ok(blobs_open(&b, fd, false, &e), &e);
	close(fd);
	return b;
}

static inline void export_to(struct fixture *f, enum layout_kind kind, const char *path,
                             const char *name, const struct descriptor *root)
{
	struct err e;

	ok(layout_export(f->blobs, f->fd, kind, path, name, root, &e), &e);
}

/* What import into an empty store gives is whole, and the root known before. */
static inline void import_from(struct fixture *f, enum layout_kind kind, const char *path,
                               const char *tag, const struct platform *p,
                               struct descriptor *root)
{
	static int serial;
	struct descriptor told;
	struct blobs *fresh;
	char name[40];
	struct err e;

	snprintf(name, sizeof(name), "store%d", serial++);
	fresh = fresh_store(f, name);
	ok(layout_root(f->fd, kind, path, tag, &told, &e), &e);
	ok(layout_import(fresh, f->fd, kind, path, tag, root, &e), &e);
	assert_true(digest_equal(&told.digest, &root->digest));
	assert_int_equal(told.size, root->size);
	assert_true(image_is_whole(fresh, root, p));
	blobs_close(fresh);
}

static inline void import_fails(struct fixture *f, enum layout_kind kind,
                                const char *path, const char *tag, enum err_code code,
                                const char *why)
{
	struct descriptor root;
	struct blobs *fresh = fresh_store(f, "failing");
	struct err e;

	if (layout_import(fresh, f->fd, kind, path, tag, &root, &e) == 0)
		fail_msg("%s was accepted", path);
	if (!strstr(e.msg, why) || e.code != code)
		fail_msg("%d: %s", e.code, e.msg);
	blobs_close(fresh);
	assert_int_equal(file_remove_tree(f->fd, "failing", &e), 0);
}

#endif
