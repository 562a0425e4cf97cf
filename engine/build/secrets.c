#include "build/secrets.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "os/file.h"

enum {
	SECRET_MAX = 1 << 20,
	REDACTED_MIN = 4, /* shorter ones would take innocent text out, and are no secrets
	                   */
};

/* It becomes a file's name: as recipes may write it. */
static bool is_name(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '_' &&
		    (!i || !strchr("_.-", s[i])))
			return false;
	return n > 0;
}

static int load_one(struct secrets *s, const char *text, struct err *e)
{
	const char *eq = strchr(text, '=');
	struct secret x = { .value = BUF_INIT };
	const char *value;
	int rc = 0;

	if (!eq || eq == text || !eq[1])
		return err_set(
			e, ERR_INVALID,
			"--secret %s: write ID=FILE, or ID=env:NAME for a variable",
			text);
	if (!is_name(text, (size_t)(eq - text)))
		return err_set(
			e, ERR_INVALID,
			"--secret: '%.*s' is no name of a secret (letters, digits, "
			"and _ . - behind the first)",
			(int)(eq - text), text);
	x.id = mem_strndup(text, (size_t)(eq - text));
	for (size_t i = 0; i < s->list.len; i++)
		if (!strcmp(s->list.at[i].id, x.id)) {
			err_set(e, ERR_INVALID, "--secret %s is given twice", x.id);
			free(x.id);
			return -1;
		}
	if (!strncmp(eq + 1, "env:", 4)) {
		value = getenv(eq + 5);
		if (value)
			buf_adds(&x.value, value);
		else
			rc = err_set(e, ERR_NOT_FOUND,
			             "--secret %s: the variable %s is not set", x.id,
			             eq + 5);
	} else {
		rc = file_read(AT_FDCWD, eq + 1, &x.value, SECRET_MAX, e);
		if (rc < 0)
			err_wrap(e, "--secret %s", x.id);
	}
	vec_push(&s->list, x);
	return rc;
}

int secrets_load(struct secrets *s, const struct strlist *given, struct err *e)
{
	for (size_t i = 0; i < given->len; i++)
		if (load_one(s, given->at[i], e) < 0)
			return -1;
	return 0;
}

void secrets_fini(struct secrets *s)
{
	for (size_t i = 0; i < s->list.len; i++) {
		struct secret *x = &s->list.at[i];

		if (x->value.cap)
			explicit_bzero(x->value.s, x->value.cap);
		buf_fini(&x->value);
		free(x->id);
	}
	vec_fini(&s->list);
}

int secrets_get(const struct secrets *s, const char *id, const struct secret **out,
                struct err *e)
{
	for (size_t i = 0; s && i < s->list.len; i++) {
		if (strcmp(s->list.at[i].id, id) != 0)
			continue;
		*out = &s->list.at[i];
		return 0;
	}
	return err_set(e, ERR_NOT_FOUND,
	               "secret '%s' was not given; add --secret %s=FILE", id, id);
}

/* Length of a secret, or of a line of one, that stands at `text`; 0: none. */
static size_t secret_at(const struct secret *x, const char *text, size_t n)
{
	const char *p = x->value.s, *end = p + x->value.len;

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t len = (size_t)((nl ? nl : end) - p);

		if (len >= REDACTED_MIN && len <= n && !memcmp(p, text, len))
			return len;
		p += len + 1;
	}
	return 0;
}

void secrets_redact(const struct secrets *s, const char *text, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n;) {
		size_t len = 0;

		for (size_t k = 0; s && !len && k < s->list.len; k++)
			len = secret_at(&s->list.at[k], text + i, n - i);
		if (len)
			buf_adds(out, "***");
		else
			buf_addc(out, text[i]);
		i += len ? len : 1;
	}
}
