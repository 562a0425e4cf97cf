#include "registry/tls.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/map.h"
#include "os/file.h"

struct tls {
	pthread_mutex_t lock;
	const char *system; /* NULL: none; looked for once */
	struct strlist insecure;
	struct map hosts; /* authority → struct tls_host */
};

/* "0a775a30.0" */
static bool is_hash_name(const char *name)
{
	return strspn(name, "0123456789abcdef") == 8 && name[8] == '.' && name[9];
}

static const char *find_system_directory(void)
{
	const char *dir = getenv(X509_get_default_cert_dir_env());
	struct dirent *entry;
	bool hashed = false;
	DIR *d;

	if (getenv(X509_get_default_cert_file_env()))
		return NULL; /* a bundle was asked for */
	if (!dir)
		dir = X509_get_default_cert_dir();
	d = opendir(dir);
	while (d && !hashed && (entry = readdir(d)))
		hashed = is_hash_name(entry->d_name);
	if (d)
		closedir(d);
	return hashed ? dir : NULL;
}

const char *tls_system_directory(struct tls *t)
{
	return t->system;
}

struct tls *tls_new(const struct strlist *insecure)
{
	struct tls *t = mem_alloc(sizeof(*t));

	pthread_mutex_init(&t->lock, NULL);
	t->system = find_system_directory();
	for (size_t i = 0; i < insecure->len; i++)
		strlist_add(&t->insecure, insecure->at[i]);
	return t;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->hosts.len; i++) {
		struct tls_host *h = t->hosts.at[i].value;

		strlist_fini(&h->authorities);
		free(h->authority);
		free(h->cert);
		free(h->key);
		free(h);
	}
	map_fini(&t->hosts);
	strlist_fini(&t->insecure);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

bool tls_insecure(struct tls *t, const char *authority)
{
	const char *colon = strrchr(authority, ':');
	size_t bare = strlen(authority);

	if (colon && !strchr(colon, ']'))
		bare = (size_t)(colon - authority);
	for (size_t i = 0; i < t->insecure.len; i++) {
		const char *s = t->insecure.at[i];

		if (!strcasecmp(s, authority))
			return true;
		if (strlen(s) == bare && !strncasecmp(s, authority, bare))
			return true;
	}
	return false;
}

static bool ends_with(const char *s, const char *tail)
{
	size_t n = strlen(s), m = strlen(tail);

	return n > m && !strcmp(s + n - m, tail);
}

/* A certificate is only of use with its key beside it. */
static void take_pair(struct tls_host *h, const char *cert)
{
	AUTO_BUF key = BUF_INIT;

	buf_add(&key, cert, strlen(cert) - strlen(".cert"));
	buf_adds(&key, ".key");
	if (h->cert || !file_exists(AT_FDCWD, key.s))
		return;
	h->cert = mem_strdup(cert);
	h->key = buf_take(&key);
}

static void read_dir(struct tls_host *h, const char *base)
{
	AUTO_STRLIST names = STRLIST_INIT;
	AUTO_BUF path = BUF_INIT;
	struct dirent *entry;
	DIR *dir;

	buf_addf(&path, "%s/certs.d/%s", base, h->authority);
	dir = opendir(path.s);
	if (!dir)
		return;
	while ((entry = readdir(dir)))
		strlist_add(&names, entry->d_name);
	closedir(dir);
	strlist_sort(&names); /* which client certificate is taken does not hang on the
	                         directory */
	for (size_t i = 0; i < names.len; i++) {
		AUTO_BUF file = BUF_INIT;

		buf_addf(&file, "%s/%s", path.s, names.at[i]);
		if (ends_with(names.at[i], ".crt"))
			strlist_add(&h->authorities, file.s);
		else if (ends_with(names.at[i], ".cert"))
			take_pair(h, file.s);
	}
}

static void read_dirs(struct tls_host *h)
{
	static const char *const houses[] = { "containers", "docker" };
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	for (size_t i = 0; i < ARRAY_LEN(houses); i++) {
		AUTO_BUF own = BUF_INIT, all = BUF_INIT;

		if (config && *config == '/')
			buf_addf(&own, "%s/%s", config, houses[i]);
		else if (home && *home == '/')
			buf_addf(&own, "%s/.config/%s", home, houses[i]);
		if (own.len)
			read_dir(h, own.s);
		buf_addf(&all, "/etc/%s", houses[i]);
		read_dir(h, all.s);
	}
}

const struct tls_host *tls_for(struct tls *t, const char *authority)
{
	struct tls_host *h;

	pthread_mutex_lock(&t->lock);
	h = map_get(&t->hosts, authority);
	if (!h) {
		h = mem_alloc(sizeof(*h));
		h->authority = mem_strdup(authority);
		h->insecure = tls_insecure(t, authority);
		read_dirs(h);
		map_put(&t->hosts, authority, h);
	}
	pthread_mutex_unlock(&t->lock);
	return h;
}
