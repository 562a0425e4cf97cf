#ifndef TESTS_UNIT_UNPACKING_H
#define TESTS_UNIT_UNPACKING_H

/* Images made of tar streams, and what came of unpacking them. Included after cmocka.h.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image/tar_reader.h"
#include "image/unpack.h"
#include "os/file.h"
#include "unit/tars.h"

enum { LAYERS_MAX = 4, NOBODY = 65534 };

struct fixture {
	char dir[40]; /* what is unpacked goes there */
	char store_dir[48];
	int fd, store_fd;
	struct blobs *blobs;
	struct image image;
	struct descriptor layers[LAYERS_MAX];
};

static inline void run(const struct fixture *f, const char *script)
{
	AUTO_BUF line = BUF_INIT;

	buf_addf(&line, "cd %s && { %s\n} >out.log 2>&1", f->dir, script);
	if (system(line.s) != 0) {
		AUTO_BUF said = BUF_INIT;
		struct err e;

		fail_msg("failed: %s\n%s", script,
		         file_read(f->fd, "out.log", &said, 1 << 20, &e) < 0 ? e.msg
		                                                             : said.s);
	}
}

static inline int set_up(void **state)
{
	static const struct platform linux_amd64 = { .os = "linux", .arch = "amd64" };
	struct fixture *f = mem_alloc(sizeof(*f));
	struct err e;

	umask(022);
	strcpy(f->dir, "/tmp/unpack_test.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(chmod(f->dir, 0755), 0);
	snprintf(f->store_dir, sizeof(f->store_dir), "%s/store", f->dir);
	assert_int_equal(mkdir(f->store_dir, 0755), 0);
	f->fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->store_fd = open(f->store_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(blobs_open(&f->blobs, f->store_fd, false, &e), 0);
	config_init(&f->image.config, &linux_amd64);
	strcpy(f->image.manifest.media_type, MEDIA_OCI_MANIFEST);
	f->image.manifest.layers = f->layers;
	*state = f;
	return 0;
}

static inline int tear_down(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF line = BUF_INIT;

	config_fini(&f->image.config);
	blobs_close(f->blobs);
	close(f->fd);
	close(f->store_fd);
	buf_addf(&line, "chmod -R u+rwx %s && rm -rf %s", f->dir, f->dir);
	assert_int_equal(system(line.s), 0);
	free(f);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static inline void add_blob(struct fixture *f, const void *data, size_t n,
                            const char *media_type, const struct digest *diff_id)
{
	static const struct history by_us = { .created_by = "test" };
	struct descriptor *d = &f->layers[f->image.manifest.n_layers++];
	struct err e;

	assert_int_equal(blobs_put(f->blobs, data, n, &d->digest, &e), 0);
	d->size = (int64_t)n;
	strcpy(d->media_type, media_type);
	config_add_layer(&f->image.config, diff_id, &by_us, 0);
}

/* A layer that is this stream, which is ended first. */
static inline void add_layer(struct fixture *f, struct buf *tar)
{
	struct digest d;

	tar_end(tar);
	digest_of(&d, tar->s, tar->len);
	add_blob(f, tar->s, tar->len, MEDIA_OCI_LAYER, &d);
}

/* A layer from words: "d:etc f:etc/passwd=text l:lib>usr/lib h:hard>etc/passwd p:fifo
 * w:etc/gone o:etc". */
static inline void layer(struct fixture *f, const char *text)
{
	static const char types[] = "f0d5l2h1p6w0o0";
	AUTO_FREE char *copy = mem_strdup(text);
	AUTO_BUF tar = BUF_INIT;
	char *save = NULL;

	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		char type = strchr(types, *w)[1], *name = w + 2, *slash;
		char *data = *w == 'f' ? strchr(w, '=') : NULL, *link = strchr(w, '>');
		AUTO_BUF path = BUF_INIT;

		if (data)
			*data++ = '\0';
		if (link)
			*link++ = '\0';
		slash = strrchr(name, '/');
		buf_add(&path, name, *w == 'w' && slash ? (size_t)(slash - name) + 1 : 0);
		if (*w == 'w')
			buf_adds(&path, ".wh.");
		buf_adds(&path, name + path.len - (*w == 'w' ? 4 : 0));
		if (*w == 'o')
			buf_adds(&path, *name ? "/.wh..wh..opq" : ".wh..wh..opq");
		if (path.len > 100)
			tar_pax(&tar, "path", path.s);
		if (link)
			tar_link(&tar, path.s, type, link);
		else
			tar_add(&tar, path.s, type, data, data ? strnlen(data, 4096) : 0);
	}
	add_layer(f, &tar);
}

/* What a tar file holds, in the words above; times, modes and owners are left out. */
static inline void list_tar(const struct fixture *f, const char *path, struct buf *out)
{
	AUTO_BUF tar = BUF_INIT;
	struct tar_reader *r;
	struct toc_entry t;
	struct memory m;
	struct err e;
	char data[4096];
	ssize_t n;
	int got;

	assert_int_equal(file_read(f->fd, path, &tar, 64 << 20, &e), 0);
	memory_init(&m, &tar, 0);
	r = tar_reader_new(&m.source, false, NULL);
	while ((got = tar_reader_next(r, &t, &e)) > 0) {
		buf_addf(out, "%s%c:%s", out->len ? " " : "", t.type, t.path);
		if (t.link)
			buf_addf(out, ">%s", t.link);
		if (t.type == TOC_FILE)
			buf_addc(out, '=');
		while (t.type == TOC_FILE &&
		       (n = tar_reader_data(r, data, sizeof(data), &e)) > 0)
			buf_add(out, data, (size_t)n);
	}
	assert_int_equal(got, 0);
	tar_reader_free(r);
}

/* One line for each thing below `path`: all that a file system tells but for directories'
 * sizes. */
static inline void list_dir(const struct fixture *f, const char *path, struct buf *out)
{
	AUTO_BUF line = BUF_INIT;
	struct err e;

	buf_addf(
		&line,
		"cd %s && { find . -type d -printf '%%P %%y %%m %%U %%G %%T@\\n' -o -type f "
		"-printf '%%P %%y %%m %%U %%G %%n %%s %%T@\\n' -exec sha256sum {} + -o "
		"-printf '%%P %%y %%m %%U %%G %%n %%l %%T@\\n'; getfattr -dRhm - . 2>&1; } | LC_ALL=C sort",
		path);
	run(f, line.s);
	assert_int_equal(file_read(f->fd, "out.log", out, 64 << 20, &e), 0);
}

/* Unpacks both ways; they agree with each other, through GNU tar, and with `want`. */
static inline void merges_to(struct fixture *f, const char *want)
{
	AUTO_BUF got = BUF_INIT;
	AUTO_BUF ours = BUF_INIT;
	AUTO_BUF theirs = BUF_INIT;
	struct err e;

	if (unpack_tar(f->blobs, &f->image, f->fd, "fs.tar", &e) < 0)
		fail_msg("%s", e.msg);
	list_tar(f, "fs.tar", &got);
	assert_string_equal(got.s, want);
	if (unpack_dir(f->blobs, &f->image, f->fd, "fs", NULL, &e) < 0)
		fail_msg("%s", e.msg);
	run(f,
	    "rm -rf gnu; mkdir gnu; tar -C gnu --numeric-owner --xattrs --xattrs-include='*' --delay-directory-restore -pxf fs.tar;"
	    "touch -d @0 gnu fs");
	list_dir(f, "fs", &ours);
	list_dir(f, "gnu", &theirs);
	assert_string_equal(ours.s, theirs.s);
}

/* Neither way gives anything, and nothing is left behind. */
static inline void is_refused(struct fixture *f, enum err_code code, const char *reason)
{
	struct err e;

	assert_int_equal(unpack_tar(f->blobs, &f->image, f->fd, "fs.tar", &e), -1);
	if (!strstr(e.msg, reason) || e.code != code)
		fail_msg("expected '%s' (%d), got '%s' (%d)", reason, code, e.msg,
		         e.code);
	assert_int_equal(unpack_dir(f->blobs, &f->image, f->fd, "fs", NULL, &e), -1);
	assert_non_null(strstr(e.msg, reason));
	run(f, "test \"$(ls | grep -v out.log)\" = store");
}

/* Runs fn as an ordinary user, to whom all here belongs. */
static inline void as_nobody(struct fixture *f, void (*fn)(struct fixture *f))
{
	int status;
	pid_t pid;

	if (geteuid() != 0) {
		fn(f);
		return;
	}
	run(f, "chown -R 65534:65534 .");
	pid = fork();
	if (pid == 0) {
		if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
			_exit(99);
		fn(f); /* a failing check ends in abort or exit(1) */
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#endif
