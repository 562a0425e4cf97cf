#include "registry/auth.h"

#include <string.h>

#include "os/clock.h"
#include "registry/base64.h"
#include "registry/token.h"

static bool has_action(const char *actions, const char *wanted, size_t n)
{
	for (const char *s = actions; *s; s += strcspn(s, ",")) {
		s += *s == ',';
		if (strcspn(s, ",") == n && !strncmp(s, wanted, n))
			return true;
	}
	return false;
}

bool auth_scope_covers(const char *scope, const char *wanted)
{
	const char *have = strrchr(scope, ':'), *want = strrchr(wanted, ':');

	if (!have || !want || have - scope != want - wanted ||
	    strncmp(scope, wanted, (size_t)(have - scope)) != 0)
		return !strcmp(scope, wanted);
	for (want++; *want; want += strcspn(want, ",")) {
		want += *want == ',';
		if (!has_action(have + 1, want, strcspn(want, ",")))
			return false;
	}
	return true;
}

static bool covered(const struct strlist *scopes, const char *wanted)
{
	for (size_t i = 0; i < scopes->len; i++)
		if (auth_scope_covers(scopes->at[i], wanted))
			return true;
	return false;
}

/* A challenge may hold several scopes, parted by blanks. */
static void add_uncovered(const struct strlist *scopes, const char *text,
                          struct strlist *asked)
{
	while (*(text += strspn(text, " "))) {
		size_t n = strcspn(text, " ");
		AUTO_FREE char *one = mem_strndup(text, n);

		if (!covered(scopes, one) && !covered(asked, one))
			strlist_add(asked, one);
		text += n;
	}
}

static void replace(char **slot, const char *s)
{
	free(*slot);
	*slot = mem_strdup(s);
}

int auth_learn(struct host *h, const struct http_answer *a, const struct strlist *scopes,
               struct strlist *asked, struct err *e)
{
	AUTO_CHALLENGE c = CHALLENGE_INIT;
	AUTO_STRLIST values = STRLIST_INIT;

	for (size_t i = 0; i < a->names.len; i++)
		if (!strcmp(a->names.at[i], "www-authenticate"))
			strlist_add(&values, a->values.at[i]);
	challenge_pick(&c, &values);
	if (c.scheme == AUTH_BEARER && token_realm_check(c.realm, a->url, e) < 0)
		return -1;
	if (c.scheme == AUTH_NONE)
		return 0;
	add_uncovered(scopes, c.scope, asked);
	pthread_mutex_lock(&h->auth_lock);
	h->auth = c.scheme;
	replace(&h->realm, c.realm);
	replace(&h->service, c.service);
	pthread_mutex_unlock(&h->auth_lock);
	return 0;
}

static void basic_value(const struct credential *who, struct buf *out)
{
	AUTO_BUF pair = BUF_INIT;

	buf_reserve(&pair, strlen(who->user) + strlen(who->secret) + 2);
	buf_addf(&pair, "%s:%s", who->user, who->secret);
	buf_reserve(out, pair.len * 2 + 16);
	buf_adds(out, "Basic ");
	base64_encode(out, pair.s, pair.len);
	explicit_bzero(pair.s, pair.len);
}

static void bearer_value(const char *token, struct buf *out)
{
	buf_reserve(out, strlen(token) + 16);
	buf_addf(out, "Bearer %s", token);
}

static bool token_usable(const struct token *t, const char *refused)
{
	if (!t || t->expires <= clock_ns())
		return false;
	return !refused || strncmp(refused, "Bearer ", 7) != 0 ||
	       strcmp(refused + 7, t->value) != 0;
}

static int token_value(struct registry *r, const struct auth_need *need,
                       const struct credential *who, struct buf *out, bool *fresh,
                       struct err *e)
{
	struct host *h = need->host;
	AUTO_STRLIST scopes = STRLIST_INIT;
	AUTO_BUF key = BUF_INIT;
	struct token *t;

	for (size_t i = 0; i < need->scopes->len; i++) {
		strlist_add(&scopes, need->scopes->at[i]);
		buf_addf(&key, "%s ", need->scopes->at[i]);
	}
	for (size_t i = 0; need->asked && i < need->asked->len; i++)
		strlist_add(&scopes, need->asked->at[i]);
	t = map_get(&h->tokens, key.s);
	if (!token_usable(t, need->refused)) {
		struct token *next;

		if (token_fetch(r, h, &scopes, who, &next, e) < 0)
			return -1;
		token_free(t);
		map_put(&h->tokens, key.s, next);
		t = next;
		*fresh = true;
	}
	bearer_value(t->value, out);
	return 0;
}

static int locked_value(struct registry *r, const struct auth_need *need, struct buf *out,
                        bool *fresh, struct err *e)
{
	AUTO_CREDENTIAL who = CREDENTIAL_INIT;

	if (need->host->auth == AUTH_NONE)
		return 0;
	if (credentials_find(r->credentials, need->host->name, need->repo, &who, e) < 0)
		return -1;
	if (who.bearer) {
		bearer_value(who.secret, out);
		return 0;
	}
	if (need->host->auth == AUTH_BEARER)
		return token_value(r, need, &who, out, fresh, e);
	if (who.secret)
		basic_value(&who, out);
	return 0;
}

int auth_value(struct registry *r, const struct auth_need *need, struct buf *out,
               bool *fresh, struct err *e)
{
	int rc;

	*fresh = false;
	pthread_mutex_lock(&need->host->auth_lock);
	rc = locked_value(r, need, out, fresh, e);
	pthread_mutex_unlock(&need->host->auth_lock);
	return rc;
}

void auth_add_login(struct registry *r, const struct host *h, const char *repo,
                    struct buf *out)
{
	AUTO_CREDENTIAL who = CREDENTIAL_INIT;
	struct err e;

	if (credentials_find(r->credentials, h->name, repo, &who, &e) <= 0)
		buf_adds(out, "not logged in");
	else if (*who.user)
		buf_addf(out, "logged in as \"%s\"", who.user);
	else
		buf_adds(out, "logged in with a token");
}
