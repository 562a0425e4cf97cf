#include "build/key.h"

#include <string.h>

void key_init(struct key *k, struct arena *a)
{
	*k = (struct key){ .arena = a, .scope = "" };
	hasher_init(&k->hash);
}

void key_fini(struct key *k)
{
	hasher_drop(&k->hash);
	vec_fini(&k->parts);
	vec_fini(&k->many);
}

void key_scope(struct key *k, const char *scope)
{
	k->scope = arena_strdup(k->arena, scope);
}

static void add_part(struct key *k, const char *name, const char *text,
                     const struct digest *d)
{
	struct component c = { .digest = *d };

	c.name = arena_printf(k->arena, "%s%s", k->scope, name);
	if (text && strlen(text) <= 200)
		c.text = arena_strdup(k->arena, text);
	vec_push(&k->parts, c);
}

static void add(struct key *k, const char *name, const char *text, const struct digest *d)
{
	add_part(k, name, text, d);
	/* The scope stays out of the hash: it is for people. */
	hasher_str(&k->hash, name);
	hasher_digest(&k->hash, d);
}

void key_str(struct key *k, const char *name, const char *value)
{
	struct digest d = { { 0 } }; /* NULL: no text has this digest */

	if (value)
		digest_of(&d, value, strlen(value));
	add(k, name, value, &d);
}

void key_int(struct key *k, const char *name, int64_t value)
{
	key_str(k, name, arena_printf(k->arena, "%lld", (long long)value));
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

void key_many(struct key *k, const char *name, const struct digest *whole,
              void (*list)(const void *self, struct key *k), const void *self)
{
	struct key_many m = { k->parts.len, k->scope, list, self };

	add(k, name, NULL, whole);
	vec_push(&k->many, m);
}

void key_name(struct key *k, const char *name, const struct digest *d)
{
	add_part(k, name, NULL, d);
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
	k->many.len = 0;
	k->scope = scope;
	*n = k->parts.len;
	return k->parts.at;
}

void key_value(const struct key *k, struct digest *out)
{
	struct hasher copy;

	hasher_copy(&copy, &k->hash);
	hasher_end(&copy, out);
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

int components_decode(struct arena *a, const void *data, size_t n, struct component **out,
                      size_t *count, struct err *e)
{
	const char *p = data, *end = p + n;
	uint64_t claimed = 0;

	if (n < 8)
		goto bad;
	for (int i = 7; i >= 0; i--)
		claimed = claimed << 8 | (uint8_t)p[i];
	p += 8;
	if (claimed > n / (8 + DIGEST_SIZE))
		goto bad;
	*count = (size_t)claimed;
	*out = arena_alloc(a, *count * sizeof(**out));
	for (size_t i = 0; i < *count; i++) {
		struct component *c = &(*out)[i];

		if (!take_text(&p, end, &c->name) || !c->name ||
		    !take_text(&p, end, &c->text) || end - p < DIGEST_SIZE)
			goto bad;
		memcpy(c->digest.b, p, DIGEST_SIZE);
		p += DIGEST_SIZE;
	}
	return 0;
bad:
	return err_set(e, ERR_CORRUPT, "a record of the store's state is damaged");
}
