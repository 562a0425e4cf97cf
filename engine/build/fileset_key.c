/* What a file set comes to in keys, and what people see of it. */
#include <string.h>

#include "build/fileset.h"

enum { CHUNK = 64 * 1024 }; /* of the list, hashed at once */

/* All strings with their borders, so that no two lists of files look alike. */
static void add_file(struct buf *out, const struct project_file *s, bool times)
{
	buf_add_str(out, s->dest, strlen(s->dest));
	buf_addc(out, (char)s->type);
	buf_addc(out, (char)s->executable);
	buf_add(out, s->digest.b, DIGEST_SIZE);
	buf_add_str(out, s->link ? s->link : "", s->link ? strlen(s->link) : 0);
	buf_add_str(out, s->capability, s->capability_size);
	if (times)
		buf_add_u64(out, (uint64_t)s->mtime);
}

void fileset_digest(const struct fileset *f, bool times, struct digest *out)
{
	AUTO_BUF some = BUF_INIT;
	struct hasher h;

	hasher_init(&h);
	for (size_t i = 0; i < f->files.len; i++) {
		add_file(&some, &f->files.at[i], times);
		if (some.len < CHUNK && i + 1 < f->files.len)
			continue;
		hasher_add(&h, some.s, some.len);
		buf_reset(&some);
	}
	hasher_end(&h, out);
}

static void show_file(const struct project_file *f, bool times, struct buf *out)
{
	const unsigned char *cap = f->capability;

	buf_adds(out, digest_text(&f->digest, (char[DIGEST_TEXT]){ 0 }));
	if (f->executable)
		buf_adds(out, ", executable");
	if (f->capability_size)
		buf_adds(out, ", with capabilities 0x");
	for (size_t i = 0; i < f->capability_size; i++)
		buf_addf(out, "%02x", cap[i]);
	if (times)
		buf_addf(out, ", of %lld", (long long)f->mtime);
}

struct component file_shown(const struct project_file *f, bool times, struct arena *a)
{
	AUTO_BUF all = BUF_INIT, text = BUF_INIT;
	struct component c = { .digest = f->digest };

	if (f->type == TOC_FILE && !f->executable && !f->capability_size && !times)
		return c;
	add_file(&all, f, times);
	digest_of(&c.digest, all.s, all.len);
	switch (f->type) {
	case TOC_FILE: show_file(f, times, &text); break;
	case TOC_SYMLINK:
		buf_addf(&text, "-> %.150s", f->link);
		if (!digest_is_zero(&f->digest)) /* of what is there, outside */
			buf_addf(&text, ", %.19s", DIGEST_STR(&f->digest));
		break;
	case TOC_HARDLINK: buf_addf(&text, "the same as %.150s", f->link); break;
	default: buf_adds(&text, "a directory");
	}
	c.text = arena_strdup(a, text.s);
	return c;
}

static void name_files(const struct fileset *f, bool times, struct key *k)
{
	for (size_t i = 0; i < f->files.len; i++) {
		const struct project_file *s = &f->files.at[i];
		struct component c = file_shown(s, times, k->arena);

		key_name(k, arena_concat(k->arena, "file ", s->path), &c);
	}
}

void fileset_list(const void *self, struct key *k)
{
	name_files(self, false, k);
}

static void list_files_and_times(const void *self, struct key *k)
{
	name_files(self, true, k);
}

void fileset_key(const struct fileset *f, bool times, struct key *k)
{
	struct digest whole;

	fileset_digest(f, times, &whole);
	key_many(k, "files", &whole, times ? list_files_and_times : fileset_list, f);
}
