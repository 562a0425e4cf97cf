#include "base/json.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* jansson recurses to its own limit of 2048; ours is smaller, so it is checked on the
 * text first: brackets outside strings. */
static atomic_int depth_limit = JSON_DEPTH_MAX;

void json_limit_depth(int depth)
{
	atomic_store(&depth_limit, depth < JSON_DEPTH_MOST ? depth : JSON_DEPTH_MOST);
}

static bool too_deep(const char *text, size_t n, int most)
{
	bool in_string = false;
	int depth = 0;

	for (size_t i = 0; i < n; i++) {
		char c = text[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			if (++depth > most)
				return true;
		} else if (c == '}' || c == ']') {
			depth--;
		}
	}
	return false;
}

static _Thread_local bool wiping;

/* jansson copies what it reads into buffers that grow. */
static void free_wiped(void *p)
{
	if (wiping && p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

static void wipe_when_told(void)
{
	json_set_alloc_funcs(malloc, free_wiped);
}

int json_read_secret(json_t **out, const char *text, size_t n, struct err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	int rc;

	pthread_once(&once, wipe_when_told);
	wiping = true;
	rc = json_read(out, text, n, e);
	wiping = false;
	return rc;
}

/* jansson quotes what it stumbles over, which in a file of secrets is one of them. */
static int not_valid(json_error_t *why, struct err *e)
{
	char *quoted = wiping ? strstr(why->text, " near ") : NULL;

	if (quoted)
		explicit_bzero(quoted, strlen(quoted));
	return err_set(e, ERR_INVALID, "not valid JSON: line %d, column %d: %s",
	               why->line, why->column, why->text);
}

int json_read(json_t **out, const char *text, size_t n, struct err *e)
{
	int most = atomic_load(&depth_limit);
	json_error_t why;

	if (too_deep(text, n, most))
		return err_set(e, ERR_LIMIT, "JSON nested deeper than %d", most);
	*out = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
	return *out ? 0 : not_valid(&why, e);
}

static int add_chunk(const char *data, size_t n, void *b)
{
	buf_add(b, data, n);
	return 0;
}

void json_write(struct buf *b, const json_t *j)
{
	json_dump_callback(j, add_chunk, b, JSON_COMPACT | JSON_ENCODE_ANY);
}

void json_write_pretty(struct buf *b, const json_t *j)
{
	json_dump_callback(j, add_chunk, b,
	                   JSON_INDENT(2) | JSON_SORT_KEYS | JSON_ENCODE_ANY);
	buf_addc(b, '\n');
}

static int wrong(struct err *e, const char *key, const char *want)
{
	return err_set(e, ERR_INVALID, "member '%s' is not %s", key, want);
}

/* 1: present and of the type, 0: absent, -1: error. */
static int member(const json_t *j, const char *key, bool need, json_type type,
                  const char *want, json_t **out, struct err *e)
{
	json_t *m = json_is_object(j) ? json_object_get(j, key) : NULL;

	if (!m || json_is_null(m))
		return need ? err_set(e, ERR_INVALID, "member '%s' is missing", key) : 0;
	if (json_typeof(m) != type)
		return wrong(e, key, want);
	*out = m;
	return 1;
}

int json_member_str(const json_t *j, const char *key, bool need, const char **out,
                    struct err *e)
{
	json_t *m = NULL;
	int found = member(j, key, need, JSON_STRING, "a string", &m, e);

	if (found > 0) {
		if (strlen(json_string_value(m)) != json_string_length(m))
			return wrong(e, key, "a string without NUL");
		*out = json_string_value(m);
	}
	return found < 0 ? -1 : 0;
}

int json_member_int(const json_t *j, const char *key, bool need, int64_t *out,
                    struct err *e)
{
	json_t *m = NULL;
	int found = member(j, key, need, JSON_INTEGER, "an integer", &m, e);

	if (found > 0)
		*out = json_integer_value(m);
	return found < 0 ? -1 : 0;
}

int json_member_bool(const json_t *j, const char *key, bool *out, struct err *e)
{
	json_t *m = json_is_object(j) ? json_object_get(j, key) : NULL;

	if (!m || json_is_null(m))
		return 0;
	if (!json_is_boolean(m))
		return wrong(e, key, "true or false");
	*out = json_is_true(m);
	return 0;
}

int json_member_object(const json_t *j, const char *key, bool need, json_t **out,
                       struct err *e)
{
	return member(j, key, need, JSON_OBJECT, "an object", out, e) < 0 ? -1 : 0;
}

int json_member_array(const json_t *j, const char *key, bool need, json_t **out,
                      struct err *e)
{
	return member(j, key, need, JSON_ARRAY, "a list", out, e) < 0 ? -1 : 0;
}

json_t *json_utf8(const char *s)
{
	json_t *j = json_string(s);
	AUTO_BUF b = BUF_INIT;

	if (j)
		return j;
	while (*s) {
		size_t n = 1;

		/* The longest valid character, at most four bytes. */
		while (n < 4 && s[n] && ((unsigned char)s[n] & 0xc0) == 0x80)
			n++;
		j = json_stringn(s, n);
		buf_add(&b, j ? s : "\xef\xbf\xbd", j ? n : 3);
		json_decref(j);
		s += n;
	}
	return json_string(b.s);
}
