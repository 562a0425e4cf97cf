#include "image/layout.h"

#include <string.h>

#include "image/image.h"
#include "image/layout_files.h"
#include "image/layout_write.h"
#include "os/fd.h"

enum { CHUNK = 256 * 1024 };

int layout_parse(const char *text, enum layout_kind *kind, char **path, char **tag)
{
	static const struct {
		const char *prefix;
		enum layout_kind kind;
	} forms[] = {
		{ "oci:", LAYOUT_OCI_DIR },
		{ "oci-archive:", LAYOUT_OCI_ARCHIVE },
		{ "docker-archive:", LAYOUT_DOCKER_ARCHIVE },
	};

	*path = *tag = NULL;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		size_t n = strlen(forms[i].prefix);
		const char *colon;

		if (strncmp(text, forms[i].prefix, n) != 0)
			continue;
		/* The first colon, as skopeo has it: references hold colons themselves.
		 */
		colon = strchr(text + n, ':');
		*kind = forms[i].kind;
		*path = mem_strndup(text + n, colon ? (size_t)(colon - text) - n
		                                    : strlen(text + n));
		*tag = colon && colon[1] ? mem_strdup(colon + 1) : NULL;
		return 1;
	}
	return 0;
}

/* `store` NULL: only the root. */
static int read_layout(struct blobs *store, int dir, enum layout_kind kind,
                       const char *path, const char *tag, struct descriptor *root,
                       struct err *e)
{
	struct layout_files f;
	int rc;

	if (layout_files_open(&f, dir, kind != LAYOUT_OCI_DIR, path, e) < 0)
		return -1;
	if (kind == LAYOUT_DOCKER_ARCHIVE)
		rc = layout_docker_import(&f, store, tag, root, e);
	else
		rc = layout_oci_import(&f, store, tag, root, e);
	layout_files_close(&f);
	return rc;
}

int layout_import(struct blobs *store, int dir, enum layout_kind kind, const char *path,
                  const char *tag, struct descriptor *root, struct err *e)
{
	return read_layout(store, dir, kind, path, tag, root, e);
}

int layout_root(int dir, enum layout_kind kind, const char *path, const char *tag,
                struct descriptor *root, struct err *e)
{
	return read_layout(NULL, dir, kind, path, tag, root, e);
}

int layout_export(struct blobs *store, int dir, enum layout_kind kind, const char *path,
                  const char *name, const struct descriptor *root, struct err *e)
{
	if (!*path)
		return err_set(e, ERR_INVALID, "the path to export to is empty");
	if (kind == LAYOUT_DOCKER_ARCHIVE && media_class(root->media_type) == MEDIA_INDEX)
		return err_set(
			e, ERR_INVALID,
			"an archive for docker load holds one platform; choose it with --platform, "
			"or export to oci-archive:");
	if (kind == LAYOUT_OCI_DIR)
		return layout_dir_export(store, dir, path, name, root, e);
	return layout_archive_export(store, dir, kind, path, name, root, e);
}

static int by_digest(const void *a, const void *b)
{
	const struct descriptor *x = a, *y = b;

	return memcmp(x->digest.b, y->digest.b, DIGEST_SIZE);
}

static int collect_one(void *self, const struct descriptor *d, struct err *e)
{
	struct layout_blobs *list = self;

	(void)e;
	vec_push(list, *d);
	return 0;
}

int layout_blobs_collect(struct layout_blobs *list, struct blobs *store,
                         const struct descriptor *root, struct err *e)
{
	size_t n = 0;

	*list = (struct layout_blobs){ NULL, 0, 0 };
	if (image_each_blob(store, root, collect_one, list, e) < 0) {
		vec_fini(list);
		return -1;
	}
	qsort(list->at, list->len, sizeof(*list->at), by_digest);
	for (size_t i = 0; i < list->len; i++)
		if (!n || by_digest(&list->at[n - 1], &list->at[i]) != 0)
			list->at[n++] = list->at[i];
	list->len = n;
	return 0;
}

int layout_blob_stream(struct blobs *store, const struct descriptor *d, layout_sink *sink,
                       void *self, struct err *e)
{
	AUTO_FREE char *chunk = mem_alloc(CHUNK);
	AUTO_CLOSE int fd = -1;
	struct digest got;
	struct hasher h;
	int64_t size;
	ssize_t n;
	int rc = 0;

	fd = blobs_get(store, &d->digest, &size, e);
	if (fd < 0)
		return -1;
	if (size != d->size)
		return err_set(
			e, ERR_CORRUPT, "%s has %lld bytes, but was said to have %lld",
			DIGEST_STR(&d->digest), (long long)size, (long long)d->size);
	hasher_init(&h);
	while ((n = fd_read(fd, chunk, CHUNK, "a blob", e)) > 0 && rc == 0) {
		hasher_add(&h, chunk, (size_t)n);
		rc = sink(self, chunk, (size_t)n, e);
	}
	hasher_end(&h, &got);
	if (n < 0 || rc < 0)
		return -1;
	if (digest_equal(&got, &d->digest))
		return 0;
	return blobs_rotten(store, &d->digest, e);
}
