#include "build/result.h"

#include <string.h>

#include "store/blobs.h"
#include "store/state.h"

void result_init(struct result *r, const struct platform *p)
{
	*r = (struct result){ .record = BUF_INIT };
	config_init(&r->config, p);
}

void result_fini(struct result *r)
{
	config_fini(&r->config);
	vec_fini(&r->layers);
	vec_fini(&r->manifests);
	buf_fini(&r->record);
}

void result_copy(struct result *out, const struct result *r)
{
	*out = (struct result){ .record = BUF_INIT };
	if (r->unread) {
		buf_add(&out->record, r->record.s, r->record.len);
		out->unread = r->unread;
	} else {
		config_copy(&out->config, &r->config);
	}
	for (size_t i = 0; i < r->layers.len; i++)
		vec_push(&out->layers, r->layers.at[i]);
}

int result_config(struct result *r, struct err *e)
{
	size_t at = r->unread;

	if (!at)
		return 0;
	if (config_read(&r->config, r->record.s + at, r->record.len - at, e) < 0)
		return err_wrap(
			e,
			"a record of the store's state is damaged (build once with -B)");
	r->unread = 0;
	buf_fini(&r->record);
	return 0;
}

static json_t *layer_json(const struct layer *l)
{
	json_t *j = descriptor_json(&l->blob);

	json_object_set_new(j, "diffId", json_string(DIGEST_STR(&l->diff_id)));
	if (!digest_is_zero(&l->toc))
		json_object_set_new(j, "toc", json_string(DIGEST_STR(&l->toc)));
	if (l->toc_size)
		json_object_set_new(j, "tocSize", json_integer(l->toc_size));
	if (l->remote)
		json_object_set_new(j, "remote", json_true());
	return j;
}

static int layer_read(struct layer *l, const json_t *j, struct err *e)
{
	const char *diff_id = NULL, *toc = NULL;

	memset(l, 0, sizeof(*l));
	if (descriptor_read(&l->blob, j, e) < 0 ||
	    json_member_str(j, "diffId", true, &diff_id, e) < 0 ||
	    json_member_str(j, "toc", false, &toc, e) < 0 ||
	    json_member_int(j, "tocSize", false, &l->toc_size, e) < 0 ||
	    json_member_bool(j, "remote", &l->remote, e) < 0 ||
	    digest_parse(&l->diff_id, diff_id, e) < 0)
		return -1;
	return toc ? digest_parse(&l->toc, toc, e) : 0;
}

/* Layers of a base and of a remote cache may be elsewhere; of the others, those of a base
 * have no table of contents of their own. A blob of another length was cut by the disk,
 * and is put aside. */
static bool layer_whole(struct store *s, const struct layer *l)
{
	int64_t size;

	if (digest_is_zero(&l->toc) || l->remote)
		return true;
	if (!blobs_has(s->blobs, &l->blob.digest, &size) ||
	    !blobs_has(s->blobs, &l->toc, NULL))
		return false;
	if (size != l->blob.size && !s->read_only)
		blobs_discard(s->blobs, &l->blob.digest);
	return size == l->blob.size;
}

static int load(struct store *s, const struct digest *key, struct buf *out, struct err *e)
{
	return state_get(s->state, STATE_RESULTS, key->b, DIGEST_SIZE, out, e);
}

static json_t *layers_json(const struct layer_list *l)
{
	json_t *list = json_array();

	for (size_t i = 0; i < l->len; i++)
		json_array_append_new(list, layer_json(&l->at[i]));
	return list;
}

static int layers_read(struct layer_list *out, const json_t *j, struct err *e)
{
	json_t *list = NULL, *item;
	struct layer l;
	size_t i;

	if (json_member_array(j, "layers", true, &list, e) < 0)
		return -1;
	json_array_foreach(list, i, item)
	{
		if (layer_read(&l, item, e) < 0)
			return -1;
		vec_push(out, l);
	}
	return 0;
}

static void write_layers(const struct layer_list *l, json_t *config, struct buf *out)
{
	AUTO_JSON *j = json_object();

	if (config)
		json_object_set(j, "config", config);
	json_object_set_new(j, "layers", layers_json(l));
	json_write(out, j);
}

void result_write(const struct result *r, struct buf *out)
{
	write_layers(&r->layers, r->config.root, out);
}

void layer_list_write(const struct layer_list *l, struct buf *out)
{
	write_layers(l, NULL, out);
}

static int read_result(struct result *out, const json_t *j, struct err *e)
{
	json_t *config = NULL;

	*out = (struct result){ .record = BUF_INIT };
	if (json_member_object(j, "config", true, &config, e) < 0)
		return -1;
	if (config_take(&out->config, json_incref(config), e) == 0 &&
	    layers_read(&out->layers, j, e) == 0)
		return 0;
	result_fini(out);
	return -1;
}

int result_read(struct result *out, const struct buf *text, struct err *e)
{
	AUTO_JSON *j = NULL;

	return json_read(&j, text->s, text->len, e) < 0 ? -1 : read_result(out, j, e);
}

int layer_list_read(struct layer_list *out, const struct buf *text, struct err *e)
{
	AUTO_JSON *j = NULL;

	*out = (struct layer_list){ NULL, 0, 0 };
	if (json_read(&j, text->s, text->len, e) < 0)
		return -1;
	if (layers_read(out, j, e) == 0)
		return 0;
	vec_fini(out);
	return -1;
}

static bool same_layer(const struct layer *a, const struct layer *b)
{
	return digest_equal(&a->blob.digest, &b->blob.digest) &&
	       digest_equal(&a->toc, &b->toc) && a->blob.size == b->blob.size &&
	       a->remote == b->remote;
}

/* What stands on the same layers as others has not to look at them again. */
static bool layers_whole(struct store *s, const struct layer_list *l,
                         const struct result *below)
{
	size_t i = 0;

	while (below && i < l->len && i < below->layers.len &&
	       same_layer(&l->at[i], &below->layers.at[i]))
		i++;
	for (; i < l->len; i++)
		if (!layer_whole(s, &l->at[i]))
			return false;
	return true;
}

int result_load(struct store *s, const struct digest *key, const struct result *below,
                struct result *out, bool *gone, struct err *e)
{
	AUTO_BUF record = BUF_INIT;
	struct err odd;
	bool whole;
	int found = load(s, key, &record, e);

	if (gone)
		*gone = false;
	if (found <= 0)
		return found;
	/* A record that cannot be read is none: it is made anew. */
	if ((result_is_record(record.s, record.len)
	             ? result_decode(out, &record)
	             : result_read(out, &record, &odd)) < 0)
		return 0;
	whole = layers_whole(s, &out->layers, below);
	if (!whole)
		result_fini(out);
	if (gone)
		*gone = !whole;
	return whole;
}

void result_record(const struct result *r, struct buf *out)
{
	if (!result_encode(r, out))
		result_write(r, out);
}

int result_save(struct store *s, const struct digest *key, const struct result *r,
                struct err *e)
{
	AUTO_BUF record = BUF_INIT;

	result_record(r, &record);
	return state_put(s->state, STATE_RESULTS, key->b, DIGEST_SIZE, record.s,
	                 record.len, e);
}

int layer_list_load(struct store *s, const struct digest *key, struct layer_list *out,
                    struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	struct err odd;
	int found = load(s, key, &text, e);

	*out = (struct layer_list){ NULL, 0, 0 };
	if (found <= 0 || layer_list_read(out, &text, &odd) < 0)
		return found < 0 ? -1 : 0;
	if (layers_whole(s, out, NULL))
		return 1;
	vec_fini(out);
	return 0;
}

int layer_list_save(struct store *s, const struct digest *keys, size_t n,
                    const struct layer_list *l, struct err *e)
{
	AUTO_FREE struct state_change *all = mem_alloc((n + l->len + 1) * sizeof(*all));
	AUTO_BUF text = BUF_INIT;

	layer_list_write(l, &text);
	for (size_t i = 0; i < n; i++)
		all[i] = (struct state_change){ STATE_RESULTS, keys[i].b, DIGEST_SIZE,
			                        text.s, text.len };
	for (size_t i = 0; i < l->len; i++) {
		const struct layer *x = &l->at[i];

		if (!digest_is_zero(&x->toc) && !x->remote)
			all[n++] = (struct state_change){ STATE_LAYERS, x->diff_id.b,
				                          DIGEST_SIZE, x->toc.b,
				                          DIGEST_SIZE };
	}
	return state_change(s->state, all, n, e);
}

int layer_toc_known(struct store *s, const struct digest *diff_id, struct digest *toc,
                    struct err *e)
{
	AUTO_BUF data = BUF_INIT;
	int found = state_get(s->state, STATE_LAYERS, diff_id->b, DIGEST_SIZE, &data, e);

	if (found <= 0 || data.len != DIGEST_SIZE)
		return found < 0 ? -1 : 0;
	memcpy(toc->b, data.s, DIGEST_SIZE);
	return blobs_has(s->blobs, toc, NULL);
}

int layer_toc_record(struct store *s, const struct digest *diff_id,
                     const struct digest *toc, struct err *e)
{
	return state_put(s->state, STATE_LAYERS, diff_id->b, DIGEST_SIZE, toc->b,
	                 DIGEST_SIZE, e);
}
