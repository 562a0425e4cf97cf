/* Manifests and indexes out of results. Cheap, and a function of the result and the
 * recipe alone. */
#include <string.h>

#include "build/node.h"
#include "image/manifest.h"
#include "store/blobs.h"

static int put(struct build *b, const struct buf *body, const char *media_type,
               bool write, struct descriptor *out, struct err *e)
{
	memset(out, 0, sizeof(*out));
	strcpy(out->media_type, media_type);
	out->size = (int64_t)body->len;
	digest_of(&out->digest, body->s, body->len);
	return write ? blobs_put(b->o.store->blobs, body->s, body->len, NULL, e) : 0;
}

static void annotate(json_t *a, const char *name, const char *value)
{
	if (value)
		json_object_set_new(a, name, json_string(value));
}

/* Nothing here may change with a commit or a clock, or every push would be a new digest.
 * What the recipe asks for comes last and wins. */
static json_t *annotations(const struct node *n)
{
	const struct target *t = n->target;
	json_t *a = json_object();

	if (n->base_name) {
		annotate(a, "org.opencontainers.image.base.digest",
		         DIGEST_STR(&n->base_digest));
		annotate(a, "org.opencontainers.image.base.name", n->base_name);
	}
	if (t->publish)
		annotate(a, "org.opencontainers.image.version", t->publish->version);
	for (size_t i = 0; i < t->n_steps; i++)
		if (t->steps[i].kind == STEP_CONFIG)
			json_object_update(
				a, json_object_get(t->steps[i].config, "annotations"));
	if (t->annotations)
		json_object_update(a, t->annotations);
	return a;
}

/* What a manifest says beside its result and its steps: zero if that is nothing. */
static void seal_of(const struct node *n, struct digest *out)
{
	const struct target *t = n->target;
	const char *version = t->publish ? t->publish->version : NULL;
	AUTO_BUF text = BUF_INIT;
	struct hasher h;

	memset(out, 0, sizeof(*out));
	if (!n->base_name && !version && !t->annotations)
		return;
	if (t->annotations)
		json_write(&text, t->annotations);
	hasher_init(&h);
	hasher_str(&h, n->base_name);
	hasher_digest(&h, &n->base_digest);
	hasher_str(&h, version);
	hasher_field(&h, text.s, text.len);
	hasher_end(&h, out);
}

/* Whether the documents are known, and in the store where they have to be: then there is
 * nothing to write. */
static bool find_documents(struct node *n, const struct digest *seal, bool write)
{
	struct blobs *blobs = n->build->o.store->blobs;
	const struct result *r = &n->result;
	size_t i = 0;

	while (i < r->manifests.len && !digest_equal(&r->manifests.at[i].seal, seal))
		i++;
	if (i == r->manifests.len || digest_is_zero(&r->document))
		return false;
	if (write && (!blobs_has(blobs, &r->document, NULL) ||
	              !blobs_has(blobs, &r->manifests.at[i].manifest, NULL)))
		return false;
	strcpy(n->manifest.media_type, MEDIA_OCI_MANIFEST);
	n->manifest.digest = r->manifests.at[i].manifest;
	n->manifest.size = r->manifests.at[i].size;
	n->manifest.platform = n->platform;
	return true;
}

static int write_documents(struct node *n, bool write, struct err *e)
{
	AUTO_FREE struct descriptor *layers = NULL;
	struct manifest m = { .arena = ARENA_INIT, .media_type = MEDIA_OCI_MANIFEST };
	AUTO_BUF config = BUF_INIT, body = BUF_INIT;
	int rc;

	layers = mem_alloc((n->result.layers.len + 1) * sizeof(*layers));
	for (size_t i = 0; i < n->result.layers.len; i++)
		layers[i] = n->result.layers.at[i].blob;
	config_write(&n->result.config, &config);
	if (put(n->build, &config, MEDIA_OCI_CONFIG, write, &m.config, e) < 0)
		return -1;
	n->result.document = m.config.digest;
	m.layers = layers;
	m.n_layers = n->result.layers.len;
	m.annotations = annotations(n);
	manifest_write(&m, &body);
	rc = put(n->build, &body, MEDIA_OCI_MANIFEST, write, &n->manifest, e);
	n->manifest.platform = n->platform;
	manifest_fini(&m);
	return rc;
}

static void remember(struct result *r, const struct digest *seal,
                     const struct descriptor *manifest)
{
	struct sealed s = { *seal, manifest->digest, manifest->size };

	for (size_t i = 0; i < r->manifests.len; i++)
		if (digest_equal(&r->manifests.at[i].seal, seal)) {
			r->manifests.at[i] = s;
			return;
		}
	vec_push(&r->manifests, s);
}

int node_assemble(struct node *n, bool write, struct err *e)
{
	struct digest seal;

	seal_of(n, &seal);
	if (find_documents(n, &seal, write))
		return 0;
	if (result_config(&n->result, e) < 0 || write_documents(n, write, e) < 0)
		return -1;
	remember(&n->result, &seal, &n->manifest);
	n->noted = n->status == STATUS_CURRENT;
	return 0;
}

int assemble_index(struct build *b, const struct target *t, bool write,
                   struct descriptor *out, struct err *e)
{
	AUTO_FREE struct platform *platforms = NULL;
	AUTO_FREE struct descriptor *entries = NULL;
	AUTO_FREE json_t **none = NULL;
	struct image_index ix = { .arena = ARENA_INIT, .media_type = MEDIA_OCI_INDEX };
	AUTO_BUF body = BUF_INIT;
	size_t n;
	int rc;

	target_platforms(b, t, &platforms, &n);
	entries = mem_alloc(n * sizeof(*entries));
	none = mem_alloc(n * sizeof(*none));
	for (size_t i = 0; i < n; i++)
		entries[i] = node_get(b, t, &platforms[i])->manifest;
	ix.manifests = entries;
	ix.entry_annotations = none;
	ix.n = n;
	ix.annotations = annotations(node_get(b, t, &platforms[0]));
	index_write(&ix, &body);
	rc = put(b, &body, MEDIA_OCI_INDEX, write, out, e);
	json_decref(ix.annotations);
	return rc;
}

int build_documents(struct build *b, const struct target *t, struct err *e)
{
	struct descriptor index;
	size_t n = 0;

	if (!build_root(b, t))
		return 0;
	for (struct node *x = nodes_of(b, t); x; x = x->sibling, n++)
		if (node_assemble(x, true, e) < 0)
			return -1;
	return n > 1 ? assemble_index(b, t, true, &index, e) : 0;
}
