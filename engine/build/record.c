#include <string.h>

#include "build/why_notes.h"
#include "store/state.h"

static void target_key(const struct recipe *r, const struct target *t, struct buf *out)
{
	buf_adds(out, r->root);
	buf_addc(out, '\0');
	buf_adds(out, t->name);
}

static void node_key(const struct node *n, struct buf *out)
{
	char platform[100];

	target_key(n->build->recipe, n->target, out);
	buf_addc(out, '\0');
	buf_adds(out, platform_text(&n->platform, platform));
}

static void last_key(const struct node *n, struct buf *out)
{
	node_key(n, out);
	buf_add(out, "\0why", 4);
}

struct reasons {
	struct buf text;
	size_t n;
};

enum { REASONS_KEPT = 20 };

static void keep_reason(void *self, const char *name, const char *was, const char *is)
{
	struct reasons *r = self;

	if (r->n++ == REASONS_KEPT)
		buf_adds(&r->text, "  and more\n");
	if (r->n > REASONS_KEPT)
		return;
	buf_adds(&r->text, "  ");
	build_tell(&r->text, name, was, is);
}

/* What made it be built is only known until the components are replaced. */
static int keep_reasons(struct node *n, struct err *e)
{
	struct reasons r = { .text = BUF_INIT };
	AUTO_BUF key = BUF_INIT;
	int rc;

	last_key(n, &key);
	rc = why_node(n, keep_reason, &r, e);
	if (rc == 0)
		rc = state_put(n->build->o.store->state, STATE_TARGETS, key.s, key.len,
		               r.text.s, r.text.len, e);
	buf_fini(&r.text);
	return rc;
}

int build_why_last(struct build *b, const struct target *t, struct buf *out,
                   struct err *e)
{
	AUTO_BUF key = BUF_INIT, text = BUF_INIT;
	const struct node *n = nodes_of(b, t);

	if (n) {
		last_key(n, &key);
		if (state_get(b->o.store->state, STATE_TARGETS, key.s, key.len, &text,
		              e) < 0)
			return -1;
	}
	if (text.len)
		buf_adds(out, "; it was made last because of:\n");
	else
		buf_addc(out, '\n');
	buf_add(out, text.s, text.len);
	return 0;
}

/* The key's, then what is noted beside them. */
static int encode_parts(struct node *n, struct buf *out, struct err *e)
{
	struct component notes = { .name = NOTE_PROJECT };
	struct key *k = &n->key;

	if (n->build->notes_kept) {
		notes.digest = n->build->notes;
	} else {
		if (notes_keep(n->build, &notes.digest, e) < 0)
			return -1;
		n->build->notes = notes.digest;
		n->build->notes_kept = true;
	}
	(void)key_components(k, &(size_t){ 0 });
	key_name(k, notes.name, &notes);
	note_ignore_file(n, k);
	components_encode(k->parts.at, k->parts.len, out);
	return 0;
}

/* Plan key, then components. Unchanged records are not written again: a no-change build
 * writes nothing. */
int record_target(struct node *n, struct err *e)
{
	AUTO_BUF key = BUF_INIT, old = BUF_INIT, record = BUF_INIT;
	struct state *s = n->build->o.store->state;
	int found;

	node_key(n, &key);
	found = state_get(s, STATE_TARGETS, key.s, key.len, &old, e);
	if (found < 0)
		return -1;
	if (found && old.len >= DIGEST_SIZE && !memcmp(old.s, n->plan_key.b, DIGEST_SIZE))
		return 0;
	if (keep_reasons(n, e) < 0)
		return -1;
	buf_add(&record, n->plan_key.b, DIGEST_SIZE);
	if (encode_parts(n, &record, e) < 0)
		return -1;
	return state_put(s, STATE_TARGETS, key.s, key.len, record.s, record.len, e);
}

int record_components(const struct node *n, struct arena *a, struct record *out,
                      struct err *e)
{
	AUTO_BUF key = BUF_INIT, record = BUF_INIT;
	const char *kept;
	int found;

	node_key(n, &key);
	found = state_get(n->build->o.store->state, STATE_TARGETS, key.s, key.len,
	                  &record, e);
	if (found <= 0)
		return found;
	if (record.len < DIGEST_SIZE)
		return 0;
	memcpy(out->plan_key.b, record.s, DIGEST_SIZE);
	kept = arena_memdup(a, record.s + DIGEST_SIZE, record.len - DIGEST_SIZE);
	return components_decode(a, kept, record.len - DIGEST_SIZE, &out->parts, &out->n);
}

int record_image(struct build *b, const struct target *t, const struct descriptor *d,
                 struct err *e)
{
	AUTO_BUF key = BUF_INIT, old = BUF_INIT, text = BUF_INIT;
	AUTO_JSON *j = NULL;
	int found;

	target_key(b->recipe, t, &key);
	found = state_get(b->o.store->state, STATE_IMAGES, key.s, key.len, &old, e);
	if (found < 0)
		return -1;
	/* All else that is said of an image follows from its digest. */
	if (found && strstr(old.s, DIGEST_STR(&d->digest)))
		return 0;
	j = descriptor_json(d);
	json_write(&text, j);
	return state_put(b->o.store->state, STATE_IMAGES, key.s, key.len, text.s,
	                 text.len, e);
}

/* Of those that were found; all at once, since each by itself would wait for the disk. */
int record_results(struct build *b, struct err *e)
{
	AUTO_FREE struct state_change *changes = NULL;
	AUTO_FREE struct buf *records = NULL;
	size_t n = 0;
	int rc;

	for (size_t i = 0; i < b->nodes.len; i++)
		n += b->nodes.at[i]->noted;
	if (!n || b->o.dry_run)
		return 0;
	changes = mem_alloc(n * sizeof(*changes));
	records = mem_alloc(n * sizeof(*records));
	n = 0;
	for (size_t i = 0; i < b->nodes.len; i++) {
		struct node *x = b->nodes.at[i];

		if (!x->noted)
			continue;
		records[n] = (struct buf)BUF_INIT;
		result_record(&x->result, &records[n]);
		changes[n] =
			(struct state_change){ STATE_RESULTS, x->plan_key.b, DIGEST_SIZE,
			                       records[n].s, records[n].len };
		x->noted = false;
		n++;
	}
	rc = state_change(b->o.store->state, changes, n, e);
	for (size_t i = 0; i < n; i++)
		buf_fini(&records[i]);
	return rc;
}
