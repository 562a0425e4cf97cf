/* From the library's finished tables to plain data. The library has checked what recipes
 * wrote, so that a field of a wrong type here is a mistake of ours. What a table's fields
 * mean is said in tables of fields. */
#include "lua/model.h"

#include <string.h>

#include "lua/state.h"

struct reader {
	lua_State *L;
	struct recipe *recipe;
	int targets; /* stack index of the table record → struct target * */
	struct {
		const char *given, *copy;
	} file; /* of the last place */
	/* What names were found to be: by their address, which is that of no other name
	 * while the records are there. */
	struct known {
		const char *name;
		const void *among, *is;
	} * known;
};

enum { KNOWN = 256 };

static struct known *known_slot(const struct reader *r, const char *name,
                                const void *among)
{
	uintptr_t mixed = (uintptr_t)name / 8 + (uintptr_t)among / 16;

	return &r->known[(mixed ^ mixed / KNOWN) % KNOWN];
}

/* Shared strings become many copies, so they count against the memory cap once more. */
static void *allot(const struct reader *r, size_t n)
{
	state_account(r->L, n);
	return arena_alloc(&r->recipe->arena, n);
}

static const char *copy_text(const struct reader *r)
{
	size_t n;
	const char *s = luaL_checklstring(r->L, -1, &n);

	return n ? memcpy(allot(r, n + 1), s, n + 1) : "";
}

static void read_fields(const struct reader *r, const struct field *f, void *out);

static void read_texts(const struct reader *r, struct strings *out)
{
	luaL_checktype(r->L, -1, LUA_TTABLE);
	out->n = lua_rawlen(r->L, -1);
	out->at = allot(r, out->n * sizeof(*out->at) + 1);
	for (size_t i = 0; i < out->n; i++) {
		lua_rawgeti(r->L, -1, (lua_Integer)i + 1);
		out->at[i] = copy_text(r);
		lua_pop(r->L, 1);
	}
}

static int compare_pairs(const void *a, const void *b)
{
	return strcmp(((const struct pair *)a)->key, ((const struct pair *)b)->key);
}

static void read_pairs(const struct reader *r, struct pairs *out)
{
	lua_State *L = r->L;
	size_t n = 0;

	luaL_checktype(L, -1, LUA_TTABLE);
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
		n++;
	out->at = allot(r, n * sizeof(*out->at) + 1);
	for (lua_pushnil(L); lua_next(L, -2);) {
		struct pair *p = &out->at[out->n++];

		p->value = copy_text(r);
		lua_pop(L, 1);
		p->key = copy_text(r);
	}
	qsort(out->at, out->n, sizeof(*out->at), compare_pairs);
}

static struct target *read_target(const struct reader *r)
{
	struct target *t;

	lua_pushvalue(r->L, -1);
	lua_rawget(r->L, r->targets);
	t = lua_touserdata(r->L, -1);
	lua_pop(r->L, 1);
	if (!t)
		luaL_error(r->L, "a target that is not in the list");
	return t;
}

static size_t read_targets(const struct reader *r, struct target ***out)
{
	size_t n;

	luaL_checktype(r->L, -1, LUA_TTABLE);
	n = lua_rawlen(r->L, -1);
	*out = allot(r, n * sizeof(**out) + 1);
	for (size_t i = 0; i < n; i++) {
		lua_rawgeti(r->L, -1, (lua_Integer)i + 1);
		(*out)[i] = read_target(r);
		lua_pop(r->L, 1);
	}
	return n;
}

static json_t *read_json(const struct reader *r)
{
	size_t n;
	const char *text = luaL_checklstring(r->L, -1, &n);
	json_t *j = NULL;
	struct err e;

	state_account(r->L, n * 8);
	if (json_read(&j, text, n, &e) < 0)
		luaL_error(r->L, "%s", e.msg);
	json_array_append_new(r->recipe->json, j);
	return j;
}

static unsigned read_word(const struct reader *r, const char *const *words)
{
	const char *s = luaL_checkstring(r->L, -1);
	struct known *k = known_slot(r, s, words);
	const char *const *w = words;

	if (k->name != s || k->among != words) {
		while (*w && strcmp(*w, s) != 0)
			w++;
		if (!*w)
			luaL_error(r->L, "unknown word '%s'", s);
		*k = (struct known){ s, words, w };
	}
	w = k->is;
	return (unsigned)(w - words);
}

static size_t read_rows(const struct reader *r, const struct rows *rows, void **out)
{
	size_t n;

	luaL_checktype(r->L, -1, LUA_TTABLE);
	luaL_checkstack(r->L, 10, "recipe");
	n = lua_rawlen(r->L, -1);
	*out = allot(r, n * rows->size + 1);
	for (size_t i = 0; i < n; i++) {
		lua_rawgeti(r->L, -1, (lua_Integer)i + 1);
		read_fields(r, rows->fields, (char *)*out + i * rows->size);
		lua_pop(r->L, 1);
	}
	return n;
}

static void set_absent(const struct field *f, char *at)
{
	if (f->type == TEXT)
		*(const char **)at = "";
	else if (f->type == MODE)
		*(int *)at = -1;
	else if (f->type == TIME)
		*(int64_t *)at = -1;
}

/* The value is on top of the stack. `out` is zeroed. */
static void read_field(const struct reader *r, const struct field *f, char *out)
{
	char *at = out + f->at;
	size_t *count = (size_t *)(void *)(out + f->count);

	switch (f->type) {
	case TEXT:
	case OPT_TEXT: *(const char **)at = copy_text(r); break;
	case BYTES:
		*(const void **)at = copy_text(r);
		*count = lua_rawlen(r->L, -1);
		break;
	case TEXTS: read_texts(r, (struct strings *)at); break;
	case PAIRS: read_pairs(r, (struct pairs *)at); break;
	case BOOL: *(bool *)at = lua_toboolean(r->L, -1); break;
	case MODE: *(int *)at = (int)luaL_checkinteger(r->L, -1); break;
	case INT64:
	case TIME: *(int64_t *)at = luaL_checkinteger(r->L, -1); break;
	case WORD: *(unsigned *)at = read_word(r, f->more); break;
	case TARGET: *(struct target **)at = read_target(r); break;
	case TARGETS: *count = read_targets(r, (struct target ***)at); break;
	case JSON: *(json_t **)at = read_json(r); break;
	case ROWS: *count = read_rows(r, f->more, (void **)at); break;
	}
}

/* NULL: it is none of them. */
static const struct field *find_field(const struct reader *r, const struct field *f,
                                      const char *name)
{
	struct known *k = known_slot(r, name, f);

	if (k->name != name || k->among != f) {
		*k = (struct known){ name, f, NULL };
		while (f->name && strcmp(f->name, name) != 0)
			f++;
		k->is = f->name ? f : NULL;
	}
	return k->is;
}

/* The table is on top of the stack. It has few of the fields that it may have, so they
 * are what is gone through. */
static void read_fields(const struct reader *r, const struct field *f, void *out)
{
	const struct field *found;
	lua_State *L = r->L;
	const char *name;

	luaL_checktype(L, -1, LUA_TTABLE);
	for (const struct field *x = f; x->name; x++)
		set_absent(x, (char *)out + x->at);
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
		name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
		found = name ? find_field(r, f, name) : NULL;
		if (found)
			read_field(r, found, out);
	}
}

/* Most records come from one file. */
static void read_place(struct reader *r, struct place *p)
{
	const char *file;

	lua_getfield(r->L, -1, "file");
	file = lua_isnil(r->L, -1) ? "" : luaL_checkstring(r->L, -1);
	if (file != r->file.given) {
		r->file.given = file;
		r->file.copy = *file ? copy_text(r) : "";
	}
	p->file = r->file.copy;
	lua_pop(r->L, 1);
	lua_getfield(r->L, -1, "line");
	p->line = (int)luaL_optinteger(r->L, -1, 0);
	lua_pop(r->L, 1);
}

static void read_steps(struct reader *r, struct step **out, size_t *n);

static void read_step(struct reader *r, struct step *s)
{
	lua_getfield(r->L, -1, "kind");
	s->kind = read_word(r, model_step_words);
	lua_pop(r->L, 1);
	read_place(r, &s->place);
	if (s->kind == STEP_LAYER)
		read_steps(r, &s->layer.at, &s->layer.n);
	else
		read_fields(r, model_step_fields[s->kind], s);
}

/* The record with `steps` is on top of the stack. */
static void read_steps(struct reader *r, struct step **out, size_t *n)
{
	lua_getfield(r->L, -1, "steps");
	if (!lua_isnil(r->L, -1)) {
		luaL_checkstack(r->L, 10, "recipe");
		*n = lua_rawlen(r->L, -1);
		*out = allot(r, *n * sizeof(**out) + 1);
		for (size_t i = 0; i < *n; i++) {
			lua_rawgeti(r->L, -1, (lua_Integer)i + 1);
			read_step(r, &(*out)[i]);
			lua_pop(r->L, 1);
		}
	}
	lua_pop(r->L, 1);
}

static struct publish *read_publish(struct reader *r)
{
	struct publish *p = NULL;

	lua_getfield(r->L, -1, "publish");
	if (!lua_isnil(r->L, -1)) {
		p = allot(r, sizeof(*p));
		read_fields(r, model_publish_fields, p);
		read_place(r, &p->place);
	}
	lua_pop(r->L, 1);
	return p;
}

static void read_target_record(struct reader *r, struct target *t)
{
	lua_getfield(r->L, -1, "kind");
	t->kind = read_word(r, model_target_words);
	lua_pop(r->L, 1);
	read_place(r, &t->place);
	read_fields(r, model_target_fields, t);
	if (t->compression == CODEC_NONE)
		t->compression = CODEC_GZIP;
	t->publish = read_publish(r);
	read_steps(r, &t->steps, &t->n_steps);
}

/* Makes the targets, still empty, and the table by which records find them. */
static void make_targets(struct reader *r, int list)
{
	struct recipe *rec = r->recipe;

	rec->n_targets = lua_rawlen(r->L, list);
	lua_createtable(r->L, 0, (int)rec->n_targets);
	r->targets = lua_gettop(r->L);
	rec->targets = allot(r, rec->n_targets * sizeof(*rec->targets) + 1);
	for (size_t i = 0; i < rec->n_targets; i++) {
		struct target *t = allot(r, sizeof(*t));

		t->index = i;
		rec->targets[i] = t;
		lua_rawgeti(r->L, list, (lua_Integer)i + 1);
		lua_pushlightuserdata(r->L, t);
		lua_rawset(r->L, r->targets);
	}
}

static void read_variables(struct reader *r)
{
	struct recipe *rec = r->recipe;
	void *rows = NULL;

	rec->n_variables = read_rows(
		r, &(struct rows){ model_variable_fields, sizeof(struct variable) },
		&rows);
	rec->variables = rows;
	for (size_t i = 0; i < rec->n_variables; i++) {
		lua_rawgeti(r->L, -1, (lua_Integer)i + 1);
		read_place(r, &rec->variables[i].place);
		lua_pop(r->L, 1);
	}
}

void model_read(lua_State *L, int model)
{
	struct known known[KNOWN] = { { NULL, NULL, NULL } };
	struct reader r = { .L = L, .recipe = eval_of(L)->recipe, .known = known };
	int list;

	lua_getfield(L, model, "targets");
	list = lua_gettop(L);
	make_targets(&r, list);
	for (size_t i = 0; i < r.recipe->n_targets; i++) {
		lua_rawgeti(L, list, (lua_Integer)i + 1);
		read_target_record(&r, r.recipe->targets[i]);
		lua_pop(L, 1);
	}
	lua_getfield(L, model, "defaults");
	r.recipe->n_defaults = read_targets(&r, &r.recipe->defaults);
	lua_getfield(L, model, "variables");
	read_variables(&r);
	lua_getfield(L, model, "settings");
	lua_getfield(L, -1, "cache");
	if (!lua_isnil(L, -1))
		r.recipe->cache = copy_text(&r);
	lua_getfield(L, model, "text");
	if (!lua_isnil(L, -1))
		r.recipe->text = copy_text(&r);
	lua_pop(L, 7);
}
