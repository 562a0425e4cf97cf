/* imgmake export, import: images as files. */
#include <fcntl.h>
#include <string.h>

#include "cmd/commands.h"
#include "image/image.h"
#include "image/layout.h"
#include "image/reference.h"
#include "image/unpack.h"

enum {
	MOVES_IMAGES =
		SESSION_RECIPE_IF_ANY | SESSION_STORE | SESSION_REGISTRY | SESSION_BUILD
};

static bool has_prefix(const char *s, const char *prefix, const char **rest)
{
	size_t n = strlen(prefix);

	*rest = s + n;
	return !strncmp(s, prefix, n) && s[n];
}

static int export_files(struct session *s, const struct descriptor *root, const char *to,
                        struct err *e)
{
	struct unpack_report report = { 0 };
	struct platform p;
	struct image im;
	const char *path;
	int rc;

	if (session_platform(s, &p, e) < 0 ||
	    image_open(&im, s->store.blobs, root, &p, e) < 0)
		return -1;
	if (has_prefix(to, "tar:", &path))
		rc = unpack_tar(s->store.blobs, &im, AT_FDCWD, path, e);
	else
		rc = unpack_dir(s->store.blobs, &im, AT_FDCWD, to + strlen("dir:"),
		                &report, e);
	image_fini(&im);
	if (rc == 0 && report.owners_skipped)
		terminal_note(s->terminal,
		              "not root: %zu files belong to you instead of their owners",
		              report.owners_skipped);
	if (rc == 0 && report.devices_skipped)
		terminal_note(s->terminal, "not root: %zu devices were left out",
		              report.devices_skipped);
	if (rc == 0 && report.xattrs_skipped)
		terminal_note(
			s->terminal,
			"%zu files lack extended attributes that cannot be set here",
			report.xattrs_skipped);
	return rc;
}

/* A target's name that is also a repository's. */
static bool is_plain_name(const char *name)
{
	struct reference ref;
	struct err ignored;

	return !strpbrk(name, ":@") && reference_parse(&ref, name, &ignored) == 0;
}

static int export_to(struct session *s, const char *name, const char *to, struct err *e)
{
	AUTO_FREE char *path = NULL, *tag = NULL;
	enum layout_kind kind;
	struct descriptor root;
	const char *rest;
	bool files = has_prefix(to, "tar:", &rest) || has_prefix(to, "dir:", &rest);

	if (!files && !layout_parse(to, &kind, &path, &tag))
		return err_set(
			e, ERR_INVALID,
			"'%s' is no place to export to; write oci:DIR, oci-archive:FILE, "
			"docker-archive:FILE, tar:FILE or dir:DIR",
			to);
	if (session_image(s, name, true, &root, e) < 0)
		return -1;
	if (files)
		return export_files(s, &root, to, e);
	/* docker load names an image only if the archive does. */
	if (kind == LAYOUT_DOCKER_ARCHIVE && !tag && is_plain_name(name))
		tag = mem_strdup(name);
	return layout_export(s->store.blobs, AT_FDCWD, kind, path, tag, &root, e);
}

int cmd_export(const struct options *o, struct terminal *t)
{
	struct session s;
	struct err e;

	if (session_open(&s, o, t, MOVES_IMAGES, &e) < 0 ||
	    export_to(&s, o->words.at[0], o->words.at[1], &e) < 0)
		return session_fail(&s, &e);
	return session_end(&s, 0);
}

int cmd_import(const struct options *o, struct terminal *t)
{
	AUTO_FREE char *path = NULL, *tag = NULL;
	const char *name = o->words.at[0];
	struct descriptor root;
	enum layout_kind kind;
	struct session s;
	struct err e;

	if (session_open(&s, o, t, SESSION_STORE, &e) < 0)
		return session_fail(&s, &e);
	if (!layout_parse(name, &kind, &path, &tag)) {
		err_set(&e, ERR_INVALID,
		        "'%s' is no layout or archive; write oci:DIR, oci-archive:FILE or "
		        "docker-archive:FILE",
		        name);
		return session_fail(&s, &e);
	}
	if (layout_import(s.store.blobs, AT_FDCWD, kind, path, tag, &root, &e) < 0)
		return session_fail(&s, &e);
	session_print_root(&s, &root);
	return session_end(&s, 0);
}
