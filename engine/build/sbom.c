/* What packages an image holds: their databases are found in its tables of contents, and
 * read out of the layers that have them. */
#include "build/sbom.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "build/extract.h"
#include "build/remote.h"
#include "image/sbom.h"
#include "os/fd.h"
#include "store/blobs.h"
#include "store/state.h"

/* 1980, as everything of no date of its own. */
#define CREATED_DEFAULT "1980-01-02T00:00:00Z"

/* A file that says something of packages. */
struct named_file {
	enum sbom_kind kind;
	const char *path;
	int64_t size, offset; /* in the spool */
};

struct search {
	const struct toc_view *view;
	VEC(struct named_file) sources;
	VEC(struct want) wants; /* one each */
};

static int add_source(struct search *x, enum sbom_kind kind, const char *path,
                      const struct toc_entry *entry, size_t layer)
{
	const struct toc_entry *file = link_target(x->view, entry, &layer);
	struct named_file source = { kind, path, 0, 0 };

	if (!file || file->type != TOC_FILE || !file->size)
		return 0;
	source.size = file->size;
	vec_push(&x->sources, source);
	vec_push(&x->wants, ((struct want){ .layer = layer, .path = file->path }));
	return 0;
}

static int look_at(void *self, const struct toc_entry *entry, size_t layer)
{
	enum sbom_kind kind = SBOM_NONE;

	if (entry->type == TOC_FILE || entry->type == TOC_HARDLINK)
		kind = sbom_kind_of(entry->path);
	return kind ? add_source(self, kind, entry->path, entry, layer) : 0;
}

/* It comes first, and is a link in most images. */
static int find_system(struct search *x, struct err *e)
{
	static const char path[] = "etc/os-release";
	AUTO_BUF at = BUF_INIT;
	const struct toc_entry *entry;
	size_t layer;

	if (toc_view_resolve(x->view, path, true, &at, NULL, e) < 0)
		return -1;
	entry = toc_view_find(x->view, at.s, &layer);
	return entry ? add_source(x, SBOM_SYSTEM, path, entry, layer) : 0;
}

static int read_source(const struct spool *spool, const struct named_file *f,
                       struct buf *out, struct err *e)
{
	size_t left = (size_t)f->size;

	buf_reset(out);
	buf_reserve(out, left);
	while (left) {
		ssize_t n = pread(spool->fd, out->s + out->len, left,
		                  f->offset + (int64_t)out->len);

		if (n <= 0)
			return err_sys(e, "read /%s", f->path);
		out->len += (size_t)n;
		left -= (size_t)n;
	}
	out->s[out->len] = '\0';
	return 0;
}

static int read_sources(const struct search *x, const struct spool *spool, struct sbom *s,
                        struct err *e)
{
	AUTO_BUF content = BUF_INIT;

	for (size_t i = 0; i < x->sources.len; i++) {
		const struct named_file *f = &x->sources.at[i];

		if (f->size > SBOM_FILE_MAX)
			return err_set(e, ERR_LIMIT,
			               "/%s has more than %d bytes, and is not read",
			               f->path, SBOM_FILE_MAX);
		if (read_source(spool, f, &content, e) < 0 ||
		    sbom_add(s, f->kind, f->path, &content, e) < 0)
			return -1;
	}
	return 0;
}

static int collect(struct node *n, struct search *x, struct sbom *s, struct err *e)
{
	AUTO(spool_fini) struct spool spool;

	if (find_system(x, e) < 0)
		return -1;
	toc_view_walk(x->view, "", look_at, x);
	for (size_t i = 0; i < x->wants.len; i++)
		x->wants.at[i].offset = &x->sources.at[i].offset;
	spool_init(&spool, n->build->o.store);
	if (extract_files(n, &n->result, x->wants.at, x->wants.len, &spool, e) < 0)
		return -1;
	return read_sources(x, &spool, s, e);
}

/* Whole seconds of UTC, as SPDX wants them. */
static void created(const struct node *n, char out[sizeof(CREATED_DEFAULT)])
{
	const char *text =
		json_string_value(json_object_get(n->result.config.root, "created"));
	time_t epoch = (time_t)n->build->o.epoch;
	struct tm tm;

	strcpy(out, CREATED_DEFAULT);
	if (n->build->o.has_epoch && gmtime_r(&epoch, &tm))
		strftime(out, sizeof(CREATED_DEFAULT), "%Y-%m-%dT%H:%M:%SZ", &tm);
	else if (text && strlen(text) == sizeof(CREATED_DEFAULT) - 1 &&
	         strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm))
		strcpy(out, text);
}

int node_sbom(struct node *n, struct buf *out, struct err *e)
{
	AUTO_FREE const struct toc **tocs = NULL;
	struct sbom_subject of = {
		.name = n->target->name,
		.manifest = &n->manifest.digest,
		.base_name = n->base_name,
		.base = &n->base_digest,
	};
	char when[sizeof(CREATED_DEFAULT)];
	struct search x = { .view = NULL };
	struct toc_view view;
	struct sbom *s;
	int rc;

	if (node_config(n, e) < 0 || node_tocs(n, &n->result, &tocs, e) < 0)
		return -1;
	view = (struct toc_view){ tocs, n->result.layers.len };
	x.view = &view;
	s = sbom_new();
	rc = collect(n, &x, s, e);
	created(n, when);
	of.created = when;
	if (rc == 0)
		sbom_write(s, &of, out);
	sbom_free(s);
	vec_fini(&x.sources);
	vec_fini(&x.wants);
	return rc < 0 ? err_wrap(e, "image '%s': list its packages", n->target->name) : 0;
}

/* What the document depends on. A recipe may give the manifest another base's name. */
static void document_key(const struct node *n, struct digest *out)
{
	struct hasher h;

	hasher_init(&h);
	hasher_str(&h, "sbom " SBOM_VERSION);
	hasher_str(&h, n->target->name);
	hasher_digest(&h, &n->manifest.digest);
	hasher_str(&h, n->base_name);
	hasher_digest(&h, &n->base_digest);
	hasher_int(&h, n->build->o.has_epoch ? n->build->o.epoch : -1);
	hasher_end(&h, out);
}

static bool read_document(const struct buf *text, struct descriptor *out)
{
	AUTO_JSON *j = NULL;
	struct err ignored;

	return json_read(&j, text->s, text->len, &ignored) == 0 &&
	       descriptor_read(out, j, &ignored) == 0;
}

/* 1: it is known; the store has it, unless another machine made it. */
static int find_document(struct node *n, const struct digest *key, struct descriptor *out,
                         struct err *e)
{
	struct build *b = n->build;
	struct build_remote *r = b->o.remote;
	AUTO_BUF text = BUF_INIT;
	int found =
		state_get(b->o.store->state, STATE_CHECKS, key->b, DIGEST_SIZE, &text, e);

	if (found < 0)
		return -1;
	if (found && read_document(&text, out) &&
	    blobs_has(b->o.store->blobs, &out->digest, NULL))
		return 1;
	buf_reset(&text);
	return r && !atomic_load(&b->distrust) && r->get(r, REMOTE_CHECK, key, &text) &&
	       read_document(&text, out);
}

static int keep_document(struct node *n, const struct digest *key,
                         const struct descriptor *d, struct err *e)
{
	struct build_remote *r = n->build->o.remote;
	struct remote_entry entry = { .kind = REMOTE_CHECK, .key = *key };
	AUTO_JSON *j = descriptor_json(d);
	AUTO_BUF text = BUF_INIT;

	json_write(&text, j);
	if (state_put(n->build->o.store->state, STATE_CHECKS, key->b, DIGEST_SIZE, text.s,
	              text.len, e) < 0)
		return -1;
	entry.text = text.s;
	if (r && r->writes)
		r->put(r, &entry);
	return 0;
}

static int make_document(struct node *n, const struct digest *key, struct descriptor *out,
                         struct err *e)
{
	struct blobs *blobs = n->build->o.store->blobs;
	AUTO_BUF text = BUF_INIT;
	int rc;

	progress_begin(n->build->o.progress, n->target->name, "list packages", -1);
	rc = node_sbom(n, &text, e);
	progress_end(n->build->o.progress, n->target->name, "list packages", 0);
	*out = (struct descriptor){ .media_type = SBOM_MEDIA_TYPE,
		                    .size = (int64_t)text.len };
	if (rc < 0 || blobs_put(blobs, text.s, text.len, &out->digest, e) < 0)
		return -1;
	return keep_document(n, key, out, e);
}

/* 1: there is one; 0: in a dry run, not yet. */
static int sbom_of(struct node *n, struct build_sbom *out, struct err *e)
{
	struct digest key;
	int found;

	*out = (struct build_sbom){ .image = n->manifest };
	document_key(n, &key);
	found = find_document(n, &key, &out->document, e);
	if (found || n->build->o.dry_run)
		return found;
	return make_document(n, &key, &out->document, e) < 0 ? -1 : 1;
}

int build_sboms(struct build *b, const struct target *t, struct build_sbom **out,
                size_t *n, bool *more, struct err *e)
{
	VEC(struct build_sbom) list = { 0 };
	int rc = 0;

	*more = false;
	for (struct node *x = nodes_of(b, t); rc >= 0 && x; x = x->sibling) {
		struct build_sbom one;

		rc = sbom_of(x, &one, e);
		if (rc > 0)
			vec_push(&list, one);
		*more |= !rc;
	}
	*out = list.at;
	*n = list.len;
	if (rc >= 0)
		return 0;
	vec_fini(&list);
	*out = NULL;
	return err_wrap(e, PLACE_FMT "sbom", PLACE_ARG(t->place));
}
