/* What changes a target without being an argument of it: variables, files that the recipe
 * has read, and the ignore file. They are in no key, and kept so that `why` can name them
 * beside what they changed. */
#include "build/why_notes.h"

#include <string.h>

#include "build/fileset.h"
#include "store/state.h"

/* Those of the whole project are the same for all targets that one build makes, so a
 * target's record holds their digest: "root\0\0digest" → components. */
static void notes_key(const struct build *b, const struct digest *d, struct buf *out)
{
	buf_adds(out, b->recipe->root);
	buf_add(out, "\0", 2);
	buf_add(out, d->b, DIGEST_SIZE);
}

static void add_variable(struct key *k, const struct variable *v)
{
	struct component c = { .text = v->value };

	if (!v->value)
		return;
	digest_of(&c.digest, v->value, strlen(v->value));
	key_name(k, arena_printf(k->arena, "variable %s", v->name), &c);
}

/* What a recipe says itself shows in arguments. */
static bool is_read(const struct input *in)
{
	return strncmp(in->what, "recipe ", 7) != 0;
}

void notes_list(const struct build *b, struct key *k)
{
	const struct recipe *r = b->recipe;

	for (size_t i = 0; i < r->n_variables; i++)
		add_variable(k, &r->variables[i]);
	for (size_t i = 0; i < r->n_inputs; i++)
		if (is_read(&r->inputs[i]))
			key_name(k, r->inputs[i].what,
			         &(struct component){ .digest = r->inputs[i].digest });
}

int notes_keep(struct build *b, struct digest *out, struct err *e)
{
	AUTO(arena_fini) struct arena a = ARENA_INIT;
	AUTO(key_fini) struct key k;
	AUTO_BUF data = BUF_INIT, key = BUF_INIT, known = BUF_INIT;
	struct state *s = b->o.store->state;
	int found;

	key_init(&k, &a);
	notes_list(b, &k);
	components_encode(k.parts.at, k.parts.len, &data);
	digest_of(out, data.s, data.len);
	notes_key(b, out, &key);
	found = state_get(s, STATE_TARGETS, key.s, key.len, &known, e);
	if (found != 0)
		return found < 0 ? -1 : 0;
	return state_put(s, STATE_TARGETS, key.s, key.len, data.s, data.len, e);
}

int notes_load(const struct build *b, const struct digest *d, struct arena *a,
               struct record *out, struct err *e)
{
	AUTO_BUF data = BUF_INIT, key = BUF_INIT;
	int found;

	notes_key(b, d, &key);
	found = state_get(b->o.store->state, STATE_TARGETS, key.s, key.len, &data, e);
	if (found <= 0)
		return found;
	return components_decode(a, arena_memdup(a, data.s, data.len), data.len,
	                         &out->parts, &out->n);
}

void note_ignore_file(const struct node *n, struct key *k)
{
	const struct context *c = n->context;
	struct component shown = { NULL };

	if (!c || !c->ignore_name)
		return;
	shown.digest = c->ignore_digest;
	key_name(k, arena_printf(k->arena, "%cignore file %s", NOTE, c->ignore_name),
	         &shown);
}
