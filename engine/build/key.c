#include "build/key.h"

#include <string.h>

#include "base/amount.h"

enum { PENDING_MAX = 8 * 1024 };

bool component_same(const struct component *a, const struct component *b)
{
	return digest_equal(&a->digest, &b->digest) && !a->text == !b->text;
}

void key_init(struct key *k, struct arena *a)
{
	*k = (struct key){ .arena = a, .scope = "", .pending = BUF_INIT };
}

void key_fini(struct key *k)
{
	if (k->hash)
		hasher_drop(k->hash);
	free(k->hash);
	k->hash = NULL;
	buf_fini(&k->pending);
	vec_fini(&k->parts);
	vec_fini(&k->many);
}

void key_scope(struct key *k, const char *scope)
{
	k->scope = scope;
}

static void add_part(struct key *k, const char *name, const char *text,
                     const struct digest *d)
{
	struct component c = { .scope = k->scope, .name = name, .digest = *d };

	if (text && strlen(text) <= 200)
		c.text = arena_strdup(k->arena, text);
	vec_push(&k->parts, c);
}

static void hash_pending(struct key *k)
{
	if (!k->hash) {
		k->hash = mem_alloc(sizeof(*k->hash));
		hasher_init(k->hash);
	}
	hasher_add(k->hash, k->pending.s, k->pending.len);
	buf_reset(&k->pending);
}

/* As hasher_str and hasher_digest have it. The scope stays out of the hash: it is for
 * people. */
static void add(struct key *k, const char *name, const char *text, const struct digest *d)
{
	size_t n = strlen(name);

	add_part(k, name, text, d);
	if (!k->pending.cap)
		buf_reserve(&k->pending, 1000);
	buf_add_u64(&k->pending, n);
	buf_add(&k->pending, name, n);
	buf_add_u64(&k->pending, DIGEST_SIZE);
	buf_add(&k->pending, d->b, DIGEST_SIZE);
	if (k->pending.len > PENDING_MAX)
		hash_pending(k);
}

/* The same few values come again and again: kinds, versions, modes, owners. One table a
 * thread, so that none waits for another. */
struct known_value {
	char text[24];
	size_t n; /* its length and one; 0: none */
	struct digest digest;
};

static void value_digest(const char *text, struct digest *d)
{
	static _Thread_local struct known_value known[64];
	size_t n = strlen(text), slot = n;
	struct known_value *v;

	if (n > sizeof(v->text)) {
		digest_of(d, text, n);
		return;
	}
	for (const char *c = text; *c; c++)
		slot = slot * 31 + (unsigned char)*c;
	v = &known[slot % ARRAY_LEN(known)];
	if (v->n != n + 1 || memcmp(v->text, text, n) != 0) {
		digest_of(&v->digest, text, n);
		memcpy(v->text, text, n);
		v->n = n + 1;
	}
	*d = v->digest;
}

void key_str(struct key *k, const char *name, const char *value)
{
	struct digest d = { { 0 } }; /* NULL: no text has this digest */

	if (value)
		value_digest(value, &d);
	add(k, name, value, &d);
}

void key_int(struct key *k, const char *name, int64_t value)
{
	char text[INT_TEXT];

	key_str(k, name, int_text(value, text));
}

void key_strings(struct key *k, const char *name, const char *const *at, size_t n)
{
	AUTO_BUF joined = BUF_INIT, shown = BUF_INIT;
	struct digest d;

	for (size_t i = 0; i < n; i++) {
		buf_add_str(&joined, at[i], strlen(at[i]));
		buf_addf(&shown, "%s%s", i ? " " : "", at[i]);
	}
	digest_of(&d, joined.s, joined.len);
	add(k, name, shown.s, &d);
}

void key_digest(struct key *k, const char *name, const struct digest *d)
{
	add(k, name, NULL, d);
}

void key_shown(struct key *k, const char *name, const struct digest *d, const char *text)
{
	add(k, name, text, d);
}

void key_many(struct key *k, const char *name, const struct digest *whole,
              void (*list)(const void *self, struct key *k), const void *self)
{
	struct key_many m = { k->parts.len, k->scope, list, self };

	add(k, name, NULL, whole);
	vec_push(&k->many, m);
}

void key_name(struct key *k, const char *name, const struct component *shown)
{
	add_part(k, name, shown->text, &shown->digest);
}

static void whole_name(struct key *k, struct component *c)
{
	if (*c->scope)
		c->name = arena_concat(k->arena, c->scope, c->name);
	c->scope = "";
}

const struct component *key_components(struct key *k, size_t *n)
{
	const char *scope = k->scope;
	AUTO_FREE struct component *parts = k->parts.at;
	size_t len = k->parts.len;

	memset(&k->parts, 0, sizeof(k->parts));
	for (size_t i = 0, next = 0; i < len; i++) {
		if (next == k->many.len || k->many.at[next].at != i) {
			vec_push(&k->parts, parts[i]);
			continue;
		}
		k->scope = k->many.at[next].scope;
		k->many.at[next].list(k->many.at[next].self, k);
		next++;
	}
	for (size_t i = 0; i < k->parts.len; i++)
		whole_name(k, &k->parts.at[i]);
	k->many.len = 0;
	k->scope = scope;
	*n = k->parts.len;
	return k->parts.at;
}

void key_value(struct key *k, struct digest *out)
{
	struct hasher copy;

	hash_pending(k);
	hasher_copy(&copy, k->hash);
	hasher_end(&copy, out);
}

void key_end(struct key *k, struct digest *out)
{
	if (k->hash) {
		hash_pending(k);
		hasher_end(k->hash, out);
		free(k->hash);
		k->hash = NULL;
	} else {
		digest_of(out, k->pending.s, k->pending.len);
	}
	buf_fini(&k->pending);
}

static void add_text(struct buf *out, const char *s)
{
	if (s)
		buf_add_str(out, s, strlen(s) + 1); /* with its NUL: decoding borrows it
		                                     */
	else
		buf_add_u32(out, 0);
}

void components_encode(const struct component *c, size_t n, struct buf *out)
{
	buf_add_u64(out, n);
	for (size_t i = 0; i < n; i++) {
		add_text(out, c[i].name);
		add_text(out, c[i].text);
		buf_add(out, c[i].digest.b, DIGEST_SIZE);
	}
}

static bool take_text(const char **p, const char *end, const char **out)
{
	uint32_t n;

	if (end - *p < 4)
		return false;
	n = (uint32_t)(uint8_t)(*p)[0] | (uint32_t)(uint8_t)(*p)[1] << 8 |
	    (uint32_t)(uint8_t)(*p)[2] << 16 | (uint32_t)(uint8_t)(*p)[3] << 24;
	*p += 4;
	if (n > (size_t)(end - *p) || (n && (*p)[n - 1] != '\0'))
		return false;
	*out = n ? *p : NULL;
	*p += n;
	return true;
}

bool components_decode(struct arena *a, const void *data, size_t n,
                       struct component **out, size_t *count)
{
	const char *p = data, *end = p + n;
	uint64_t claimed = 0;

	if (n < 8)
		return false;
	for (int i = 7; i >= 0; i--)
		claimed = claimed << 8 | (uint8_t)p[i];
	p += 8;
	if (claimed > n / (8 + DIGEST_SIZE))
		return false;
	*count = (size_t)claimed;
	*out = arena_alloc(a, *count * sizeof(**out));
	for (size_t i = 0; i < *count; i++) {
		struct component *c = &(*out)[i];

		c->scope = "";
		if (!take_text(&p, end, &c->name) || !c->name ||
		    !take_text(&p, end, &c->text) || end - p < DIGEST_SIZE)
			return false;
		memcpy(c->digest.b, p, DIGEST_SIZE);
		p += DIGEST_SIZE;
	}
	return true;
}
