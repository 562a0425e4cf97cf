#include "publish/family.h"

#include <string.h>

#include "image/reference.h"

bool family_has(const char *const *list, size_t n, const char *s)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i], s))
			return true;
	return false;
}

static bool drop_prefix(struct span *s, const char *prefix)
{
	size_t n = strlen(prefix);

	if (s->n < n || memcmp(s->s, prefix, n))
		return false;
	s->s += n;
	s->n -= n;
	return true;
}

/* Drops "-suffix" from the end. */
static bool drop_suffix(struct span *s, const char *suffix)
{
	size_t n = strlen(suffix);

	if (!n || s->n < n + 1 || s->s[s->n - n - 1] != '-' ||
	    memcmp(s->s + s->n - n, suffix, n))
		return false;
	s->n -= n + 1;
	return true;
}

static const char *prefix_of(const struct family *f)
{
	return f->o->prefix ? f->o->prefix : "";
}

/* The declared suffix that `s` ends with, "" if none. Longest first: alpine3.22-slim is
 * not slim. */
static const char *drop_any_suffix(const struct family *f, struct span *s)
{
	for (size_t i = 0; i < f->suffixes.len; i++)
		if (drop_suffix(s, f->suffixes.at[i]))
			return f->suffixes.at[i];
	return "";
}

static bool read_text(struct span s, struct version *v)
{
	return version_read(v, s.s, s.n);
}

/* "latest", "alpine", "rc", "rc-alpine": what has no number. */
static bool read_word(const struct family *f, struct span s, struct reading *out)
{
	if (s.n == strlen("latest") && !memcmp(s.s, "latest", s.n))
		return true;
	if (f->channel.n && span_equal(s, f->channel))
		return out->channel = true;
	for (size_t i = 0; !*out->suffix && i < f->suffixes.len; i++) {
		if (s.n == strlen(f->suffixes.at[i]) &&
		    !memcmp(s.s, f->suffixes.at[i], s.n)) {
			out->suffix = f->suffixes.at[i];
			return true;
		}
	}
	return false;
}

bool family_read_tag(const struct family *f, const char *tag, struct reading *out)
{
	struct span s = { tag, strlen(tag) }, rest;
	const char *prefix = prefix_of(f);

	*out = (struct reading){ 0 };
	out->suffix = drop_any_suffix(f, &s);
	rest = s;
	if (drop_prefix(&rest, prefix) && read_text(rest, &out->version))
		return out->numbered = true;
	/* v1.2.3 and 1.2.3 share "latest", which shows no prefix. */
	rest = s;
	if (!*prefix || !strcmp(prefix, "v")) {
		out->twin = true;
		if ((*prefix || drop_prefix(&rest, "v")) &&
		    read_text(rest, &out->version))
			return out->numbered = true;
		out->twin = false;
	}
	return read_word(f, s, out);
}

bool family_read_note(const struct family *f, const char *text, struct version *out)
{
	struct span s = { text, strlen(text) };

	drop_prefix(&s, "refs/tags/");
	drop_any_suffix(f, &s);
	if (*prefix_of(f))
		drop_prefix(&s, prefix_of(f));
	drop_prefix(&s, "v");
	return read_text(s, out);
}

bool family_yanked(const struct family *f, const struct version *v)
{
	struct version y;

	for (size_t i = 0; i < f->o->n_yanked; i++)
		if (family_read_note(f, f->o->yanked[i], &y) &&
		    version_compare(&y, v) == 0)
			return true;
	return false;
}

static int read_version(struct family *f, struct err *e)
{
	const char *text = f->o->version;
	struct span s = { text, text ? strlen(text) : 0 };

	if (!text || !*text)
		return err_set(e, ERR_INVALID, "no version to publish");
	drop_prefix(&s, "refs/tags/");
	for (size_t i = 0; i < f->suffixes.len; i++) {
		if (!drop_suffix(&s, f->suffixes.at[i]))
			continue;
		if (!family_has(f->series.at, f->series.len, f->suffixes.at[i]))
			return err_set(
				e, ERR_INVALID,
				"version '%s' names variant '%s', which is not this one",
				text, f->suffixes.at[i]);
		break;
	}
	if (!*prefix_of(f) || !drop_prefix(&s, prefix_of(f)))
		drop_prefix(&s, "v");
	if (read_text(s, &f->version))
		return 0;
	return err_set(
		e, ERR_INVALID,
		"'%s' is not a version: one to four numbers like 1.2.3, then perhaps "
		"-rc.1 and +build (plain moving tags go into `tags`)",
		text);
}

static int check_rebuild(const struct family *f, struct err *e)
{
	const char *r = f->o->rebuild;

	if (!r)
		return 0;
	if (!*r || strspn(r, "0123456789abcdefghijklmnopqrstuvwxyz"
	                     "ABCDEFGHIJKLMNOPQRSTUVWXYZ.-") != strlen(r))
		return err_set(e, ERR_INVALID,
		               "rebuild '%s' is not letters, digits, '.' and '-'", r);
	if (f->version.pre.n)
		return err_set(e, ERR_INVALID,
		               "rebuild is for releases, and %s is a prerelease",
		               f->o->version);
	return 0;
}

static int check_levels(const struct family *f, struct err *e)
{
	static const char *const known[] = { "full", "minor", "major", "latest" };

	for (size_t i = 0; i < f->o->n_levels; i++)
		if (!family_has(known, ARRAY_LEN(known), f->o->levels[i]))
			return err_set(e, ERR_INVALID,
			               "unknown level '%s' (full, minor, major, latest)",
			               f->o->levels[i]);
	return 0;
}

static void add_suffix(struct family *f, const char *s)
{
	size_t i;

	if (!*s || family_has(f->suffixes.at, f->suffixes.len, s))
		return;
	vec_push(&f->suffixes, s);
	for (i = f->suffixes.len - 1; i && strlen(f->suffixes.at[i - 1]) < strlen(s); i--)
		f->suffixes.at[i] = f->suffixes.at[i - 1];
	f->suffixes.at[i] = s;
}

static void collect_suffixes(struct family *f)
{
	const struct family_options *o = f->o;
	bool variant = o->variant && *o->variant;

	vec_push(&f->series, variant ? o->variant : "");
	for (size_t i = 0; i < o->n_aliases; i++)
		vec_push(&f->series, o->aliases[i]);
	if (variant && o->bare)
		vec_push(&f->series, "");
	for (size_t i = 0; i < f->series.len; i++)
		add_suffix(f, f->series.at[i]);
	for (size_t i = 0; i < o->n_variants; i++)
		add_suffix(f, o->variants[i]);
}

static bool wants_level(const struct family *f, int depth)
{
	const char *name = depth == 0              ? "latest"
	                   : depth == f->version.n ? "full"
	                   : depth == 1            ? "major"
	                                           : "minor";
	struct span major = f->version.part[0], zero = { "0", 1 };

	/* Under semver 0.1 and 0.2 promise each other nothing, so "0" would be a trap. */
	if (depth == 1 && f->version.n > 1 && !f->o->zero_major &&
	    version_compare_digits(major, zero) == 0)
		return false;
	return !f->o->n_levels || family_has(f->o->levels, f->o->n_levels, name);
}

static int add_member(struct family *f, struct buf *tag, const char *suffix, int depth,
                      bool floating, struct err *e)
{
	struct member m = { .suffix = suffix, .depth = depth, .floating = floating };

	if (*suffix && strcmp(tag->s, suffix) != 0) {
		buf_addc(tag, '-');
		buf_adds(tag, suffix);
	}
	if (!reference_tag_valid(tag->s))
		return err_set(e, ERR_INVALID, "'%s' is not a valid tag", tag->s);
	for (size_t i = 0; i < f->members.len; i++)
		if (!strcmp(f->members.at[i].tag, tag->s))
			return 0;
	m.tag = arena_strdup(&f->arena, tag->s);
	vec_push(&f->members, m);
	return 0;
}

static void add_parts(const struct family *f, int depth, struct buf *out)
{
	buf_adds(out, prefix_of(f));
	for (int i = 0; i < depth; i++) {
		if (i)
			buf_addc(out, '.');
		buf_add(out, f->version.part[i].s, f->version.part[i].n);
	}
}

static void add_build(const struct family *f, struct buf *out)
{
	if (!f->version.build.n)
		return;
	buf_addc(out, '_');
	buf_add(out, f->version.build.s, f->version.build.n);
}

static int add_full(struct family *f, const char *suffix, struct err *e)
{
	const struct version *v = &f->version;
	AUTO_BUF tag = BUF_INIT;

	add_parts(f, v->n, &tag);
	if (v->pre.n || f->o->rebuild) {
		buf_addc(&tag, '-');
		buf_add(&tag, v->pre.s, v->pre.n);
		buf_adds(&tag, f->o->rebuild ? f->o->rebuild : "");
	}
	add_build(f, &tag);
	return add_member(f, &tag, suffix, v->n, false, e);
}

static int add_float(struct family *f, const char *suffix, int depth, struct err *e)
{
	AUTO_BUF tag = BUF_INIT;

	if (depth)
		add_parts(f, depth, &tag);
	if (depth && f->channel.n)
		buf_addc(&tag, '-');
	buf_add(&tag, f->channel.s, f->channel.n);
	if (depth == f->version.n)
		add_build(f, &tag);
	if (!tag.len)
		buf_adds(&tag, *suffix ? suffix : "latest");
	return add_member(f, &tag, suffix, depth, true, e);
}

static int add_floats(struct family *f, int depth, struct err *e)
{
	if (f->version.pre.n && !f->channel.n)
		return 0;
	if (depth == 0 && !f->channel.n && f->o->latest == FAMILY_LATEST_NEVER)
		return 0;
	for (size_t i = 0; i < f->series.len; i++)
		if (add_float(f, f->series.at[i], depth, e) < 0)
			return -1;
	return 0;
}

static int add_members(struct family *f, struct err *e)
{
	int n = f->version.n;

	for (int depth = n; depth >= 0; depth--) {
		if (!wants_level(f, depth))
			continue;
		for (size_t i = 0; depth == n && i < f->series.len; i++)
			if (add_full(f, f->series.at[i], e) < 0)
				return -1;
		/* A rebuild's tag is what never changes; then the version's own tag
		 * floats. */
		if ((depth < n || f->o->rebuild) && add_floats(f, depth, e) < 0)
			return -1;
	}
	return 0;
}

static void choose_channel(struct family *f)
{
	const struct family_options *o = f->o;
	struct span c = version_channel(&f->version);

	if (!o->channels || !c.n)
		return;
	if (o->n_channel_names && !family_has(o->channel_names, o->n_channel_names,
	                                      arena_strndup(&f->arena, c.s, c.n)))
		return;
	f->channel = c;
}

int family_init(struct family *f, const struct family_options *o, struct err *e)
{
	*f = (struct family){ .o = o, .arena = ARENA_INIT };
	collect_suffixes(f);
	if (read_version(f, e) == 0 && check_rebuild(f, e) == 0 &&
	    check_levels(f, e) == 0) {
		choose_channel(f);
		if (add_members(f, e) == 0)
			return 0;
	}
	family_fini(f);
	return -1;
}

void family_fini(struct family *f)
{
	arena_fini(&f->arena);
	vec_fini(&f->series);
	vec_fini(&f->suffixes);
	vec_fini(&f->members);
}
