#include "recipe/lockfile.h"

#include <string.h>

#include "os/file.h"

enum { SIZE_MAX_READ = 16 << 20, VERSION = 1 };

static const char *const sections[] = {
	[LOCK_BASES] = "bases", [LOCK_DOWNLOADS] = "downloads", [LOCK_GIT] = "git"
};

static int check_root(json_t *root, struct err *e)
{
	int64_t version = 0;
	json_t *section = NULL;

	if (!json_is_object(root))
		return err_set(e, ERR_INVALID, "not an object");
	if (json_member_int(root, "imgmake", true, &version, e) < 0)
		return -1;
	if (version != VERSION)
		return err_set(e, ERR_INVALID, "written by a newer imgmake (format %lld)",
		               (long long)version);
	for (size_t i = 0; i < ARRAY_LEN(sections); i++)
		if (json_member_object(root, sections[i], false, &section, e) < 0)
			return -1;
	return 0;
}

int lockfile_load(struct lockfile *l, int project_root, struct err *e)
{
	AUTO_BUF text = BUF_INIT;

	*l = (struct lockfile){ .dir = project_root };
	if (file_read(project_root, LOCKFILE_NAME, &text, SIZE_MAX_READ, e) < 0) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		l->root = json_pack("{s:i}", "imgmake", VERSION);
		return 0;
	}
	l->exists = true;
	if (json_read(&l->root, text.s, text.len, e) < 0) {
		l->root = NULL;
		return err_wrap(e, LOCKFILE_NAME);
	}
	if (check_root(l->root, e) < 0) {
		lockfile_fini(l);
		return err_wrap(e, LOCKFILE_NAME);
	}
	return 0;
}

int lockfile_save(struct lockfile *l, struct err *e)
{
	AUTO_BUF text = BUF_INIT;

	if (!l->changed)
		return 0;
	json_write_pretty(&text, l->root);
	if (file_replace(l->dir, LOCKFILE_NAME, text.s, text.len, 0644, e) < 0)
		return -1;
	l->changed = false;
	l->exists = true;
	return 0;
}

void lockfile_fini(struct lockfile *l)
{
	json_decref(l->root);
	l->root = NULL;
}

int lockfile_get_text(const struct lockfile *l, enum lock_section s, const char *name,
                      const char *member, const char **out, struct err *e)
{
	const json_t *entry =
		json_object_get(json_object_get(l->root, sections[s]), name);

	if (!entry)
		return 0;
	if (!json_is_object(entry))
		err_set(e, ERR_INVALID, "not an object");
	else if (json_member_str(entry, member, false, out, e) == 0)
		return 1;
	return err_wrap(e, LOCKFILE_NAME ": '%s'", name);
}

static const char *digest_member(enum lock_section s)
{
	return s == LOCK_BASES ? "digest" : "sha256";
}

int lockfile_get(const struct lockfile *l, enum lock_section s, const char *name,
                 struct digest *out, struct err *e)
{
	const char *member = digest_member(s), *digest = NULL;
	int found = lockfile_get_text(l, s, name, member, &digest, e);
	AUTO_BUF text = BUF_INIT;

	if (found <= 0)
		return found;
	if (s == LOCK_DOWNLOADS)
		buf_adds(&text, "sha256:");
	buf_adds(&text, digest ? digest : "");
	if (!digest)
		err_set(e, ERR_INVALID, "'%s' is missing", member);
	else if (digest_parse(out, text.s, e) == 0)
		return 1;
	return err_wrap(e, LOCKFILE_NAME ": '%s'", name);
}

/* Made where it is missing. Borrowed. */
static json_t *member_object(json_t *in, const char *name)
{
	json_t *x = json_object_get(in, name);

	if (!json_is_object(x)) {
		x = json_object();
		json_object_set_new(in, name, x);
	}
	return x;
}

void lockfile_set_text(struct lockfile *l, enum lock_section s, const char *name,
                       const char *member, const char *value)
{
	json_t *entry = member_object(member_object(l->root, sections[s]), name);
	const char *old = json_string_value(json_object_get(entry, member));

	if (value ? old && !strcmp(old, value) : !old)
		return;
	if (value)
		json_object_set_new(entry, member, json_string(value));
	else
		json_object_del(entry, member);
	l->changed = true;
}

void lockfile_set(struct lockfile *l, enum lock_section s, const char *name,
                  const struct digest *d)
{
	char text[DIGEST_TEXT];

	lockfile_set_text(l, s, name, digest_member(s),
	                  s == LOCK_BASES ? digest_text(d, text) : digest_hex(d, text));
}
