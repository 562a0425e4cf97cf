/* What a registry means by an answer that we did not want, for people. */
#include <string.h>

#include "base/json.h"
#include "registry/auth.h"
#include "registry/call.h"

/* The message of the first error: {"errors":[{"code":…,"message":…}]}, or nothing. */
static void add_message(const struct http_answer *a, struct buf *out)
{
	const char *code = NULL, *message = NULL;
	AUTO_JSON *root = NULL;
	json_t *errors = NULL, *first;
	struct err e;

	if (json_read(&root, a->body.s, a->body.len, &e) < 0 || !json_is_object(root) ||
	    json_member_array(root, "errors", false, &errors, &e) < 0)
		return;
	first = json_array_get(errors, 0);
	if (json_member_str(first, "code", false, &code, &e) < 0 ||
	    json_member_str(first, "message", false, &message, &e) < 0)
		return;
	if (!message || !*message)
		message = code;
	if (!message || !*message)
		return;
	buf_adds(out, ": ");
	buf_add_printable(out, message, strnlen(message, 300));
}

/* A 401 is always told in the same words; with a 403 comes the reason. */
static int denied(struct registry *r, const struct call *c, const char *right,
                  const struct http_answer *a, struct err *e)
{
	struct host *h = c->host;
	AUTO_CREDENTIAL who = CREDENTIAL_INIT;
	AUTO_BUF login = BUF_INIT, said = BUF_INIT;
	struct err ignored;
	bool basic;

	pthread_mutex_lock(&h->auth_lock);
	basic = h->auth == AUTH_BASIC;
	pthread_mutex_unlock(&h->auth_lock);
	if (a->status == 401 && basic &&
	    credentials_find(r->credentials, h->name, c->repo, &who, &ignored) > 0)
		return err_set(
			e, ERR_DENIED,
			"denied: %s refused the password of \"%s\" (from %s); log in again",
			h->name, who.user, who.source ? who.source : "?");
	auth_add_login(r, h, c->repo, &login);
	if (a->status == 403)
		add_message(a, &said);
	return err_set(
		e, ERR_DENIED, "denied: no %s right on %s/%s (%s)%s%s%s", right, h->name,
		c->repo, login.s, said.s,
		strcmp(login.s, "not logged in") ? "" : "; log in first: imgmake login ",
		strcmp(login.s, "not logged in") ? "" : h->name);
}

int call_refused(struct registry *r, const struct call *c, const char *right,
                 const char *what, const struct http_answer *a, struct err *e)
{
	const char *host = c->host->name;
	AUTO_BUF said = BUF_INIT;

	add_message(a, &said);
	if (a->status == 401 || a->status == 403)
		return denied(r, c, right, a, e);
	if (a->status == 404)
		return err_set(e, ERR_NOT_FOUND, "%s/%s has no %s", host, c->repo, what);
	if (a->status == 429)
		return err_set(
			e, ERR_NETWORK,
			"%s allows no more requests for now (%s of %s); try again later, or "
			"log in for a higher quota",
			host, what, c->repo);
	if (retry_status(a->status))
		return err_set(e, ERR_NETWORK,
		               "%s fails with HTTP status %ld on %s of %s%s", host,
		               a->status, what, c->repo, said.s);
	return err_set(e, ERR_INVALID, "%s answers HTTP status %ld for %s of %s%s", host,
	               a->status, what, c->repo, said.s);
}

int call_no_uploads(const struct call *c, const struct http_answer *a, struct err *e)
{
	AUTO_BUF said = BUF_INIT;

	if (a->status == 405)
		return err_set(e, ERR_DENIED,
		               "%s takes no uploads: it may be read only, or a mirror",
		               c->host->name);
	/* ECR and Google make no repository by themselves. */
	add_message(a, &said);
	return err_set(e, ERR_DENIED,
	               "%s has no repository %s%s; it has to be made there first",
	               c->host->name, c->repo, said.s);
}
