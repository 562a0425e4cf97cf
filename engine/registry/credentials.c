#include "registry/credentials.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>

#include "base/map.h"
#include "base/vec.h"
#include "os/file.h"
#include "registry/base64.h"

enum { FILE_MAX = 4 << 20 };

struct config_file {
	char *path;
	json_t *root;
};

struct credentials {
	pthread_mutex_t lock;
	struct progress *progress;
	bool loaded;
	VEC(struct config_file) files;
	char *offered_host; /* or NULL */
	struct credential offered;
	struct map asked; /* helper and server → struct credential, user NULL for nobody
	                   */
};

static void wipe(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

void credential_fini(struct credential *c)
{
	wipe(c->secret);
	wipe(c->user);
	free(c->source);
	*c = (struct credential)CREDENTIAL_INIT;
}

static void credential_copy(struct credential *to, const struct credential *from)
{
	*to = (struct credential){ mem_strdup(from->user), mem_strdup(from->secret),
		                   from->identity, from->bearer,
		                   mem_strdup(from->source) };
}

/* jansson has no way to do this: its strings are plain memory of their own length. */
void credentials_wipe(json_t *j)
{
	const char *key;
	json_t *v;
	size_t i;

	if (json_is_string(j))
		explicit_bzero((char *)json_string_value(j), json_string_length(j));
	json_object_foreach(j, key, v) credentials_wipe(v);
	json_array_foreach(j, i, v) credentials_wipe(v);
}

struct credentials *credentials_new(struct progress *progress)
{
	struct credentials *c = mem_alloc(sizeof(*c));

	pthread_mutex_init(&c->lock, NULL);
	c->progress = progress;
	return c;
}

void credentials_free(struct credentials *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->files.len; i++) {
		credentials_wipe(c->files.at[i].root);
		json_decref(c->files.at[i].root);
		free(c->files.at[i].path);
	}
	vec_fini(&c->files);
	for (size_t i = 0; i < c->asked.len; i++) {
		credential_fini(c->asked.at[i].value);
		free(c->asked.at[i].value);
	}
	map_fini(&c->asked);
	free(c->offered_host);
	credential_fini(&c->offered);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

int credentials_read_file(const char *path, json_t **out, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	int rc;

	buf_reserve(&text, 64 * 1024); /* growing would leave copies */
	rc = file_read(AT_FDCWD, path, &text, FILE_MAX, e);
	if (rc < 0)
		return e->code == ERR_NOT_FOUND ? 0 : err_wrap(e, "read credentials");
	rc = json_read_secret(out, text.s, text.len, e);
	explicit_bzero(text.s, text.len);
	if (rc == 0 && !json_is_object(*out)) {
		json_decref(*out);
		rc = err_set(e, ERR_INVALID, "not a JSON object");
	}
	return rc < 0 ? err_wrap(e, "credentials in %s", path) : 1;
}

static int load_file(struct credentials *c, const char *path, struct err *e)
{
	json_t *root = NULL;
	int found = credentials_read_file(path, &root, e);

	if (found <= 0)
		return found;
	vec_push(&c->files, ((struct config_file){ mem_strdup(path), root }));
	return 0;
}

void credentials_paths(struct strlist *out)
{
	static const struct {
		const char *variable, *tail;
	} places[] = {
		{ "DOCKER_CONFIG", "/config.json" },
		{ "REGISTRY_AUTH_FILE", "" },
		{ "XDG_RUNTIME_DIR", "/containers/auth.json" },
		{ "XDG_CONFIG_HOME", "/containers/auth.json" },
		{ "HOME", "/.config/containers/auth.json" },
		{ "HOME", "/.docker/config.json" },
	};
	const char *docker = getenv("DOCKER_CONFIG");
	/* $DOCKER_CONFIG stands for ~/.docker, the last of the places. */
	size_t n = ARRAY_LEN(places) - (docker && *docker ? 1 : 0);

	for (size_t i = 0; i < n; i++) {
		const char *dir = getenv(places[i].variable);
		struct buf path = BUF_INIT;

		if (!dir || !*dir)
			continue;
		buf_addf(&path, "%s%s", dir, places[i].tail);
		strlist_take(out, buf_take(&path));
	}
}

static int load(struct credentials *c, struct err *e)
{
	AUTO_STRLIST paths = STRLIST_INIT;

	if (!c->loaded)
		credentials_paths(&paths);
	for (size_t i = 0; i < paths.len; i++)
		if (load_file(c, paths.at[i], e) < 0)
			return -1;
	c->loaded = true;
	return 0;
}

bool credentials_is_hub(const char *host)
{
	return !strcasecmp(host, "docker.io") || !strcasecmp(host, "index.docker.io") ||
	       !strcasecmp(host, "registry-1.docker.io");
}

const char *credentials_server(const char *host)
{
	return credentials_is_hub(host) ? "https://index.docker.io/v1/" : host;
}

size_t credentials_key_fits(const char *key, const char *host, const char *repo)
{
	const char *s = key, *slash;
	AUTO_FREE char *name = NULL;
	size_t n;

	if (!strncasecmp(s, "https://", 8))
		s += 8;
	else if (!strncasecmp(s, "http://", 7))
		s += 7;
	slash = strchr(s, '/');
	name = slash ? mem_strndup(s, (size_t)(slash - s)) : mem_strdup(s);
	if (strcasecmp(name, host) != 0 &&
	    !(credentials_is_hub(name) && credentials_is_hub(host)))
		return 0;
	if (!slash || !slash[1] || !strcmp(slash, "/v1/") || !strcmp(slash, "/v2/") ||
	    !strcmp(slash, "/v1") || !strcmp(slash, "/v2"))
		return 1;
	slash++;
	n = strlen(slash);
	if (slash[n - 1] == '/')
		n--;
	if (strncmp(slash, repo, n) != 0 || (repo[n] && repo[n] != '/'))
		return 0;
	return 1 + n;
}

static int take_basic(const char *text, struct credential *out, struct err *e)
{
	AUTO_BUF plain = BUF_INIT;
	char *colon;
	int rc = base64_decode(&plain, text);

	colon = rc == 0 ? memchr(plain.s, ':', plain.len) : NULL;
	if (colon && strlen(plain.s) == plain.len) {
		out->user = mem_strndup(plain.s, (size_t)(colon - plain.s));
		out->secret = mem_strdup(colon + 1);
	}
	if (plain.len)
		explicit_bzero(plain.s, plain.len);
	return colon ? 1
	             : err_set(e, ERR_INVALID, "\"auth\" is not base64 of USER:PASSWORD");
}

/* 1: the entry says who we are; 0: it is empty, as docker leaves them beside a
 * credentials store. */
static int read_entry(const json_t *entry, struct credential *out, struct err *e)
{
	const char *auth = NULL, *identity = NULL, *token = NULL, *user = NULL,
		   *password = NULL;

	if (json_member_str(entry, "auth", false, &auth, e) < 0 ||
	    json_member_str(entry, "identitytoken", false, &identity, e) < 0 ||
	    json_member_str(entry, "registrytoken", false, &token, e) < 0 ||
	    json_member_str(entry, "username", false, &user, e) < 0 ||
	    json_member_str(entry, "password", false, &password, e) < 0)
		return -1;
	if ((identity && *identity) || (token && *token)) {
		out->identity = identity && *identity;
		out->bearer = !out->identity;
		out->user = mem_strdup("");
		out->secret = mem_strdup(out->identity ? identity : token);
		return 1;
	}
	if (auth && *auth)
		return take_basic(auth, out, e);
	if (!user || !*user || !password)
		return 0;
	out->user = mem_strdup(user);
	out->secret = mem_strdup(password);
	return 1;
}

int credentials_from_auths(const json_t *auths, const char *host, const char *repo,
                           struct credential *out, struct err *e)
{
	const json_t *best = NULL;
	size_t best_fit = 0;
	const char *key;
	json_t *entry;

	*out = (struct credential)CREDENTIAL_INIT;
	json_object_foreach((json_t *)auths, key, entry)
	{
		size_t fit = credentials_key_fits(key, host, repo);

		if (fit <= best_fit || !json_is_object(entry) || !json_object_size(entry))
			continue;
		best = entry;
		best_fit = fit;
	}
	return best ? read_entry(best, out, e) : 0;
}

/* A helper is slow and may ask the user: once a server and process. */
static int ask_helper(struct credentials *c, const char *name, const char *server,
                      struct credential *out)
{
	AUTO_BUF key = BUF_INIT;
	struct credential *known;
	struct err e;

	buf_addf(&key, "%s %s", name, server);
	known = map_get(&c->asked, key.s);
	if (!known) {
		known = mem_alloc(sizeof(*known));
		if (credentials_from_helper(name, server, known, &e) < 0)
			progress_warning(c->progress, "%s; going on without it", e.msg);
		map_put(&c->asked, key.s, known);
	}
	if (!known->secret)
		return 0;
	credential_copy(out, known);
	return 1;
}

int credentials_helper_of(const json_t *root, const char *host, const char **name,
                          struct err *e)
{
	const char *store = NULL, *key;
	json_t *helpers = NULL, *v;

	*name = NULL;
	if (json_member_object(root, "credHelpers", false, &helpers, e) < 0 ||
	    json_member_str(root, "credsStore", false, &store, e) < 0)
		return -1;
	json_object_foreach(helpers, key, v)
	{
		if (json_is_string(v) && credentials_key_fits(key, host, ""))
			*name = json_string_value(v);
	}
	if (!*name)
		*name = store;
	if (*name && !**name)
		*name = NULL;
	return 0;
}

/* credHelpers[host] > credsStore > auths, within one file. */
static int find_in_file(struct credentials *c, const struct config_file *f,
                        const char *host, const char *repo, struct credential *out,
                        struct err *e)
{
	const char *helper;
	json_t *auths = NULL;
	int rc;

	if (credentials_helper_of(f->root, host, &helper, e) < 0 ||
	    json_member_object(f->root, "auths", false, &auths, e) < 0)
		return -1;
	if (helper && ask_helper(c, helper, credentials_server(host), out))
		return 1;
	rc = auths ? credentials_from_auths(auths, host, repo, out, e) : 0;
	if (rc > 0)
		out->source = mem_strdup(f->path);
	return rc;
}

void credentials_offer(struct credentials *c, const char *host,
                       const struct credential *who)
{
	free(c->offered_host);
	credential_fini(&c->offered);
	c->offered_host = mem_strdup(host);
	credential_copy(&c->offered, who);
}

int credentials_find(struct credentials *c, const char *host, const char *repo,
                     struct credential *out, struct err *e)
{
	int rc;

	*out = (struct credential)CREDENTIAL_INIT;
	if (c->offered_host && !strcasecmp(c->offered_host, host)) {
		credential_copy(out, &c->offered);
		return 1;
	}
	pthread_mutex_lock(&c->lock);
	rc = load(c, e);
	for (size_t i = 0; rc == 0 && i < c->files.len; i++) {
		rc = find_in_file(c, &c->files.at[i], host, repo, out, e);
		if (rc < 0)
			err_wrap(e, "credentials in %s", c->files.at[i].path);
	}
	pthread_mutex_unlock(&c->lock);
	return rc;
}
