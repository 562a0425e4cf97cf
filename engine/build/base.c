/* Bases: a reference, the lock file and a registry or layout come to one platform's
 * configuration and list of layers. Layers themselves stay where they are until someone
 * needs their files. */
#include <string.h>

#include "build/fileset.h"
#include "build/node.h"
#include "build/remote.h"
#include "image/image.h"
#include "image/layout.h"
#include "store/blobs.h"
#include "store/sources.h"

struct where {
	bool local; /* a layout or archive */
	enum layout_kind kind;
	char *path, *tag;
	struct reference ref; /* of a registry */
	bool not_here;        /* a dry run lacks it: this */
	struct digest wanted;
};

static void where_fini(struct where *w)
{
	free(w->path);
	free(w->tag);
}

/* Paths of local bases are relative to their Imagefile. */
static int where_read(struct where *w, const struct node *n, struct err *e)
{
	*w = (struct where){ .local = false };
	if (layout_parse(n->target->name, &w->kind, &w->path, &w->tag)) {
		w->local = true;
		return 0;
	}
	return reference_parse(&w->ref, n->target->name, e);
}

/* With --lock=update, only what this very build has locked counts. */
int locked_digest(struct build *b, enum lock_section section, const char *name,
                  struct digest *out, struct err *e)
{
	int locked = 0;

	pthread_mutex_lock(&b->lock);
	if (!b->o.lock_update || map_get(&b->resolved, name))
		locked = lockfile_get(b->o.lock, section, name, out, e);
	pthread_mutex_unlock(&b->lock);
	return locked;
}

/* Two platforms may ask for one name at once, just while it changes: the first answer is
 * everybody's. */
static struct digest lock_once(struct build *b, enum lock_section section,
                               const char *name, const struct digest *d)
{
	struct digest is = *d;
	struct err ignored;

	pthread_mutex_lock(&b->lock);
	if (!map_get(&b->resolved, name) ||
	    lockfile_get(b->o.lock, section, name, &is, &ignored) <= 0) {
		lockfile_set(b->o.lock, section, name, d);
		is = *d;
	}
	map_put(&b->resolved, name, b);
	pthread_mutex_unlock(&b->lock);
	return is;
}

/* The digest that the reference stands for: its own, the locked one, or (first use)
 * today's. */
static int resolve_digest(struct build *b, struct reference *ref, struct err *e)
{
	AUTO_FREE char *name = NULL;
	struct descriptor d;
	int locked;

	if (ref->has_digest)
		return 0;
	name = reference_text(ref);
	locked = locked_digest(b, LOCK_BASES, name, &ref->digest, e);
	if (locked < 0)
		return -1;
	if (!locked && b->o.lock_strict)
		return err_set(
			e, ERR_INVALID,
			"it is not in Imagefile.lock; build once without --lock=strict and "
			"commit the lock file");
	if (!locked) {
		enum lane was = lane_now();

		if (lane_move(LANE_NETWORK, e) < 0)
			return -1;
		if (lane_back(was, registry_find_manifest(b->o.registry, ref, &d, e), e) <
		    0)
			return -1;
		ref->digest = lock_once(b, LOCK_BASES, name, &d.digest);
	}
	ref->has_digest = true;
	return 0;
}

/* A manifest into the store, under its digest. */
static int fetch_manifest(struct build *b, const struct reference *ref,
                          const struct digest *digest, struct descriptor *out,
                          struct buf *body, struct err *e)
{
	struct reference at = *ref;
	enum lane was = lane_now();

	at.digest = *digest;
	at.has_digest = true;
	if (lane_move(LANE_NETWORK, e) < 0)
		return -1;
	if (lane_back(was, registry_pull_manifest(b->o.registry, &at, out, body, e), e) <
	    0)
		return -1;
	return blobs_put(b->o.store->blobs, body->s, body->len, NULL, e);
}

static bool have(struct build *b, const struct digest *d)
{
	return blobs_has(b->o.store->blobs, d, NULL);
}

static int fetch_blob(struct build *b, const struct reference *ref,
                      const struct descriptor *d, struct err *e)
{
	enum lane was = lane_now();

	if (lane_move(LANE_NETWORK, e) < 0)
		return -1;
	return lane_back(
		was, registry_fetch_blob(b->o.registry, ref, d, b->o.store->blobs, e), e);
}

static int fetch_config(struct build *b, const struct reference *ref,
                        const struct buf *body, const char *media_type, struct err *e)
{
	struct manifest m;
	int rc;

	if (manifest_read(&m, media_type, body->s, body->len, e) < 0)
		return -1;
	rc = have(b, &m.config.digest) ? 0 : fetch_blob(b, ref, &m.config, e);
	manifest_fini(&m);
	return rc;
}

static int fetch_platform(struct build *b, const struct node *n,
                          const struct reference *ref, const struct buf *body,
                          const char *media_type, struct err *e)
{
	AUTO_BUF child = BUF_INIT;
	const struct descriptor *chosen;
	struct image_index ix;
	struct descriptor d;
	int rc = 0;

	if (index_read(&ix, media_type, body->s, body->len, e) < 0)
		return -1;
	chosen = index_select(&ix, &n->platform);
	if (chosen) /* if not, image_open tells which there are */
		rc = fetch_manifest(b, ref, &chosen->digest, &d, &child, e);
	if (chosen && rc == 0)
		rc = fetch_config(b, ref, &child, d.media_type, e);
	index_fini(&ix);
	return rc;
}

/* Manifest and configuration, so that image_open finds all it reads in the store. */
static int fetch_registry(struct build *b, const struct node *n, struct where *w,
                          struct descriptor *root, struct err *e)
{
	AUTO_BUF body = BUF_INIT;

	if (resolve_digest(b, &w->ref, e) < 0)
		return -1;
	if (have(b, &w->ref.digest) &&
	    image_peek(b->o.store->blobs, &w->ref.digest, root, e) == 0 &&
	    image_can_open(b->o.store->blobs, root, &n->platform))
		return 0;
	/* A dry run keeps documents in memory; where it cannot have them, what stands on
	 * the base counts as out of date. */
	w->not_here = b->o.dry_run;
	w->wanted = w->ref.digest;
	if (fetch_manifest(b, &w->ref, &w->ref.digest, root, &body, e) < 0)
		return -1;
	if (media_class(root->media_type) == MEDIA_INDEX)
		return fetch_platform(b, n, &w->ref, &body, root->media_type, e);
	return fetch_config(b, &w->ref, &body, root->media_type, e);
}

static int fetch_local(struct build *b, const struct node *n, struct where *w,
                       struct descriptor *root, struct err *e)
{
	int dir = n->context->fd;

	if (layout_root(dir, w->kind, w->path, w->tag, root, e) < 0)
		return -1;
	if (have(b, &root->digest) &&
	    image_is_whole(b->o.store->blobs, root, &n->platform))
		return 0;
	if (b->o.dry_run) {
		w->not_here = true;
		w->wanted = root->digest;
		return err_set(e, ERR_NOT_FOUND, "it has not been read yet");
	}
	return layout_import(b->o.store->blobs, dir, w->kind, w->path, w->tag, root, e);
}

/* Docker's names for layers become OCI's: the bytes are the same. */
static void oci_layer(struct descriptor *d)
{
	if (!strcmp(d->media_type, MEDIA_DOCKER_LAYER_GZIP))
		strcpy(d->media_type, MEDIA_OCI_LAYER_GZIP);
	else if (!strcmp(d->media_type, "application/vnd.docker.image.rootfs.diff.tar"))
		strcpy(d->media_type, MEDIA_OCI_LAYER);
}

static int take_layers(struct node *n, const struct image *im, const struct where *w,
                       struct err *e)
{
	AUTO_FREE char *repo = w->local ? NULL : reference_repo_text(&w->ref);
	bool write = !n->build->o.dry_run;

	for (size_t i = 0; i < im->manifest.n_layers; i++) {
		struct layer l = { .blob = im->manifest.layers[i] };
		enum codec codec;

		oci_layer(&l.blob);
		config_diff_id(&im->config, i, &l.diff_id);
		if (media_layer_codec(l.blob.media_type, &codec, e) < 0 ||
		    (repo && write &&
		     blob_sources_add(n->build->o.store->state, &l.blob.digest, repo, e) <
		             0))
			return -1;
		vec_push(&n->result.layers, l);
	}
	return 0;
}

/* The key is of the content: the same base pushed again under another manifest hits. */
static void key_of_base(struct node *n)
{
	struct digest content;

	config_content_key(&n->result.config, &content);
	key_digest(&n->key, "content", &content);
	key_end(&n->key, &n->plan_key);
}

static int take_image(struct node *n, const struct where *w,
                      const struct descriptor *root, struct err *e)
{
	struct image im;
	int rc;

	if (image_open(&im, n->build->o.store->blobs, root, &n->platform, e) < 0)
		return -1;
	n->result = (struct result){ .record = BUF_INIT };
	config_copy(&n->result.config, &im.config);
	rc = take_layers(n, &im, w, e);
	image_fini(&im);
	n->has_result = rc == 0;
	if (rc < 0)
		result_fini(&n->result);
	return rc;
}

/* "docker.io/library/debian:12": what the annotation base.name says, without the digest.
 */
static const char *base_text(struct node *n, const struct reference *ref)
{
	struct reference named = *ref;
	AUTO_FREE char *text = NULL;

	if (*named.tag)
		named.has_digest = false;
	text = reference_text(&named);
	return arena_strdup(&n->arena, text);
}

static int base_read(struct node *n, struct where *w, struct err *e)
{
	struct build *b = n->build;
	struct descriptor root;

	if ((w->local ? fetch_local(b, n, w, &root, e)
	              : fetch_registry(b, n, w, &root, e)) < 0)
		return -1;
	if (!w->local)
		n->base_name = base_text(n, &w->ref);
	n->base_digest = root.digest;
	if (take_image(n, w, &root, e) < 0)
		return -1;
	key_of_base(n);
	n->status = STATUS_CURRENT;
	return 0;
}

/* A dry run pulls nothing: what stands on the base is then out of date, which is true. */
static int wait_for_base(struct node *n, const struct where *w, struct err *e)
{
	const char *taken;

	if (node_taken(n, &w->wanted, &taken, e) < 0)
		return -1;
	key_str(&n->key, "base", "not pulled yet");
	key_end(&n->key, &n->plan_key);
	n->status = STATUS_STALE;
	n->guessed = true;
	n->forced = arena_printf(&n->arena, "the base %s %s%s", n->target->name,
	                         taken ? "was " : "has not been ",
	                         taken      ? taken
	                         : w->local ? "read yet"
	                                    : "pulled yet");
	return 0;
}

/* A dry run makes no rule, which makes the base. */
static void wait_for_rule(struct node *n, const struct node *rule)
{
	key_str(&n->key, "base", "not made yet");
	key_end(&n->key, &n->plan_key);
	n->status = STATUS_STALE;
	n->guessed = true;
	node_force_after(n, rule);
}

int base_plan(struct node *n, struct err *e)
{
	const struct node *rule = node_waits_for(n);
	struct where w;
	int rc;

	node_inherit_force(n);
	if (rule) {
		wait_for_rule(n, rule);
		return 0;
	}
	if (where_read(&w, n, e) < 0)
		return -1;
	rc = base_read(n, &w, e);
	if (rc < 0 && w.not_here && e->code != ERR_CANCELLED)
		rc = wait_for_base(n, &w, e);
	where_fini(&w);
	return rc;
}

static int fetch_from(struct build *b, const char *repo, const struct descriptor *d,
                      struct blob_follow *follow, struct err *e)
{
	enum lane was = lane_now();
	struct reference ref;

	if (reference_parse_repo(&ref, repo, e) < 0)
		return -1;
	if (lane_move(LANE_NETWORK, e) < 0)
		return -1;
	return lane_back(was,
	                 registry_fetch_followed(b->o.registry, &ref, d,
	                                         b->o.store->blobs, follow, e),
	                 e);
}

static int fetch_followed(struct build *b, const struct descriptor *d,
                          const struct strlist *repos, struct blob_follow *follow,
                          struct err *e)
{
	if (have(b, &d->digest))
		return 0;
	err_set(e, ERR_NOT_FOUND,
	        "%s is not in the store, and no registry is known to have it",
	        DIGEST_STR(&d->digest));
	for (size_t i = 0; i < repos->len; i++)
		if (fetch_from(b, repos->at[i], d, follow, e) == 0)
			return 0;
	return -1;
}

int build_fetch_blob(struct build *b, const struct descriptor *d,
                     const struct strlist *repos, struct err *e)
{
	return fetch_followed(b, d, repos, NULL, e);
}

/* What another machine made can be made here, too. */
int layer_doubt(struct build *b, const struct layer *l, struct err *e)
{
	struct err inner = *e;

	if (!l->remote || e->code == ERR_CANCELLED || e->code == ERR_CHANGED)
		return -1;
	atomic_store(&b->distrust, true);
	return err_set(e, ERR_CHANGED,
	               "the remote cache lost a layer, or it lies: %.300s", inner.msg);
}

/* The caller has it under its digest, so only the length can be wrong. */
static int check_size(struct build *b, const struct layer *l, struct err *e)
{
	int64_t size;

	if (!l->remote || !blobs_has(b->o.store->blobs, &l->blob.digest, &size) ||
	    size == l->blob.size)
		return 0;
	err_set(e, ERR_CORRUPT, "layer %s has %lld bytes, but was said to have %lld",
	        DIGEST_STR(&l->blob.digest), (long long)size, (long long)l->blob.size);
	return layer_doubt(b, l, e);
}

int base_fetch_layer(struct build *b, const struct node *n, const struct layer *l,
                     struct err *e)
{
	return base_fetch_followed(b, n, l, NULL, e);
}

int base_fetch_followed(struct build *b, const struct node *n, const struct layer *l,
                        struct blob_follow *follow, struct err *e)
{
	AUTO_STRLIST repos = STRLIST_INIT;

	if (have(b, &l->blob.digest))
		return check_size(b, l, e);
	for (size_t i = 0; l->remote && b->o.remote && i < b->o.remote->repos.len; i++)
		strlist_add(&repos, b->o.remote->repos.at[i]);
	if (blob_sources_get(b->o.store->state, &l->blob.digest, &repos, e) < 0)
		return -1;
	if (fetch_followed(b, &l->blob, &repos, follow, e) == 0)
		return 0;
	err_wrap(e, "a layer of %s", n->target->name);
	return layer_doubt(b, l, e);
}

int base_fetch_table(struct build *b, const struct layer *l, struct err *e)
{
	struct descriptor d = { .digest = l->toc, .size = l->toc_size };
	AUTO_STRLIST none = STRLIST_INIT;
	const struct strlist *repos = b->o.remote ? &b->o.remote->repos : &none;

	if (!l->remote || have(b, &l->toc))
		return 0;
	return build_fetch_blob(b, &d, repos, e) < 0 ? layer_doubt(b, l, e) : 0;
}

int download(struct build *b, const char *url, struct digest *out, struct err *e)
{
	enum lane was = lane_now();
	int64_t size;

	if (lane_move(LANE_NETWORK, e) < 0)
		return -1;
	return lane_back(was,
	                 registry_fetch_url(b->o.registry, url, DOWNLOAD_MAX,
	                                    b->o.store->blobs, out, &size, e),
	                 e);
}

int download_lock(struct build *b, const char *url, struct digest *out, struct err *e)
{
	if (download(b, url, out, e) < 0)
		return -1;
	*out = lock_once(b, LOCK_DOWNLOADS, url, out);
	return 0;
}
