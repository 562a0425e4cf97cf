#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/path.h"
#include "build/fileset.h"
#include "os/fd.h"
#include "os/file.h"
#include "store/stat_cache.h"

enum { IGNORE_LIMIT = 1 << 20 };

static int take_ignore(struct context *c, const struct buf *text, const char *name,
                       struct err *e)
{
	c->ignore_name = name;
	digest_of(&c->ignore_digest, text->s, text->len);
	return ignore_parse(&c->ignore, text->s, text->len, name, e);
}

static int load_given(struct context *c, const struct recipe *r, const char *name,
                      struct err *e)
{
	AUTO_BUF text = BUF_INIT;

	if (!*name)
		return 0;
	if (file_read(r->root_fd, name, &text, IGNORE_LIMIT, e) < 0)
		return -1;
	return take_ignore(c, &text, name, e);
}

static int load_ignore(struct context *c, struct err *e)
{
	AUTO_BUF text = BUF_INIT;

	for (const char *const *name = ignore_names; *name; name++) {
		if (!file_exists(c->fd, *name))
			continue;
		if (file_read(c->fd, *name, &text, IGNORE_LIMIT, e) < 0)
			return -1;
		return take_ignore(c, &text, *name, e);
	}
	return 0;
}

int context_reload(struct context *c, const struct recipe *r, struct err *e)
{
	ignore_free(c->ignore);
	c->ignore = NULL;
	c->ignore_name = NULL;
	return c->ignore_file ? load_given(c, r, c->ignore_file, e) : load_ignore(c, e);
}

bool context_ignores_by(const struct context *c, const char *output)
{
	if (c->ignore_file)
		return path_below(c->ignore_file, output);
	for (const char *const *name = ignore_names; *name; name++) {
		AUTO_BUF path = BUF_INIT;

		path_join(&path, c->dir, *name);
		if (path_below(path.s, output))
			return true;
	}
	return false;
}

/* Outputs below this directory, of rules in any Imagefile. */
static void list_outputs(struct context *c, const struct recipe *r)
{
	for (size_t i = 0; i < r->n_targets; i++) {
		const struct target *t = r->targets[i];
		AUTO_BUF path = BUF_INIT;
		size_t n = strlen(c->dir);

		if (t->kind != TARGET_FILE)
			continue;
		path_clean(&path, t->name);
		if (path_below(path.s, c->dir))
			strlist_add(&c->outputs, path.s + (n ? n + 1 : 0));
	}
}

int context_open(struct context **out, const struct recipe *r, const char *dir,
                 const char *ignore_file, struct err *e)
{
	struct context *c = mem_alloc(sizeof(*c));
	AUTO_BUF path = BUF_INIT;

	path_join(&path, r->root, dir);
	c->dir = dir;
	c->path = buf_take(&path);
	c->fd = *dir == '/'
	                ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
	                : file_open_beneath(r->root_fd, dir, O_RDONLY | O_DIRECTORY, 0);
	if (c->fd < 0) {
		err_sys(e, "open the directory %s", *dir ? dir : r->root);
		context_close(c);
		return -1;
	}
	c->ignore_file = ignore_file;
	if (context_reload(c, r, e) < 0) {
		context_close(c);
		return -1;
	}
	list_outputs(c, r);
	*out = c;
	return 0;
}

void context_close(struct context *c)
{
	if (!c)
		return;
	fd_close(&c->fd);
	ignore_free(c->ignore);
	strlist_fini(&c->outputs);
	free(c->path);
	free(c);
}

const char *context_path(const struct context *c, const char *dir, struct arena *a)
{
	return strcmp(dir, ".") ? arena_printf(a, "%s/%s", c->path, dir) : c->path;
}

bool context_recall(const struct context *c, const char *path, struct arena *a,
                    struct stat_place *place, const struct stat_dir **dir)
{
	AUTO_FREE char *above = path_dir(path);
	AUTO_CLOSE int fd = file_open_beneath(c->fd, above, O_PATH | O_DIRECTORY, 0);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return false;
	*place = (struct stat_place){ st.st_dev, st.st_ino, context_path(c, above, a) };
	*dir = stat_cache_dir(c->cache, fd, place);
	return true;
}
