/* Export into one tar file: an OCI layout, or what `docker load` reads. The bytes are a
 * function of image and name: entries sorted, owned by 0:0, of one date. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "image/image.h"
#include "image/layout_write.h"
#include "image/reference.h"
#include "image/tar_writer.h"
#include "os/fd.h"

enum { ENTRY_MTIME = 315619200 }; /* 1980, as in layers */

struct writing {
	int fd;
	const char *path;
	struct blobs *store;
};

static int put_bytes(void *self, const void *data, size_t n, struct err *e)
{
	struct writing *w = self;

	return fd_write(w->fd, data, n, w->path, e);
}

static int put_header(struct writing *w, const char *name, enum toc_type type,
                      int64_t size, struct err *e)
{
	struct toc_entry entry = {
		.path = name, .type = type, .size = size, .mtime = ENTRY_MTIME
	};
	AUTO_BUF head = BUF_INIT;

	entry.mode = type == TOC_DIR ? 0755 : 0644;
	if (tar_write_header(&head, &entry, e) < 0)
		return -1;
	return put_bytes(w, head.s, head.len, e);
}

static int put_padding(struct writing *w, int64_t size, struct err *e)
{
	static const char zeros[TAR_WRITE_BLOCK];

	return put_bytes(w, zeros, tar_write_padding(size), e);
}

static int put_text(struct writing *w, const char *name, const void *data, size_t n,
                    struct err *e)
{
	if (put_header(w, name, TOC_FILE, (int64_t)n, e) < 0 ||
	    put_bytes(w, data, n, e) < 0)
		return -1;
	return put_padding(w, (int64_t)n, e);
}

static int put_blob(struct writing *w, const char *name, const struct descriptor *d,
                    struct err *e)
{
	if (put_header(w, name, TOC_FILE, d->size, e) < 0 ||
	    layout_blob_stream(w->store, d, put_bytes, w, e) < 0)
		return -1;
	return put_padding(w, d->size, e);
}

static int put_blobs(struct writing *w, const struct descriptor *root, struct err *e)
{
	struct layout_blobs list;
	int rc = 0;

	if (layout_blobs_collect(&list, w->store, root, e) < 0)
		return -1;
	for (size_t i = 0; i < list.len && rc == 0; i++) {
		char name[16 + DIGEST_HEX], hex[DIGEST_HEX + 1];

		snprintf(name, sizeof(name), "blobs/sha256/%s",
		         digest_hex(&list.at[i].digest, hex));
		rc = put_blob(w, name, &list.at[i], e);
	}
	vec_fini(&list);
	return rc;
}

static int write_oci(struct writing *w, const char *name, const struct descriptor *root,
                     struct err *e)
{
	AUTO_JSON *index = layout_index_new();
	AUTO_BUF text = BUF_INIT;

	layout_index_add(index, name, root);
	json_write(&text, index);
	if (put_header(w, "blobs", TOC_DIR, 0, e) < 0 ||
	    put_header(w, "blobs/sha256", TOC_DIR, 0, e) < 0 ||
	    put_blobs(w, root, e) < 0 ||
	    put_text(w, "index.json", text.s, text.len, e) < 0)
		return -1;
	return put_text(w, "oci-layout", LAYOUT_VERSION_TEXT, strlen(LAYOUT_VERSION_TEXT),
	                e);
}

/* A file of an archive for docker: its name tells blob and kind. */
struct member {
	char name[DIGEST_HEX + 16];
	struct descriptor blob;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct member *)a)->name, ((const struct member *)b)->name);
}

static void name_member(struct member *m, const struct descriptor *d, const char *suffix)
{
	char hex[DIGEST_HEX + 1];

	m->blob = *d;
	snprintf(m->name, sizeof(m->name), "%s%s", digest_hex(&d->digest, hex), suffix);
}

/* docker load wants "repository:tag", and no digest. */
static json_t *repo_tags(const char *name)
{
	AUTO_FREE char *text = NULL;
	struct reference r;
	struct err e;

	if (!name || reference_parse(&r, name, &e) < 0 || !r.tag[0])
		return json_null();
	r.has_digest = false;
	text = reference_text(&r);
	return json_pack("[s]", text);
}

static int list_members(const struct image *im, struct member *at, struct err *e)
{
	static const char *const suffixes[] = {
		[CODEC_NONE] = ".tar", [CODEC_GZIP] = ".tar.gz", [CODEC_ZSTD] = ".tar.zst"
	};
	enum codec codec;

	name_member(&at[0], &im->manifest.config, ".json");
	for (size_t i = 0; i < im->manifest.n_layers; i++) {
		const struct descriptor *d = &im->manifest.layers[i];

		if (media_layer_codec(d->media_type, &codec, e) < 0)
			return -1;
		name_member(&at[i + 1], d, suffixes[codec]);
	}
	return 0;
}

static void manifest_json(const struct member *at, size_t n, const char *name,
                          struct buf *out)
{
	AUTO_JSON *list = json_array();
	json_t *entry = json_object(), *layers = json_array();

	for (size_t i = 1; i < n; i++)
		json_array_append_new(layers, json_string(at[i].name));
	json_object_set_new(entry, "Config", json_string(at[0].name));
	json_object_set_new(entry, "RepoTags", repo_tags(name));
	json_object_set_new(entry, "Layers", layers);
	json_array_append_new(list, entry);
	json_write(out, list);
}

static int write_members(struct writing *w, struct member *at, size_t n,
                         const struct buf *text, struct err *e)
{
	qsort(at, n, sizeof(*at), by_name);
	for (size_t i = 0; i < n; i++)
		if ((!i || by_name(&at[i - 1], &at[i]) != 0) &&
		    put_blob(w, at[i].name, &at[i].blob, e) < 0)
			return -1;
	return put_text(w, "manifest.json", text->s, text->len, e);
}

static int write_docker(struct writing *w, const char *name,
                        const struct descriptor *root, struct err *e)
{
	AUTO_FREE struct member *at = NULL;
	AUTO_BUF text = BUF_INIT;
	struct image im;
	size_t n;
	int rc;

	if (image_open(&im, w->store, root, NULL, e) < 0)
		return -1;
	n = im.manifest.n_layers + 1;
	at = mem_alloc(n * sizeof(*at));
	rc = list_members(&im, at, e);
	image_fini(&im);
	if (rc < 0)
		return -1;
	manifest_json(at, n, name, &text);
	return write_members(w, at, n, &text, e);
}

static int write_archive(struct writing *w, enum layout_kind kind, const char *name,
                         const struct descriptor *root, struct err *e)
{
	static const char end[TAR_WRITE_END];

	if ((kind == LAYOUT_OCI_ARCHIVE ? write_oci : write_docker)(w, name, root, e) <
	            0 ||
	    put_bytes(w, end, sizeof(end), e) < 0)
		return -1;
	return fd_sync(w->fd, w->path, e);
}

static int sync_directory(int dir, const char *path, struct err *e)
{
	AUTO_FREE char *parent = path_dir(path);
	AUTO_CLOSE int fd = openat(dir, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open the directory of %s", path);
	return fd_sync(fd, path, e);
}

int layout_archive_export(struct blobs *store, int dir, enum layout_kind kind,
                          const char *path, const char *name,
                          const struct descriptor *root, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	AUTO_BUF tmp = BUF_INIT;
	struct writing w;

	buf_addf(&tmp, "%s.tmp.%d", path, (int)getpid());
	fd = openat(dir, tmp.s, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
	            0644);
	if (fd < 0)
		return err_sys(e, "create %s", tmp.s);
	w = (struct writing){ fd, path, store };
	if (write_archive(&w, kind, name, root, e) < 0) {
		unlinkat(dir, tmp.s, 0);
		return err_wrap(e, "export to %s", path);
	}
	if (renameat(dir, tmp.s, dir, path) < 0) {
		err_sys(e, "name %s", path);
		unlinkat(dir, tmp.s, 0);
		return -1;
	}
	return sync_directory(dir, path, e);
}
