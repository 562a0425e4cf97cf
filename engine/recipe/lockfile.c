#include "recipe/lockfile.h"

#include <string.h>

#include "os/file.h"

#define NAME "Imagefile.lock"
enum { SIZE_MAX_READ = 16 << 20, VERSION = 1 };

static const char *const sections[] = {
	[LOCK_BASES] = "bases", [LOCK_DOWNLOADS] = "downloads"
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
	if (file_read(project_root, NAME, &text, SIZE_MAX_READ, e) < 0) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		l->root = json_pack("{s:i}", "imgmake", VERSION);
		return 0;
	}
	l->exists = true;
	if (json_read(&l->root, text.s, text.len, e) < 0) {
		l->root = NULL;
		return err_wrap(e, NAME);
	}
	if (check_root(l->root, e) < 0) {
		lockfile_fini(l);
		return err_wrap(e, NAME);
	}
	return 0;
}

int lockfile_save(struct lockfile *l, struct err *e)
{
	AUTO_BUF text = BUF_INIT;

	if (!l->changed)
		return 0;
	json_write_pretty(&text, l->root);
	if (file_replace(l->dir, NAME, text.s, text.len, 0644, e) < 0)
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

static int wrap_entry(struct err *e, const char *name)
{
	return err_wrap(e, NAME ": '%s'", name);
}

int lockfile_get(const struct lockfile *l, enum lock_section s, const char *name,
                 struct digest *out, struct err *e)
{
	const json_t *entry =
		json_object_get(json_object_get(l->root, sections[s]), name);
	AUTO_BUF text = BUF_INIT;
	const char *digest = NULL;

	if (!entry)
		return 0;
	if (!json_is_object(entry)) {
		err_set(e, ERR_INVALID, "not an object");
		return wrap_entry(e, name);
	}
	if (s == LOCK_DOWNLOADS)
		buf_adds(&text, "sha256:");
	if (json_member_str(entry, s == LOCK_BASES ? "digest" : "sha256", true, &digest,
	                    e) < 0)
		return wrap_entry(e, name);
	buf_adds(&text, digest);
	if (digest_parse(out, text.s, e) < 0)
		return wrap_entry(e, name);
	return 1;
}

void lockfile_set(struct lockfile *l, enum lock_section s, const char *name,
                  const struct digest *d)
{
	json_t *section = json_object_get(l->root, sections[s]), *entry;
	const char *key = s == LOCK_BASES ? "digest" : "sha256";
	char text[DIGEST_TEXT];
	const char *value, *old;

	if (!json_is_object(section)) {
		section = json_object();
		json_object_set_new(l->root, sections[s], section);
	}
	entry = json_object_get(section, name);
	if (!json_is_object(entry)) {
		entry = json_object();
		json_object_set_new(section, name, entry);
	}
	value = s == LOCK_BASES ? digest_text(d, text) : digest_hex(d, text);
	old = json_string_value(json_object_get(entry, key));
	if (old && !strcmp(old, value))
		return;
	json_object_set_new(entry, key, json_string(value));
	l->changed = true;
}
