#include "sandbox/exposed.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "os/file.h"

enum { FILE_MAX = 1 << 20 };

static int refuse(const char *what, const char *remedy, struct err *e)
{
	return err_set(e, ERR_DENIED,
	               "%s can be read here, and with --isolation=chroot only a "
	               "directory would keep a step from it: %s, and deploy with it "
	               "afterwards",
	               what, remedy);
}

static bool ends_with(const char *s, size_t n, const char *end)
{
	size_t m = strlen(end);

	return n >= m && strncasecmp(s + n - m, end, m) == 0;
}

static bool is_secret_name(const char *s, size_t n)
{
	static const char *const ends[] = {
		"TOKEN",      "PASSWORD",    "PASSWD",      "PASSPHRASE",
		"SECRET",     "AUTH_CONFIG", "CREDENTIALS", "SECRET_KEY",
		"ACCESS_KEY", "API_KEY",     "PRIVATE_KEY", "APIKEY",
	};

	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		if (ends_with(s, n, ends[i]))
			return true;
	return false;
}

static int refuse_variables(struct err *e)
{
	for (char **v = environ; *v; v++) {
		AUTO_BUF name = BUF_INIT, remedy = BUF_INIT, what = BUF_INIT;
		size_t n = strcspn(*v, "=");

		if (!is_secret_name(*v, n) || !(*v)[n] || !(*v)[n + 1])
			continue;
		buf_add_printable(&name, *v, n);
		buf_addf(&what, "$%.100s", name.s);
		buf_addf(&remedy, "build without it (env -u %.100s imgmake …)", name.s);
		return refuse(what.s, remedy.s, e);
	}
	return 0;
}

struct place {
	const char *base; /* a variable that holds a directory, or NULL: path is absolute
	                   */
	const char *path;
	const char *holds; /* only if this text is in it; NULL: in any case */
};

static int refuse_file(const char *path, const char *holds, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	struct err ignored;
	struct stat st;

	if (access(path, R_OK) < 0 || stat(path, &st) < 0 ||
	    (!S_ISREG(st.st_mode) && !S_ISSOCK(st.st_mode)))
		return 0;
	if (holds && file_read(AT_FDCWD, path, &text, FILE_MAX, &ignored) == 0 &&
	    !strstr(text.s, holds))
		return 0;
	return refuse(path, "move it away, or build in a container without it", e);
}

static int refuse_place(const struct place *p, struct err *e)
{
	const char *base = p->base ? getenv(p->base) : "";
	AUTO_BUF path = BUF_INIT;

	if (!base || (p->base && !*base))
		return 0;
	buf_adds(&path, base);
	buf_adds(&path, p->path);
	return refuse_file(path.s, p->holds, e);
}

int exposed_refuse(struct err *e)
{
	static const struct place places[] = {
		{ "REGISTRY_AUTH_FILE", "", "\"auth\"" },
		{ "XDG_RUNTIME_DIR", "/containers/auth.json", "\"auth\"" },
		{ NULL, "/run/containers/0/auth.json", "\"auth\"" },
		{ "HOME", "/.config/containers/auth.json", "\"auth\"" },
		{ "DOCKER_CONFIG", "/config.json", "\"auth\"" },
		{ "HOME", "/.docker/config.json", "\"auth\"" },
		{ "HOME", "/.netrc", "password" },
		{ "HOME", "/.git-credentials", NULL },
		{ "HOME", "/.npmrc", "_auth" },
		{ "HOME", "/.pypirc", "password" },
		{ "HOME", "/.cargo/credentials.toml", NULL },
		{ "HOME", "/.aws/credentials", NULL },
		{ "HOME", "/.kube/config", NULL },
		{ "HOME", "/.config/gcloud/application_default_credentials.json", NULL },
		{ "HOME", "/.ssh/id_rsa", NULL },
		{ "HOME", "/.ssh/id_ecdsa", NULL },
		{ "HOME", "/.ssh/id_ed25519", NULL },
		{ NULL, "/run/secrets/kubernetes.io/serviceaccount/token", NULL },
		{ NULL, "/run/docker.sock", NULL },
		{ "SSH_AUTH_SOCK", "", NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (refuse_place(&places[i], e) < 0)
			return -1;
	return refuse_variables(e);
}
