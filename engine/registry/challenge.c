#include "registry/challenge.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"

void challenge_fini(struct challenge *c)
{
	free(c->realm);
	free(c->service);
	free(c->scope);
	free(c->error);
	*c = (struct challenge)CHALLENGE_INIT;
}

static bool is_token_char(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static const char *skip(const char *s, const char *set)
{
	return s + strspn(s, set);
}

static size_t token_length(const char *s)
{
	size_t n = 0;

	while (is_token_char(s[n]))
		n++;
	return n;
}

/* Reads a token or a quoted string into *out; returns what follows. */
static const char *read_value(const char *s, struct buf *out)
{
	if (*s != '"') {
		/* Some registries leave URLs unquoted. */
		size_t n = strcspn(s, ", \t");

		buf_add(out, s, n);
		return s + n;
	}
	for (s++; *s && *s != '"'; s++) {
		if (*s == '\\' && s[1])
			s++;
		buf_addc(out, *s);
	}
	return *s ? s + 1 : s;
}

static void set_param(struct challenge *c, const char *name, size_t n, const char *value)
{
	struct {
		const char *name;
		char **slot;
	} params[] = {
		{ "realm", &c->realm },
		{ "service", &c->service },
		{ "scope", &c->scope },
		{ "error", &c->error },
	};

	for (size_t i = 0; i < ARRAY_LEN(params); i++) {
		if (strlen(params[i].name) != n ||
		    strncasecmp(params[i].name, name, n) != 0)
			continue;
		if (!*params[i].slot) /* the first one counts */
			*params[i].slot = mem_strdup(value);
	}
}

static void fill_absent(struct challenge *c)
{
	char **slots[] = { &c->realm, &c->service, &c->scope, &c->error };

	for (size_t i = 0; i < ARRAY_LEN(slots); i++)
		if (!*slots[i])
			*slots[i] = mem_strdup("");
}

static enum auth_scheme scheme_of(const char *s, size_t n)
{
	if (n == 6 && !strncasecmp(s, "bearer", 6))
		return AUTH_BEARER;
	if (n == 5 && !strncasecmp(s, "basic", 5))
		return AUTH_BASIC;
	return AUTH_NONE;
}

/* The parameters of one scheme; stops before the next scheme: a token not followed by
 * "=". */
static const char *read_params(const char *s, struct challenge *c)
{
	for (;;) {
		AUTO_BUF value = BUF_INIT;
		const char *name = skip(s, ", \t");
		size_t n = token_length(name);
		const char *eq = skip(name + n, " \t");

		if (!n || *eq != '=')
			return name;
		s = read_value(skip(eq + 1, " \t"), &value);
		set_param(c, name, n, value.s);
	}
}

static bool better(const struct challenge *a, const struct challenge *b)
{
	if (a->scheme == AUTH_BEARER && !*a->realm)
		return false;
	return a->scheme > b->scheme;
}

static void read_header(struct challenge *best, const char *s)
{
	for (s = skip(s, ", \t"); *s; s = skip(s, ", \t")) {
		struct challenge c = CHALLENGE_INIT;
		size_t n = token_length(s);

		if (!n) { /* token68 padding or rubbish */
			s++;
			continue;
		}
		c.scheme = scheme_of(s, n);
		s = read_params(s + n, &c);
		fill_absent(&c);
		if (better(&c, best)) {
			challenge_fini(best);
			*best = c;
		} else {
			challenge_fini(&c);
		}
	}
}

void challenge_pick(struct challenge *c, const struct strlist *values)
{
	*c = (struct challenge)CHALLENGE_INIT;
	for (size_t i = 0; i < values->len; i++)
		read_header(c, values->at[i]);
	fill_absent(c);
}
