#include "registry/login.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "os/file.h"
#include "registry/base64.h"
#include "registry/call.h"

int login_host(const char *text, struct buf *out, struct err *e)
{
	const char *s = text;
	size_t n, start = out->len;

	if (!strncasecmp(s, "https://", 8))
		s += 8;
	else if (!strncasecmp(s, "http://", 7))
		s += 7;
	n = strcspn(s, "/");
	if (s[n] && strcmp(s + n, "/") != 0 && strcmp(s + n, "/v1/") != 0 &&
	    strcmp(s + n, "/v2/") != 0)
		return err_set(e, ERR_INVALID,
		               "'%s' is no registry's host; it has no path, as "
		               "registry.example.com or localhost:5000",
		               text);
	if (!n || n != strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                         "0123456789.-:[]"))
		return err_set(e, ERR_INVALID, "'%s' is no registry's host", text);
	buf_add(out, s, n);
	if (credentials_is_hub(out->s + start)) {
		buf_truncate(out, start);
		buf_adds(out, "docker.io");
	}
	return 0;
}

int login_check(struct registry *r, const struct login *l, bool *wanted, struct err *e)
{
	AUTO_CREDENTIAL who = { mem_strdup(l->user), mem_strdup(l->secret), false, false,
		                mem_strdup("what was given") };
	struct strlist none = STRLIST_INIT;
	struct call c = { .method = "GET",
		          .host = host_get(r, l->host),
		          .repo = "",
		          .path = "/v2/",
		          .scopes = &none };
	AUTO_ANSWER a = HTTP_ANSWER_INIT;
	int rc;

	credentials_offer(r->credentials, l->host, &who);
	rc = call_run(r, &c, &a, e);
	*wanted = c.host->auth != AUTH_NONE;
	if (rc == 0 && (a.status == 401 || a.status == 403))
		rc = err_set(e, ERR_DENIED, "denied: %s refused the password of \"%s\"",
		             l->host, l->user);
	else if (rc == 0 && a.status / 100 != 2)
		rc = err_set(e, ERR_NETWORK,
		             "%s answers %ld to /v2/; is it a container registry?",
		             l->host, a.status);
	return rc;
}

/* --- Files ----------------------------------------------------------------------------
 */

static bool names_host(const json_t *root, const char *host)
{
	const char *helper, *key;
	struct err ignored;
	json_t *v;

	if (credentials_helper_of(root, host, &helper, &ignored) == 0 && helper)
		return true;
	json_object_foreach(json_object_get(root, "auths"), key, v)
	{
		if (credentials_key_fits(key, host, ""))
			return true;
	}
	return false;
}

/* Where docker would keep it, unless a file that is asked first has the host already and
 * would hide it. */
static int choose_file(const char *host, struct buf *path, json_t **root, struct err *e)
{
	const char *docker = getenv("DOCKER_CONFIG"),
		   *file = getenv("REGISTRY_AUTH_FILE"), *home = getenv("HOME");
	AUTO_STRLIST paths = STRLIST_INIT;

	credentials_paths(&paths);
	for (size_t i = 0; i < paths.len; i++) {
		int found = credentials_read_file(paths.at[i], root, e);

		if (found < 0)
			return -1;
		if (found && names_host(*root, host)) {
			buf_adds(path, paths.at[i]);
			return 0;
		}
		if (found) {
			credentials_wipe(*root);
			json_decref(*root);
			*root = NULL;
		}
	}
	if (docker && *docker)
		buf_addf(path, "%s/config.json", docker);
	else if (file && *file)
		buf_adds(path, file);
	else if (home && *home)
		buf_addf(path, "%s/.docker/config.json", home);
	else
		return err_set(e, ERR_NOT_FOUND,
		               "nowhere to keep it: HOME is not set, nor DOCKER_CONFIG");
	return credentials_read_file(path->s, root, e) < 0 ? -1 : 0;
}

static int write_file(const char *path, const json_t *root, struct err *e)
{
	/* A symlink stays: else what it leads to would keep the password. */
	AUTO_FREE char *real = realpath(path, NULL);
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *dir = slash ? mem_strndup(path, (size_t)(slash - path)) : NULL;
	AUTO_BUF text = BUF_INIT;
	int rc;

	if (dir && *dir && file_mkdirs(AT_FDCWD, dir, 0700, e) < 0)
		return -1;
	buf_reserve(&text, 1 << 20); /* growing would leave copies */
	json_write_pretty(&text, root);
	rc = file_replace(AT_FDCWD, real ? real : path, text.s, text.len, 0600, e);
	explicit_bzero(text.s, text.len);
	return rc;
}

static json_t *basic_json(const struct login *l)
{
	AUTO_BUF pair = BUF_INIT, code = BUF_INIT;
	json_t *entry;

	buf_reserve(&pair, strlen(l->user) + strlen(l->secret) + 2);
	buf_addf(&pair, "%s:%s", l->user, l->secret);
	buf_reserve(&code, pair.len * 2 + 16);
	base64_encode(&code, pair.s, pair.len);
	entry = json_pack("{s:s}", "auth", code.s);
	explicit_bzero(pair.s, pair.len);
	explicit_bzero(code.s, code.len);
	return entry;
}

/* The entry under the host's own name; others for it, under other spellings, go. */
static void set_entry(json_t *root, const char *host, json_t *entry)
{
	json_t *auths = json_object_get(root, "auths"), *v;
	const char *key;
	void *next;

	if (!json_is_object(auths)) {
		auths = json_object();
		json_object_set_new(root, "auths", auths);
	}
	json_object_foreach_safe(auths, next, key, v)
	{
		if (credentials_key_fits(key, host, "") == 1)
			json_object_del(auths, key);
	}
	if (entry)
		json_object_set_new(auths, credentials_server(host), entry);
}

/* {"ServerURL": …, "Username": …, "Secret": …} (docker-credential-helpers). */
static int keep_in_helper(const char *helper, const struct login *l, struct err *e)
{
	json_t *j = json_pack("{s:s,s:s,s:s}", "ServerURL", credentials_server(l->host),
	                      "Username", l->user, "Secret", l->secret);
	AUTO_BUF text = BUF_INIT;
	int rc;

	if (!j)
		return err_set(e, ERR_INVALID, "a password for a helper has to be UTF-8");
	buf_reserve(&text, 64 * 1024);
	json_write(&text, j);
	credentials_wipe(j);
	json_decref(j);
	rc = credentials_tell_helper(helper, "store", &text, e);
	explicit_bzero(text.s, text.len);
	return rc;
}

static int keep(json_t *root, const char *path, const struct login *l, char **where,
                struct err *e)
{
	struct buf name = BUF_INIT;
	const char *helper;

	if (credentials_helper_of(root, l->host, &helper, e) < 0)
		return -1;
	if (helper && keep_in_helper(helper, l, e) < 0)
		return -1;
	/* Beside a helper docker keeps an empty entry, so that it is known of. */
	set_entry(root, l->host, helper ? json_object() : basic_json(l));
	if (write_file(path, root, e) < 0)
		return -1;
	buf_addf(&name, helper ? "docker-credential-%s" : "%s", helper ? helper : path);
	*where = buf_take(&name);
	return 0;
}

int login_keep(const struct login *l, char **where, struct err *e)
{
	AUTO_BUF path = BUF_INIT;
	json_t *root = NULL;
	int rc = choose_file(l->host, &path, &root, e);

	if (rc == 0 && !root)
		root = json_object();
	if (rc == 0)
		rc = keep(root, path.s, l, where, e);
	credentials_wipe(root);
	json_decref(root);
	return rc;
}

static int forget(json_t *root, const char *path, const char *host, struct strlist *where,
                  struct err *e)
{
	size_t before = json_object_size(json_object_get(root, "auths"));
	AUTO_BUF server = BUF_INIT;
	const char *helper;

	if (credentials_helper_of(root, host, &helper, e) < 0)
		return -1;
	buf_adds(&server, credentials_server(host));
	if (helper && credentials_tell_helper(helper, "erase", &server, e) < 0)
		return -1;
	if (helper) {
		AUTO_BUF name = BUF_INIT;

		buf_addf(&name, "docker-credential-%s", helper);
		strlist_add(where, name.s);
	}
	set_entry(root, host, NULL);
	if (json_object_size(json_object_get(root, "auths")) == before)
		return 0;
	strlist_add(where, path);
	return write_file(path, root, e);
}

int login_forget(const char *host, struct strlist *where, struct err *e)
{
	AUTO_STRLIST paths = STRLIST_INIT;
	int rc = 0;

	credentials_paths(&paths);
	for (size_t i = 0; rc == 0 && i < paths.len; i++) {
		json_t *root = NULL;
		int found = credentials_read_file(paths.at[i], &root, e);

		rc = found > 0 ? forget(root, paths.at[i], host, where, e) : found;
		credentials_wipe(root);
		json_decref(root);
	}
	return rc;
}
