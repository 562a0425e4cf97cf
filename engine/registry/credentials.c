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
static void wipe_json(json_t *j)
{
	const char *key;
	json_t *v;
	size_t i;

	if (json_is_string(j))
		explicit_bzero((char *)json_string_value(j), json_string_length(j));
	json_object_foreach(j, key, v) wipe_json(v);
	json_array_foreach(j, i, v) wipe_json(v);
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
		wipe_json(c->files.at[i].root);
		json_decref(c->files.at[i].root);
		free(c->files.at[i].path);
	}
	vec_fini(&c->files);
	for (size_t i = 0; i < c->asked.len; i++) {
		credential_fini(c->asked.at[i].value);
		free(c->asked.at[i].value);
	}
	map_fini(&c->asked);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static int load_file(struct credentials *c, const char *path, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	json_t *root = NULL;
	int rc;

	buf_reserve(&text, 64 * 1024); /* growing would leave copies */
	rc = file_read(AT_FDCWD, path, &text, FILE_MAX, e);
	if (rc < 0)
		return e->code == ERR_NOT_FOUND ? 0 : err_wrap(e, "read credentials");
	rc = json_read(&root, text.s, text.len, e);
	explicit_bzero(text.s, text.len);
	if (rc < 0)
		return err_wrap(e, "credentials in %s", path);
	vec_push(&c->files, ((struct config_file){ mem_strdup(path), root }));
	return 0;
}

static int load_below(struct credentials *c, const char *variable, const char *tail,
                      struct err *e)
{
	const char *dir = getenv(variable);
	AUTO_BUF path = BUF_INIT;

	if (!dir || !*dir)
		return 0;
	buf_addf(&path, "%s%s", dir, tail);
	return load_file(c, path.s, e);
}

static int load(struct credentials *c, struct err *e)
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

	for (size_t i = 0; !c->loaded && i < n; i++)
		if (load_below(c, places[i].variable, places[i].tail, e) < 0)
			return -1;
	c->loaded = true;
	return 0;
}

static bool is_hub(const char *host)
{
	return !strcasecmp(host, "docker.io") || !strcasecmp(host, "index.docker.io") ||
	       !strcasecmp(host, "registry-1.docker.io");
}

/* Length of the match of an auths key with host/repo: 0 none. Keys are "host",
 * "host/path" or docker's "https://host/v1/". */
static size_t key_fits(const char *key, const char *host, const char *repo)
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
	if (strcasecmp(name, host) != 0 && !(is_hub(name) && is_hub(host)))
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
		size_t fit = key_fits(key, host, repo);

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

/* credHelpers[host] > credsStore > auths, within one file. */
static int find_in_file(struct credentials *c, const struct config_file *f,
                        const char *host, const char *repo, struct credential *out,
                        struct err *e)
{
	const char *server = is_hub(host) ? "https://index.docker.io/v1/" : host;
	const char *helper = NULL, *store = NULL, *key;
	json_t *helpers = NULL, *auths = NULL, *v;
	int rc;

	if (json_member_object(f->root, "credHelpers", false, &helpers, e) < 0 ||
	    json_member_str(f->root, "credsStore", false, &store, e) < 0 ||
	    json_member_object(f->root, "auths", false, &auths, e) < 0)
		return -1;
	json_object_foreach(helpers, key,
	                    v) if (json_is_string(v) && key_fits(key, host, "")) helper =
		json_string_value(v);
	if (!helper)
		helper = store;
	if (helper && *helper && ask_helper(c, helper, server, out))
		return 1;
	rc = auths ? credentials_from_auths(auths, host, repo, out, e) : 0;
	if (rc > 0)
		out->source = mem_strdup(f->path);
	return rc;
}

int credentials_find(struct credentials *c, const char *host, const char *repo,
                     struct credential *out, struct err *e)
{
	int rc;

	*out = (struct credential)CREDENTIAL_INIT;
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
