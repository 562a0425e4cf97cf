#include "publish/remote_list.h"

#include <string.h>
#include <time.h>

#include "base/map.h"
#include "image/manifest.h"
#include "os/clock.h"
#include "publish/batch.h"
#include "publish/remote_cache.h"
#include "store/sources.h"

enum { AT_ONCE = 8 };

struct entry {
	struct remote_list *list;
	enum remote_kind kind;
	struct digest key;
	const char *tag; /* the tag list's */
	struct descriptor manifest;
	struct descriptor *blobs;
	size_t n;
	int64_t created; /* seconds since 1970; 0: it does not say */
	bool gone;       /* since it was listed */
	bool marked;
};

struct remote_list {
	struct registry *registry;
	struct reference repo;
	char *name;
	struct strlist tags;
	struct entry *at;
	size_t n, others;
};

/* "step-" and 64 hex digits, as remote_tag() writes them. */
static bool is_entry(const char *tag, struct entry *out)
{
	AUTO_BUF text = BUF_INIT;
	struct err ignored;

	for (int k = 0; k < REMOTE_KINDS; k++) {
		const char *name = remote_kind_name((enum remote_kind)k);
		size_t n = strlen(name);

		if (strncmp(tag, name, n) != 0 || tag[n] != '-')
			continue;
		buf_addf(&text, "sha256:%s", tag + n + 1);
		out->kind = (enum remote_kind)k;
		return digest_parse(&out->key, text.s, &ignored) == 0;
	}
	return false;
}

static int64_t read_time(const json_t *annotations)
{
	const char *text = json_string_value(
		json_object_get(annotations, "org.opencontainers.image.created"));
	struct tm tm = { 0 };
	const char *end = text ? strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm) : NULL;
	time_t t = end && !*end ? timegm(&tm) : 0;

	return t > 0 ? (int64_t)t : 0;
}

static void take_blobs(struct entry *x, const struct manifest *m)
{
	x->blobs = mem_alloc((m->n_layers + 1) * sizeof(*x->blobs));
	x->blobs[x->n++] = m->config;
	for (size_t i = 0; i < m->n_layers; i++)
		if (!digest_equal(&m->layers[i].digest, &m->config.digest))
			x->blobs[x->n++] = m->layers[i];
}

/* What is under the name of an entry and is none is old, and of no size. */
static int read_entry(void *arg, struct err *e)
{
	struct entry *x = arg;
	struct reference ref = x->list->repo;
	AUTO_BUF body = BUF_INIT;
	struct manifest m;
	struct err odd;

	snprintf(ref.tag, sizeof(ref.tag), "%s", x->tag);
	if (registry_get_manifest(x->list->registry, &ref, &x->manifest, &body, e) < 0) {
		x->gone = e->code == ERR_NOT_FOUND;
		return x->gone ? 0 : -1;
	}
	if (manifest_read(&m, x->manifest.media_type, body.s, body.len, &odd) < 0)
		return 0;
	x->created = read_time(m.annotations);
	take_blobs(x, &m);
	manifest_fini(&m);
	return 0;
}

static int read_all(struct remote_list *l, struct err *e)
{
	struct batch *b = batch_new(AT_ONCE);
	int rc;

	for (size_t i = 0; i < l->n; i++)
		batch_add(b, read_entry, &l->at[i]);
	rc = batch_wait(b, e);
	batch_free(b);
	return rc;
}

int remote_list_read(struct remote_list **out, struct registry *r, const char *repo,
                     struct err *e)
{
	struct remote_list *l = mem_alloc(sizeof(*l));
	int rc = reference_parse_repo(&l->repo, repo, e);

	l->registry = r;
	if (rc == 0) {
		l->name = reference_repo_text(&l->repo);
		rc = registry_list_tags(r, &l->repo, &l->tags, e);
	}
	l->at = mem_alloc((l->tags.len + 1) * sizeof(*l->at));
	for (size_t i = 0; i < l->tags.len; i++) {
		struct entry *x = &l->at[l->n];

		*x = (struct entry){ .list = l, .tag = l->tags.at[i] };
		if (is_entry(x->tag, x))
			l->n++;
		else
			l->others++;
	}
	if (rc == 0)
		rc = read_all(l, e);
	if (rc < 0) {
		remote_list_free(l);
		return err_wrap(e, "remote cache '%s'", repo);
	}
	*out = l;
	return 0;
}

void remote_list_free(struct remote_list *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n; i++)
		free(l->at[i].blobs);
	free(l->at);
	free(l->name);
	strlist_fini(&l->tags);
	free(l);
}

const char *remote_list_repo(const struct remote_list *l)
{
	return l->name;
}

/* How many entries hold each blob. */
struct uses {
	struct map by_digest; /* hex → struct use * */
	int64_t bytes;        /* of those that are held */
	size_t blobs;
};

struct use {
	size_t n;
};

static void uses_fini(struct uses *u)
{
	for (size_t i = 0; i < u->by_digest.len; i++)
		free(u->by_digest.at[i].value);
	map_fini(&u->by_digest);
}

static void hold(struct uses *u, const struct entry *x)
{
	char hex[DIGEST_HEX + 1];

	for (size_t i = 0; i < x->n; i++) {
		struct use *use =
			map_get(&u->by_digest, digest_hex(&x->blobs[i].digest, hex));

		if (!use) {
			use = mem_alloc(sizeof(*use));
			map_put(&u->by_digest, hex, use);
		}
		if (use->n++)
			continue;
		u->blobs++;
		u->bytes += x->blobs[i].size;
	}
}

static void let_go(struct uses *u, const struct entry *x)
{
	char hex[DIGEST_HEX + 1];

	for (size_t i = 0; i < x->n; i++) {
		struct use *use =
			map_get(&u->by_digest, digest_hex(&x->blobs[i].digest, hex));

		if (--use->n)
			continue;
		u->blobs--;
		u->bytes -= x->blobs[i].size;
	}
}

static int older_first(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->created != y->created)
		return x->created < y->created ? -1 : 1;
	return strcmp(x->tag, y->tag);
}

void remote_list_mark(struct remote_list *l, int64_t max_age, int64_t max_size)
{
	AUTO(uses_fini) struct uses held = { .by_digest = MAP_INIT };
	int64_t now = clock_wall_s();

	if (l->n)
		qsort(l->at, l->n, sizeof(*l->at), older_first);
	for (size_t i = 0; i < l->n; i++) {
		struct entry *x = &l->at[i];

		x->marked = max_age >= 0 && !x->gone && x->created < now - max_age;
		if (!x->marked)
			hold(&held, x);
	}
	for (size_t i = 0; max_size >= 0 && i < l->n && held.bytes > max_size; i++) {
		struct entry *x = &l->at[i];

		if (x->marked || x->gone)
			continue;
		x->marked = true;
		let_go(&held, x);
	}
}

void remote_list_sum(const struct remote_list *l, bool unmarked, struct remote_sum *out)
{
	AUTO(uses_fini) struct uses held = { .by_digest = MAP_INIT };

	*out = (struct remote_sum){ .others = l->others };
	for (size_t i = 0; i < l->n; i++) {
		const struct entry *x = &l->at[i];

		if (x->gone || (unmarked && x->marked))
			continue;
		out->entries[x->kind]++;
		hold(&held, x);
		if (x->created && (!out->oldest || x->created < out->oldest))
			out->oldest = x->created;
		if (x->created > out->newest)
			out->newest = x->created;
	}
	out->blobs = held.blobs;
	out->bytes = held.bytes;
}

static int delete_entry(void *arg, struct err *e)
{
	struct entry *x = arg;
	struct reference ref = x->list->repo;

	ref.has_digest = true;
	ref.digest = x->manifest.digest;
	return registry_delete_manifest(x->list->registry, &ref, e);
}

int remote_list_delete(struct remote_list *l, struct state *state, struct err *e)
{
	struct batch *b = batch_new(AT_ONCE);
	int rc;

	for (size_t i = 0; i < l->n; i++)
		if (l->at[i].marked)
			batch_add(b, delete_entry, &l->at[i]);
	rc = batch_wait(b, e);
	batch_free(b);
	/* Else the next build here would take it for told. */
	for (size_t i = 0; rc == 0 && i < l->n; i++)
		if (l->at[i].marked && l->at[i].kind == REMOTE_RESULT)
			rc = blob_sources_forget(state, &l->at[i].key, l->name, e);
	return rc < 0 ? err_wrap(e, "remote cache '%s'", l->name) : 0;
}
