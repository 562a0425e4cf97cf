#include "publish/tag_family.h"

#include <string.h>

#include "publish/family.h"

/* A release that the registry shows, by a tag's name or by a float's annotation. */
struct release {
	const char *tag, *suffix;
	struct version version;
	bool twin, noted;
	bool newer_rebuild; /* of the same version */
};

/* What the registry holds of this family's series. */
struct survey {
	VEC(struct release) releases;
	VEC(struct release) floats; /* version.n 0: no number in the name */
};

static void survey_fini(struct survey *s)
{
	vec_fini(&s->releases);
	vec_fini(&s->floats);
}

/* Channels are judged by prereleases of the same name, releases by releases. */
static bool same_kind(const struct family *f, const struct version *v)
{
	return f->channel.n ? span_equal(version_channel(v), f->channel) : v->pre.n == 0;
}

static bool is_newer_rebuild(const struct family *f, const struct version *v)
{
	struct span ours = { f->o->rebuild, f->o->rebuild ? strlen(f->o->rebuild) : 0 };

	return span_is_digits(ours) && span_is_digits(v->pre) &&
	       version_compare_parts(v, &f->version, VERSION_PARTS) == 0 &&
	       version_compare_digits(v->pre, ours) > 0;
}

static bool is_float(const struct family *f, const struct reading *r)
{
	if (!r->numbered)
		return r->channel == (f->channel.n > 0);
	return r->version.n < f->version.n && span_equal(r->version.pre, f->channel);
}

/* A prerelease under a release's float was promoted: it is that release. */
static bool read_float_note(const struct family *f, const char *text, struct version *v)
{
	if (!text || !family_read_note(f, text, v))
		return false;
	if (!f->channel.n)
		v->pre.n = 0;
	return !v->pre.n || same_kind(f, v);
}

static void survey_tag(struct survey *s, const struct family *f,
                       const struct held_tag *held)
{
	struct release r = { .tag = held->tag };
	struct reading tag;

	if (!family_read_tag(f, held->tag, &tag))
		return;
	r.suffix = tag.suffix;
	r.twin = tag.twin;
	r.version = tag.version;
	if (tag.numbered && tag.version.n == f->version.n) {
		r.newer_rebuild = is_newer_rebuild(f, &tag.version);
		if (r.newer_rebuild || same_kind(f, &tag.version))
			vec_push(&s->releases, r);
	} else if (is_float(f, &tag)) {
		r.version.n = tag.numbered ? r.version.n : 0;
		vec_push(&s->floats, r);
		r.noted = true;
		if (read_float_note(f, held->version, &r.version))
			vec_push(&s->releases, r);
	}
}

static void survey_all(struct survey *s, const struct family *f,
                       const struct held_tag *held, size_t n)
{
	memset(s, 0, sizeof(*s));
	for (size_t i = 0; i < n; i++)
		survey_tag(s, f, &held[i]);
}

/* latest = "2" binds the float that shows no number, and only that. */
static bool follows_line(const struct family *f, const struct member *m)
{
	return m->depth == 0 && !f->channel.n && f->o->latest == FAMILY_LATEST_LINE;
}

static bool in_line(const struct family *f, const struct version *v)
{
	struct version line;

	return f->o->latest_line && family_read_note(f, f->o->latest_line, &line) &&
	       version_compare_parts(v, &line, line.n) == 0;
}

/* A name that has a number shows which of the twins it belongs to. */
static bool is_under(const struct family *f, const struct member *m,
                     const struct release *r, int parts)
{
	return !strcmp(r->suffix, m->suffix) && (!r->twin || m->depth == 0) &&
	       version_compare_parts(&r->version, &f->version, parts) == 0 &&
	       (!follows_line(f, m) || in_line(f, &r->version));
}

static bool is_newer(const struct family *f, const struct release *r)
{
	return r->newer_rebuild || version_compare(&r->version, &f->version) > 0;
}

/* The highest release under the float `m` that keeps it back, or NULL. */
static const struct release *find_newer(const struct family *f, const struct survey *s,
                                        const struct member *m)
{
	const struct release *best = NULL;

	for (size_t i = 0; i < s->releases.len; i++) {
		const struct release *r = &s->releases.at[i];

		if (is_newer(f, r) && is_under(f, m, r, m->depth) &&
		    !family_yanked(f, &r->version) &&
		    (!best || version_compare(&r->version, &best->version) > 0))
			best = r;
	}
	return best;
}

static const struct held_tag *find_held(const struct held_tag *held, size_t n,
                                        const char *tag)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(held[i].tag, tag))
			return &held[i];
	return NULL;
}

static const struct member *find_member(const struct family *f, const char *tag)
{
	for (size_t i = 0; i < f->members.len; i++)
		if (!strcmp(f->members.at[i].tag, tag))
			return &f->members.at[i];
	return NULL;
}

/* A float that we do not publish may still hide a release that keeps `m` back: one whose
 * full tag is gone. Lower ones by name cannot. */
static bool may_hide_newer(const struct family *f, const struct release *fl,
                           const struct member *m)
{
	int parts = fl->version.n;

	if (strcmp(fl->suffix, m->suffix) || (fl->twin && m->depth))
		return false;
	if (!parts)
		return true;
	return m->depth <= parts && is_under(f, m, fl, m->depth) &&
	       version_compare_parts(&fl->version, &f->version, parts) >= 0;
}

static bool is_wanted(const struct family *f, const struct release *fl,
                      const bool *blocked)
{
	for (size_t i = 0; i < f->members.len; i++)
		if (f->members.at[i].floating && !blocked[i] &&
		    may_hide_newer(f, fl, &f->members.at[i]))
			return true;
	return false;
}

static void add_hiding_floats(const struct family *f, const struct survey *s,
                              struct strlist *out)
{
	AUTO_FREE bool *blocked = mem_alloc(f->members.len + 1);

	for (size_t i = 0; i < f->members.len; i++)
		blocked[i] = find_newer(f, s, &f->members.at[i]) != NULL;
	for (size_t i = 0; i < s->floats.len; i++)
		if (!find_member(f, s->floats.at[i].tag) &&
		    is_wanted(f, &s->floats.at[i], blocked))
			strlist_add(out, s->floats.at[i].tag);
}

int family_wants(const struct family_options *o, const struct held_tag *held, size_t n,
                 struct strlist *out, struct err *e)
{
	struct survey s;
	struct family f;

	if (family_init(&f, o, e) < 0)
		return -1;
	survey_all(&s, &f, held, n);
	for (size_t i = 0; i < f.members.len; i++)
		if (find_held(held, n, f.members.at[i].tag))
			strlist_add(out, f.members.at[i].tag);
	add_hiding_floats(&f, &s, out);
	survey_fini(&s);
	family_fini(&f);
	return 0;
}

static int refuse_full(const struct member *m, const struct held_tag *h, struct err *e)
{
	if (digest_is_zero(&h->image))
		return err_set(e, ERR_EXISTS,
		               "tag %s exists, and which image it holds is not known",
		               m->tag);
	return err_set(
		e, ERR_EXISTS,
		"tag %s already holds another image (%s): raise the version, or set "
		"rebuild for a new build of it, or immutable = false",
		m->tag, DIGEST_STR(digest_is_zero(&h->root) ? &h->image : &h->root));
}

/* A release that a float holds has no tag of its own to name. */
static const char *reason_of(struct arena *a, const struct release *r)
{
	const struct version *v = &r->version;
	AUTO_BUF text = BUF_INIT;

	if (!r->noted)
		return arena_printf(a, "%s is newer", r->tag);
	for (int i = 0; i < v->n; i++)
		buf_addf(&text, "%s%.*s", i ? "." : "", (int)v->part[i].n, v->part[i].s);
	if (v->pre.n)
		buf_addf(&text, "-%.*s", (int)v->pre.n, v->pre.s);
	return arena_printf(a, "%s, which %s holds, is newer", text.s, r->tag);
}

/* Why a float stays where it is: d->reason and, if it is for a newer release, d->holder.
 */
static bool keeps_back(struct tag_decision *d, struct arena *a, const struct family *f,
                       const struct survey *s, const struct member *m)
{
	const struct release *r;

	if (family_yanked(f, &f->version)) {
		d->reason = arena_printf(a, "%s is yanked", f->o->version);
		return true;
	}
	if (follows_line(f, m) && !in_line(f, &f->version)) {
		d->reason = arena_printf(a, "%s follows %s, and %s is not under it",
		                         m->tag, f->o->latest_line, f->o->version);
		return true;
	}
	r = find_newer(f, s, m);
	if (!r)
		return false;
	d->reason = reason_of(a, r);
	d->holder = arena_strdup(a, r->tag);
	return true;
}

static int decide(struct tag_decision *d, struct arena *a, const struct family *f,
                  const struct survey *s, const struct member *m,
                  const struct held_tag *h, const struct digest *image, struct err *e)
{
	bool same = h && !digest_is_zero(&h->image) && digest_equal(&h->image, image);

	*d = (struct tag_decision){ .tag = arena_strdup(a, m->tag),
		                    .floating = m->floating };
	if (!m->floating && h && !same && f->o->immutable)
		return refuse_full(m, h, e);
	if (m->floating && keeps_back(d, a, f, s, m)) {
		d->action = TAG_KEEP;
	} else if (same) {
		d->action = TAG_SAME;
		d->reason = "is this image already";
	} else {
		d->action = h ? TAG_MOVE : TAG_CREATE;
		d->reason = !h            ? "new"
		            : m->floating ? "no release under it is newer"
		                          : "immutable = false";
	}
	return 0;
}

static int check_line(const struct family *f, struct err *e)
{
	struct version line;

	if (f->o->latest != FAMILY_LATEST_LINE ||
	    (f->o->latest_line && family_read_note(f, f->o->latest_line, &line)))
		return 0;
	return err_set(e, ERR_INVALID, "latest = '%s' is not the beginning of a version",
	               f->o->latest_line ? f->o->latest_line : "");
}

static int decide_all(struct tag_plan *out, const struct family *f,
                      const struct digest *image, const struct held_tag *held, size_t n,
                      struct err *e)
{
	struct survey s;
	int rc = check_line(f, e);

	survey_all(&s, f, held, n);
	out->at = arena_alloc(&out->arena, (f->members.len + 1) * sizeof(*out->at));
	for (size_t i = 0; rc == 0 && i < f->members.len; i++) {
		const struct member *m = &f->members.at[i];

		rc = decide(&out->at[out->n++], &out->arena, f, &s, m,
		            find_held(held, n, m->tag), image, e);
	}
	survey_fini(&s);
	return rc;
}

int family_plan(struct tag_plan *out, const struct family_options *o,
                const struct digest *image, const struct held_tag *held, size_t n,
                struct err *e)
{
	struct family f;
	int rc;

	*out = (struct tag_plan){ .arena = ARENA_INIT };
	if (family_init(&f, o, e) < 0)
		return -1;
	rc = decide_all(out, &f, image, held, n, e);
	family_fini(&f);
	if (rc < 0)
		tag_plan_fini(out);
	return rc;
}

void tag_plan_fini(struct tag_plan *p)
{
	arena_fini(&p->arena);
	p->at = NULL;
	p->n = 0;
}

int family_tags(const struct family_options *o, struct strlist *out, struct err *e)
{
	struct family f;

	if (family_init(&f, o, e) < 0)
		return -1;
	for (size_t i = 0; i < f.members.len; i++)
		strlist_add(out, f.members.at[i].tag);
	family_fini(&f);
	return 0;
}
