/* Export into an OCI image layout (OCI image-spec 1.1, image-layout.md). Blobs come first
 * and index.json last, replaced at once: a reader sees the layout before or after. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/layout_write.h"
#include "image/limits.h"
#include "image/manifest.h"
#include "os/fd.h"
#include "os/file.h"

json_t *layout_index_new(void)
{
	return json_pack("{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType",
	                 MEDIA_OCI_INDEX, "manifests");
}

static const char *entry_name(const json_t *entry)
{
	return json_string_value(
		json_object_get(json_object_get(entry, "annotations"), LAYOUT_REF_NAME));
}

/* The entry gives way: it has the name, or is the same image without one. */
static bool gives_way(const json_t *entry, const char *name, const char *digest)
{
	const char *own = entry_name(entry);
	const char *is = json_string_value(json_object_get(entry, "digest"));

	if (own)
		return name && !strcmp(own, name);
	return is && !strcmp(is, digest);
}

void layout_index_add(json_t *index, const char *name, const struct descriptor *root)
{
	json_t *list = json_object_get(index, "manifests");
	json_t *entry = descriptor_json(root);
	const char *digest = json_string_value(json_object_get(entry, "digest"));

	for (size_t i = json_array_size(list); i-- > 0;)
		if (gives_way(json_array_get(list, i), name, digest))
			json_array_remove(list, i);
	if (name)
		json_object_set_new(entry, "annotations",
		                    json_pack("{s:s}", LAYOUT_REF_NAME, name));
	json_array_append_new(list, entry);
}

struct writing {
	int fd;
	const char *name;
};

static int write_piece(void *self, const void *data, size_t n, struct err *e)
{
	struct writing *w = self;

	return fd_write(w->fd, data, n, w->name, e);
}

/* The file is there and right, as far as its bytes tell. */
static bool blob_is_there(int blobs, const char *hex, const struct descriptor *d)
{
	enum { CHUNK = 256 * 1024 };
	AUTO_CLOSE int fd =
		openat(blobs, hex, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	AUTO_FREE char *chunk = mem_alloc(CHUNK);
	struct digest got;
	struct hasher h;
	struct stat st;
	struct err e;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size != d->size)
		return false;
	hasher_init(&h);
	while ((n = fd_read(fd, chunk, CHUNK, hex, &e)) > 0)
		hasher_add(&h, chunk, (size_t)n);
	hasher_end(&h, &got);
	return n == 0 && digest_equal(&got, &d->digest);
}

/* A copy, never a link: whoever owns the layout may write to its files. */
static int write_blob(struct blobs *store, int blobs, const struct descriptor *d,
                      struct err *e)
{
	char hex[DIGEST_HEX + 1], tmp[DIGEST_HEX + 32];
	AUTO_CLOSE int fd = -1;
	struct writing w;

	digest_hex(&d->digest, hex);
	if (blob_is_there(blobs, hex, d))
		return 0;
	snprintf(tmp, sizeof(tmp), ".%s.tmp.%d", hex, (int)getpid());
	fd = openat(blobs, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
	            0644);
	if (fd < 0)
		return err_sys(e, "create blobs/sha256/%s", hex);
	w = (struct writing){ fd, hex };
	if (layout_blob_stream(store, d, write_piece, &w, e) < 0 ||
	    fd_sync(fd, hex, e) < 0) {
		unlinkat(blobs, tmp, 0);
		return -1;
	}
	if (renameat(blobs, tmp, blobs, hex) == 0)
		return 0;
	err_sys(e, "name blobs/sha256/%s", hex);
	unlinkat(blobs, tmp, 0);
	return -1;
}

static int write_blobs(struct blobs *store, int layout, const struct descriptor *root,
                       struct err *e)
{
	AUTO_CLOSE int blobs = -1;
	struct layout_blobs list;
	int rc = 0;

	if (file_mkdirs(layout, "blobs/sha256", 0755, e) < 0)
		return -1;
	blobs = file_open_beneath(layout, "blobs/sha256", O_RDONLY | O_DIRECTORY, 0);
	if (blobs < 0)
		return err_sys(e, "open blobs/sha256");
	if (layout_blobs_collect(&list, store, root, e) < 0)
		return -1;
	for (size_t i = 0; i < list.len && rc == 0; i++)
		rc = write_blob(store, blobs, &list.at[i], e);
	vec_fini(&list);
	return rc < 0 ? -1 : fd_sync(blobs, "blobs/sha256", e);
}

static bool is_empty(int layout)
{
	int fd = openat(layout, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *ent;
	bool empty = true;

	if (!d) {
		fd_close(&fd);
		return false;
	}
	while (empty && (ent = readdir(d)))
		empty = !strcmp(ent->d_name, ".") || !strcmp(ent->d_name, "..");
	closedir(d);
	return empty;
}

/* What index.json holds now. A directory of another purpose is left alone. */
static int read_index(int layout, json_t **out, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	struct image_index ix;

	if (!file_exists(layout, "oci-layout")) {
		if (!is_empty(layout))
			return err_set(e, ERR_EXISTS,
			               "the directory is neither empty nor an OCI image "
			               "layout");
		*out = layout_index_new();
		return 0;
	}
	if (!file_exists(layout, "index.json")) {
		*out = layout_index_new();
		return 0;
	}
	if (file_read(layout, "index.json", &text, (size_t)image_limits()->manifest, e) <
	    0)
		return -1;
	if (index_read(&ix, "", text.s, text.len, e) < 0)
		return err_wrap(e, "index.json");
	index_fini(&ix);
	return json_read(out, text.s, text.len, e);
}

static int write_index(int layout, json_t *index, struct err *e)
{
	AUTO_BUF text = BUF_INIT;

	json_write(&text, index);
	if (!file_exists(layout, "oci-layout") &&
	    file_replace(layout, "oci-layout", LAYOUT_VERSION_TEXT,
	                 strlen(LAYOUT_VERSION_TEXT), 0644, e) < 0)
		return -1;
	return file_replace(layout, "index.json", text.s, text.len, 0644, e);
}

static int add_image(struct blobs *store, int layout, const char *name,
                     const struct descriptor *root, struct err *e)
{
	AUTO_JSON *index = NULL;

	/* Two exports into one layout: each adds to what the other left. */
	while (flock(layout, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_sys(e, "lock the layout");
	if (read_index(layout, &index, e) < 0 || write_blobs(store, layout, root, e) < 0)
		return -1;
	layout_index_add(index, name, root);
	return write_index(layout, index, e);
}

int layout_dir_export(struct blobs *store, int dir, const char *path, const char *name,
                      const struct descriptor *root, struct err *e)
{
	AUTO_CLOSE int layout = -1;

	if (file_mkdirs(dir, path, 0755, e) < 0)
		return -1;
	layout = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (layout < 0)
		return err_sys(e, "open %s", path);
	if (add_image(store, layout, name, root, e) < 0)
		return err_wrap(e, "export to %s", path);
	return 0;
}
