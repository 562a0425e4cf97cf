#include "publish/tags.h"

#include <string.h>

#include "publish/batch.h"
#include "publish/family.h"

enum { CONNECTIONS = 8 };

struct row {
	struct tag_row *out;
	bool numbered;
	struct version version;
	struct reference ref;
	struct registry *registry;
};

static int head(void *arg, struct err *e)
{
	struct row *r = arg;
	struct descriptor d;

	if (registry_head_manifest(r->registry, &r->ref, &d, e) < 0)
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	r->out->digest = d.digest;
	return 0;
}

static bool is_word(const struct tag_row *t)
{
	return !strcmp(t->tag, "latest") || (*t->series && !strcmp(t->tag, t->series));
}

/* A tag under which another of its series stands moves, by its name; 1.2 without
 * any 1.2.x is a release. */
static bool has_under(const struct row *rows, size_t n, const struct row *r)
{
	for (size_t i = 0; i < n; i++) {
		const struct row *o = &rows[i];

		if (o->numbered && o->version.n > r->version.n &&
		    !strcmp(o->out->series, r->out->series) &&
		    version_compare_parts(&o->version, &r->version, r->version.n) == 0 &&
		    (!r->version.pre.n ||
		     span_equal(version_channel(&o->version), r->version.pre)))
			return true;
	}
	return false;
}

/* A channel's float that shows no number: "rc", where 2.0.0-rc.1 is. */
static bool is_channel(const struct row *rows, size_t n, const struct tag_row *t)
{
	size_t len = strlen(t->tag);

	if (*t->series && len > strlen(t->series) + 1)
		len -= strlen(t->series) + 1;
	for (size_t i = 0; i < n; i++)
		if (rows[i].numbered && !strcmp(rows[i].out->series, t->series) &&
		    span_equal(version_channel(&rows[i].version),
		               (struct span){ t->tag, len }))
			return true;
	return false;
}

static void classify(struct row *rows, size_t n, struct row *r)
{
	struct tag_row *t = r->out;

	if (r->numbered)
		t->kind = has_under(rows, n, r) ? TAG_FLOAT
		          : r->version.pre.n    ? TAG_PRERELEASE
		                                : TAG_RELEASE;
	else
		t->kind = is_word(t) || is_channel(rows, n, t) ? TAG_FLOAT : TAG_OTHER;
}

static void point(const struct row *rows, size_t n, struct row *r)
{
	const struct row *best = NULL;

	if (r->out->kind != TAG_FLOAT || digest_is_zero(&r->out->digest))
		return;
	for (size_t i = 0; i < n; i++)
		if ((rows[i].out->kind == TAG_RELEASE ||
		     rows[i].out->kind == TAG_PRERELEASE) &&
		    !strcmp(rows[i].out->series, r->out->series) &&
		    digest_equal(&rows[i].out->digest, &r->out->digest) &&
		    (!best || version_compare(&rows[i].version, &best->version) > 0))
			best = &rows[i];
	r->out->points_at = best ? best->out->tag : NULL;
}

/* Floats first, the fewer numbers the earlier; then what they point at; then the rest. */
static int rank(const struct row *r)
{
	static const int by_kind[] = {
		[TAG_FLOAT] = 0, [TAG_RELEASE] = 1, [TAG_PRERELEASE] = 2, [TAG_OTHER] = 3
	};

	return by_kind[r->out->kind];
}

static int by_row(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int c = strcmp(x->out->series, y->out->series);

	if (!c)
		c = rank(x) - rank(y);
	if (!c && x->numbered != y->numbered)
		c = x->numbered - y->numbered;
	if (!c && x->numbered && y->numbered)
		c = version_compare(&y->version, &x->version);
	return c ? c : strcmp(x->out->tag, y->out->tag);
}

/* Any version does: only prefix and suffixes are of interest here. */
static int read_tags(struct row *rows, struct arena *a, const struct strlist *tags,
                     const struct family_options *spelling, struct err *e)
{
	struct family_options o = spelling ? *spelling : (struct family_options){ 0 };
	struct family f;

	o.version = "0";
	o.rebuild = NULL;
	if (family_init(&f, &o, e) < 0)
		return -1;
	for (size_t i = 0; i < tags->len; i++) {
		struct row *r = &rows[i];
		struct reading reading;

		r->out->tag = arena_strdup(a, tags->at[i]);
		/* Spans of the version point into the tag: into ours, which stays. */
		r->numbered =
			family_read_tag(&f, r->out->tag, &reading) && reading.numbered;
		r->version = reading.version;
		r->out->series = arena_strdup(a, reading.suffix);
	}
	family_fini(&f);
	return 0;
}

static int look(struct row *rows, size_t n, const struct reference *repo,
                const struct ship_options *o, struct err *e)
{
	struct batch *b = batch_new(o->connections > 0 ? o->connections : CONNECTIONS);
	int rc;

	for (size_t i = 0; i < n; i++) {
		struct row *r = &rows[i];

		r->registry = o->registry;
		r->ref = *repo;
		r->ref.has_digest = false;
		strncpy(r->ref.tag, r->out->tag, sizeof(r->ref.tag) - 1);
		r->ref.tag[sizeof(r->ref.tag) - 1] = '\0';
		batch_add(b, head, r);
	}
	rc = batch_wait(b, e);
	batch_free(b);
	return rc;
}

static int fill(struct tag_list *l, const struct strlist *tags,
                const struct reference *repo, const struct family_options *spelling,
                const struct ship_options *o, struct err *e)
{
	AUTO_FREE struct row *rows = mem_alloc((tags->len + 1) * sizeof(*rows));
	AUTO_FREE struct tag_row *found = mem_alloc((tags->len + 1) * sizeof(*found));
	size_t n = tags->len;

	for (size_t i = 0; i < n; i++)
		rows[i].out = &found[i];
	if (read_tags(rows, &l->arena, tags, spelling, e) < 0 ||
	    look(rows, n, repo, o, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		classify(rows, n, &rows[i]);
	for (size_t i = 0; i < n; i++)
		point(rows, n, &rows[i]);
	qsort(rows, n, sizeof(*rows), by_row);
	l->at = arena_alloc(&l->arena, (n + 1) * sizeof(*l->at));
	l->n = n;
	for (size_t i = 0; i < n; i++)
		l->at[i] = *rows[i].out;
	return 0;
}

int tags_list(struct tag_list *out, const struct reference *repo,
              const struct family_options *spelling, const struct ship_options *o,
              struct err *e)
{
	AUTO_FREE char *name = reference_repo_text(repo);
	AUTO_STRLIST tags = STRLIST_INIT;

	*out = (struct tag_list){ .arena = ARENA_INIT };
	if (registry_list_tags(o->registry, repo, &tags, e) < 0)
		return -1;
	out->repo = arena_strdup(&out->arena, name);
	if (fill(out, &tags, repo, spelling, o, e) == 0)
		return 0;
	tag_list_fini(out);
	return -1;
}

void tag_list_fini(struct tag_list *l)
{
	arena_fini(&l->arena);
	l->at = NULL;
	l->n = 0;
}

int tags_would_move(struct deploy_result *out, const struct reference *repo,
                    const struct family_options *family, const struct ship_options *o,
                    struct err *e)
{
	struct ship_item item = { .name = repo->repo, .to = *repo, .family = family };
	struct ship_options plan = *o;

	plan.plan_only = true;
	return ship(out, &item, 1, &plan, e);
}
