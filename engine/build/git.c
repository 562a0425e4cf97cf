#include "build/git.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build/secrets.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/process.h"
#include "registry/base64.h"
#include "registry/url.h"

/* One repository that is being read. */
struct git {
	struct build *b;
	const struct step_git *s;
	struct strlist env;
	char *dir;        /* absolute: the scratch directory; NULL: none is needed */
	const char *tree; /* name of the directory with the files, below it */
	int status;       /* of the last command */
	bool has_login;
};

bool git_is_hash(const char *s)
{
	size_t n = strspn(s, "0123456789abcdef");

	return !s[n] && (n == 40 || n == 64);
}

/* --- The environment ------------------------------------------------------------------
 */

static void set(struct git *g, const char *name, const char *value)
{
	AUTO_BUF text = BUF_INIT;

	buf_addf(&text, "%s=%s", name, value);
	strlist_add(&g->env, text.s);
}

/* What says how the network is reached, and with which certificates. */
static void pass_on(struct git *g)
{
	static const char *const names[] = {
		"PATH",           "http_proxy",    "https_proxy",  "no_proxy",
		"all_proxy",      "HTTP_PROXY",    "HTTPS_PROXY",  "NO_PROXY",
		"ALL_PROXY",      "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO",
		"GIT_SSL_CAPATH", "SSH_AUTH_SOCK",
	};
	const char *ssh = getenv("GIT_SSH_COMMAND"), *ca = getenv("SSL_CERT_FILE");

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (getenv(names[i]))
			set(g, names[i], getenv(names[i]));
	if (ca && !getenv("GIT_SSL_CAINFO"))
		set(g, "GIT_SSL_CAINFO", ca); /* as for registries; GnuTLS takes no other
		                               */
	set(g, "GIT_SSH_COMMAND", ssh ? ssh : "ssh -o BatchMode=yes");
}

/* The first of NAME.HOST and NAME among the secrets. */
static const struct secret *find_secret(struct git *g, const char *name, const char *host)
{
	AUTO_BUF id = BUF_INIT;
	const struct secret *found;
	struct err ignored;

	buf_addf(&id, "%s.%s", name, host);
	if (secrets_get(g->b->o.secrets, id.s, &found, &ignored) == 0 ||
	    secrets_get(g->b->o.secrets, name, &found, &ignored) == 0)
		return found;
	return NULL;
}

/* As BuildKit names them. By the environment: others can read a command line. Behind a
 * redirect git sends the header to whoever that is, so that none is followed. */
static void add_authorization(struct git *g)
{
	AUTO_BUF header = BUF_INIT, login = BUF_INIT, encoded = BUF_INIT, key = BUF_INIT;
	const struct secret *token, *whole;
	struct err ignored;
	struct url u = { 0 };

	if (url_parse(&u, g->s->url, &ignored) < 0)
		return; /* of ssh */
	AUTO_FREE char *host = url_authority(&u);
	buf_addf(&key, "http.%s://%s/.extraHeader", u.scheme, host);
	whole = find_secret(g, "GIT_AUTH_HEADER", u.host);
	token = whole ? NULL : find_secret(g, "GIT_AUTH_TOKEN", u.host);
	url_fini(&u);
	if (!whole && !token)
		return;
	buf_adds(&header, "Authorization: ");
	if (token) {
		buf_adds(&login, "x-access-token:");
		buf_add(&login, token->value.s, strcspn(token->value.s, "\r\n"));
		base64_encode(&encoded, login.s, login.len);
		buf_addf(&header, "Basic %s", encoded.s);
	} else {
		buf_add(&header, whole->value.s, strcspn(whole->value.s, "\r\n"));
	}
	g->has_login = true;
	set(g, "GIT_CONFIG_COUNT", "2");
	set(g, "GIT_CONFIG_KEY_0", key.s);
	set(g, "GIT_CONFIG_VALUE_0", header.s);
	set(g, "GIT_CONFIG_KEY_1", "http.followRedirects");
	set(g, "GIT_CONFIG_VALUE_1", "false");
}

static void fill_environment(struct git *g)
{
	bool plain = !strncmp(g->s->url, "http://", 7);

	pass_on(g);
	set(g, "LC_ALL", "C");
	set(g, "HOME", g->dir ? g->dir : "/nonexistent");
	set(g, "GIT_CONFIG_NOSYSTEM", "1");
	set(g, "GIT_CONFIG_GLOBAL", "/dev/null");
	set(g, "GIT_ATTR_NOSYSTEM", "1");
	set(g, "GIT_TERMINAL_PROMPT", "0");
	set(g, "GIT_ASKPASS", "true");
	set(g, "GIT_ALLOW_PROTOCOL", plain ? "http:https:ssh" : "https:ssh");
	set(g, "GIT_NO_REPLACE_OBJECTS", "1");
	set(g, "GIT_OPTIONAL_LOCKS", "0");
	if (g->dir) {
		AUTO_BUF at = BUF_INIT;

		buf_addf(&at, "%s/%s", g->dir, g->s->keep_dir ? "tree/.git" : "git");
		set(g, "GIT_DIR", at.s);
		buf_reset(&at);
		buf_addf(&at, "%s/tree", g->dir);
		set(g, "GIT_WORK_TREE", at.s);
	} else {
		set(g, "GIT_DIR", "/dev/null"); /* that of no project is looked at */
	}
	add_authorization(g);
}

/* --- Running it ------------------------------------------------------------------------
 */

static bool begins(const char *line, const char *with)
{
	return !strncmp(line, with, strlen(with));
}

/* The first line that says what is wrong: those behind it say what came of it. */
static void complaint(const struct git *g, const struct buf *said, struct buf *out)
{
	size_t n, shown;

	for (const char *line = said->s; *line; line += n + (line[n] == '\n')) {
		size_t skip = begins(line, "fatal: ") || begins(line, "error: ") ? 7 : 0;

		n = strcspn(line, "\n");
		shown = n && line[n - 1] == '\r' ? n - 1 : n; /* as ssh ends them */
		if (shown > skip && !begins(line, "remote: ") &&
		    !begins(line, "warning: ") && !begins(line, "hint: ")) {
			secrets_redact(g->b->o.secrets, line + skip, shown - skip, out);
			if (g->has_login && strstr(out->s, "returned error: 30"))
				buf_adds(out, ": it is elsewhere, and with a secret that "
				              "is not followed: write its new address");
			return;
		}
	}
	buf_addf(out, "git ended with status %d", g->status);
}

static int spawn_git(struct git *g, struct process_options *o, struct err *e)
{
	AUTO_FREE const char **env = mem_alloc((g->env.len + 1) * sizeof(*env));
	AUTO_BUF said = BUF_INIT, why = BUF_INIT;

	for (size_t i = 0; i < g->env.len; i++)
		env[i] = g->env.at[i];
	env[g->env.len] = NULL;
	o->env = env;
	o->cwd = g->b->o.store->dir;
	if (!o->line)
		o->err = &said;
	if (process_run(o, &g->status, e) < 0)
		return e->code == ERR_NOT_FOUND
		               ? err_set(e, ERR_NOT_FOUND,
		                         "there is no git on this machine: install it to "
		                         "read repositories")
		               : -1;
	if (build_cancelled(g->b))
		return err_set(e, ERR_CANCELLED, "interrupted");
	if (g->status == 0)
		return 0;
	complaint(g, &said, &why);
	return err_set(e, ERR_FAILED, "%s", why.s);
}

enum { ARGS_MAX = 24 };

/* Everything that a configuration could turn on is off. */
static const char *const always[] = {
	"git",
	"-c",
	"core.hooksPath=/dev/null",
	"-c",
	"gc.auto=0",
	"-c",
	"maintenance.auto=false",
	"-c",
	"core.fsmonitor=false",
	"-c",
	"core.logAllRefUpdates=false",
	"-c",
	"submodule.recurse=false",
	"-c",
	"init.defaultBranch=master",
	"-c",
	"http.lowSpeedLimit=1",
	"-c",
	"http.lowSpeedTime=60",
	"-c",
	"pack.threads=1",
	"-c",
	"pack.writeReverseIndex=false",
};

static void fill_argv(const char **argv, const char *const *args)
{
	size_t n = ARRAY_LEN(always);

	memcpy(argv, always, sizeof(always));
	while (*args)
		argv[n++] = *args++;
	argv[n] = NULL;
}

#define ARGV_SIZE (ARRAY_LEN(always) + ARGS_MAX)
/* git_run(g, out or NULL, e, "fetch", …) */
#define git_run(g, out, e, ...)                                                          \
	run_args(g, out, (const char *const[]){ __VA_ARGS__, NULL }, e)

static int run_args(struct git *g, struct buf *out, const char *const *args,
                    struct err *e)
{
	const char *argv[ARGV_SIZE];
	struct process_options o = { .argv = argv, .out = out };

	fill_argv(argv, args);
	return spawn_git(g, &o, e);
}

static void git_init(struct git *g, struct build *b, const struct step_git *s,
                     const char *dir)
{
	*g = (struct git){ .b = b, .s = s, .env = STRLIST_INIT };
	if (dir) {
		AUTO_BUF path = BUF_INIT;

		buf_addf(&path, "%s/%s", b->o.store->path, dir);
		g->dir = buf_take(&path);
	}
	fill_environment(g);
}

static void git_fini(struct git *g)
{
	strlist_fini(&g->env);
	free(g->dir);
}

/* --- What a ref stands for -------------------------------------------------------------
 */

enum { NAMES_MAX = 3 };

/* Full names that a ref may mean, best first, as git-checkout prefers them. */
static void list_names(const char *ref, struct strlist *out)
{
	static const char *const before[NAMES_MAX] = { "refs/heads/", "refs/tags/",
		                                       "refs/" };
	AUTO_BUF name = BUF_INIT;

	if (!*ref || !strncmp(ref, "refs/", 5)) {
		strlist_add(out, *ref ? ref : "HEAD");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(before); i++) {
		buf_reset(&name);
		buf_addf(&name, "%s%s", before[i], ref);
		strlist_add(out, name.s);
	}
}

/* A line "HASH\tNAME" of ls-remote, or its "ref: NAME\tHEAD". True: it is of `name`. */
static bool line_of(const char *line, size_t n, const char *name, const char *behind)
{
	const char *tab = memchr(line, '\t', n);
	size_t len = tab ? n - (size_t)(tab + 1 - line) : 0, k = strlen(name);

	return tab && len == k + strlen(behind) && !memcmp(tab + 1, name, k) &&
	       !memcmp(tab + 1 + k, behind, strlen(behind));
}

static void take_hash(const char *line, char out[GIT_HASH_SIZE])
{
	size_t n = strspn(line, "0123456789abcdef");

	snprintf(out, GIT_HASH_SIZE, "%.*s", n == 40 || n == 64 ? (int)n : 0, line);
}

/* What the listing says of one name. */
static bool find_name(const char *listing, const char *name, struct arena *a,
                      struct git_commit *out)
{
	char hash[GIT_HASH_SIZE] = "", peeled[GIT_HASH_SIZE] = "";
	size_t n;

	out->name = arena_strdup(a, name);
	for (const char *l = listing; *l; l += n + (l[n] == '\n')) {
		n = strcspn(l, "\n");
		if (line_of(l, n, name, "^{}"))
			take_hash(l, peeled);
		else if (line_of(l, n, name, "") && !strncmp(l, "ref: ", 5))
			out->name = arena_strndup(a, l + 5, strcspn(l + 5, "\t"));
		else if (line_of(l, n, name, ""))
			take_hash(l, hash);
	}
	strcpy(out->hash, *peeled ? peeled : hash);
	strcpy(out->tag, *peeled ? hash : "");
	return *out->hash;
}

static int resolve(struct git *g, struct arena *a, struct git_commit *out, struct err *e)
{
	AUTO_STRLIST names = STRLIST_INIT;
	AUTO_BUF listing = BUF_INIT;
	const char *args[5 + 2 * NAMES_MAX] = { "ls-remote", "--symref", "--",
		                                g->s->url };
	size_t n = 4;

	list_names(g->s->ref, &names);
	for (size_t i = 0; i < names.len; i++) {
		args[n++] = names.at[i];
		args[n++] = arena_printf(a, "%s^{}", names.at[i]);
	}
	if (run_args(g, &listing, args, e) < 0)
		return -1;
	for (size_t i = 0; i < names.len; i++)
		if (find_name(listing.s, names.at[i], a, out))
			return 0;
	return *g->s->ref ? err_set(e, ERR_NOT_FOUND, "it has no branch or tag '%s'",
	                            g->s->ref)
	                  : err_set(e, ERR_NOT_FOUND, "it is empty");
}

int git_resolve(struct build *b, const struct step_git *s, struct arena *a,
                struct git_commit *out, struct err *e)
{
	enum lane was = lane_now();
	struct git g;
	int rc;

	if (lane_move(LANE_NETWORK, e) < 0)
		return -1;
	git_init(&g, b, s, NULL);
	rc = lane_back(was, resolve(&g, a, out, e), e);
	git_fini(&g);
	return rc < 0 ? err_wrap(e, "read %s", s->url) : 0;
}

/* --- Its files -------------------------------------------------------------------------
 */

static bool has_object(struct git *g, const struct git_commit *c)
{
	AUTO_BUF what = BUF_INIT;
	struct err ignored;

	buf_addf(&what, "%s^{commit}", *c->tag && g->s->keep_dir ? c->tag : c->hash);
	return git_run(g, NULL, &ignored, "cat-file", "-e", what.s) == 0;
}

#define DEPTH_INFINITE "--depth=2147483647" /* INFINITE_DEPTH of git */

/* The one commit; from servers that do not give what nobody points at, what the name
 * points at; and else all there is. */
static int fetch(struct git *g, const struct git_commit *c, struct err *e)
{
	const char *url = g->s->url, *want = *c->tag && g->s->keep_dir ? c->tag : c->hash;
	int rc = git_run(g, NULL, e, "fetch", "-q", "--depth=1", "--no-tags", "--", url,
	                 want);
	bool all;

	if (rc < 0 && e->code == ERR_FAILED && *c->name)
		rc = git_run(g, NULL, e, "fetch", "-q", "--depth=1", "--no-tags", "--",
		             url, c->name);
	all = (rc < 0 && e->code == ERR_FAILED) || (rc == 0 && !has_object(g, c));
	/* What is behind a commit that is here already comes only with a depth, which
	 * servers of plain files do not take. */
	if (all)
		rc = git_run(g, NULL, e, "fetch", "-q", "--no-tags",
		             rc == 0 ? DEPTH_INFINITE : "-q", "--", url,
		             "+refs/heads/*:refs/imgmake/heads/*",
		             "+refs/tags/*:refs/imgmake/tags/*");
	if (rc == 0 && !has_object(g, c))
		return err_set(e, ERR_NOT_FOUND,
		               "the commit %s is not there any more; --lock=update "
		               "takes today's",
		               c->hash);
	return rc;
}

/* The first submodule below the step's subdirectory. */
static void find_submodule(void *self, const char *s, size_t n)
{
	struct buf *first = self;
	const char *tab = memchr(s, '\t', n);

	if (!first->len && tab && n > 7 && !memcmp(s, "160000 ", 7))
		buf_add(first, tab + 1, n - (size_t)(tab + 1 - s));
}

static int refuse_submodules(struct git *g, const struct git_commit *c, struct err *e)
{
	const char *argv[ARGV_SIZE], *below = *g->s->subdir ? g->s->subdir : NULL;
	const char *const args[] = { "ls-tree", "-r",  "--full-tree", c->hash,
		                     "--",      below, NULL };
	AUTO_BUF first = BUF_INIT;
	struct process_options o = { .argv = argv,
		                     .line = find_submodule,
		                     .line_self = &first };

	fill_argv(argv, args);
	if (spawn_git(g, &o, e) < 0)
		return -1;
	if (!first.len)
		return 0;
	return err_set(
		e, ERR_INVALID,
		"%s is a submodule, and those are not fetched: add each by itself, "
		"and say submodules = false here",
		first.s);
}

static void scratch_path(const struct git *g, const char *name, struct buf *out)
{
	buf_reset(out);
	buf_addf(out, "%s/%s", g->dir, name);
}

/* Whether the commit has parents, which are not here. */
static int is_shallow(struct git *g, const struct git_commit *c, bool *out, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	const char *end, *parent;

	if (git_run(g, &text, e, "cat-file", "commit", c->hash) < 0)
		return -1;
	end = strstr(text.s, "\n\n");
	parent = strstr(text.s, "\nparent ");
	*out = parent && (!end || parent < end);
	return 0;
}

static int name_refs(struct git *g, const struct git_commit *c, struct err *e)
{
	const char *of = *c->tag ? c->tag : c->hash;
	bool named = !strncmp(c->name, "refs/heads/", 11) ||
	             !strncmp(c->name, "refs/tags/", 10);

	if (git_run(g, NULL, e, "update-ref", "--no-deref", "HEAD", c->hash) < 0)
		return -1;
	if (named && git_run(g, NULL, e, "update-ref", c->name, of) < 0)
		return -1;
	if (git_run(g, NULL, e, "config", "remote.origin.url", g->s->url) < 0)
		return -1;
	return git_run(g, NULL, e, "config", "remote.origin.fetch",
	               "+refs/heads/*:refs/remotes/origin/*");
}

/* A .git that is a function of the commit and its name: an index without times and inode
 * numbers, one pack in which nothing is as the server happened to send it. */
static int settle_git_dir(struct git *g, const struct git_commit *c, struct err *e)
{
	static const char *const extra[] = { "index",       "FETCH_HEAD",  "ORIG_HEAD",
		                             "shallow",     "logs",        "branches",
		                             "packed-refs", "refs/imgmake" };
	AUTO_CLOSE int dir = -1;
	AUTO_BUF path = BUF_INIT, line = BUF_INIT;
	bool shallow;

	scratch_path(g, "tree/.git", &path);
	dir = open(path.s, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, "open %s", path.s);
	if (is_shallow(g, c, &shallow, e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(extra); i++)
		if (file_remove_tree(dir, extra[i], e) < 0)
			return -1;
	buf_addf(&line, "%s\n", c->hash);
	if (shallow && file_replace(dir, "shallow", line.s, line.len, 0644, e) < 0)
		return -1;
	if (name_refs(g, c, e) < 0 || git_run(g, NULL, e, "read-tree", c->hash) < 0 ||
	    git_run(g, NULL, e, "repack", "-a", "-d", "-F", "-n", "-q", "--window=0",
	            "--depth=0") < 0)
		return -1;
	return git_run(g, NULL, e, "prune", "--expire=now");
}

/* With --checksum, a name must still stand for it, as BuildKit has it. */
static int check_name(struct git *g, struct git_commit *c, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct git_commit now = { .name = "" };
	int rc = 0;

	if (*g->s->commit && *g->s->ref && !git_is_hash(g->s->ref) && !*c->name) {
		rc = resolve(g, &a, &now, e);
		if (rc == 0 && strcmp(now.hash, c->hash) != 0)
			rc = err_set(e, ERR_CORRUPT,
			             "%s is the commit %s now, but the recipe says %s",
			             g->s->ref, now.hash, c->hash);
	}
	arena_fini(&a);
	return rc;
}

static int check_out(struct git *g, struct git_commit *c, struct err *e)
{
	const char *format = strlen(c->hash) == 64 ? "--object-format=sha256" : "-q";
	AUTO_BUF path = BUF_INIT;

	scratch_path(g, "tree", &path);
	if (mkdir(path.s, 0755) < 0)
		return err_sys(e, "create %s", path.s);
	if (check_name(g, c, e) < 0 ||
	    git_run(g, NULL, e, "init", "-q", "--template=", format) < 0 ||
	    fetch(g, c, e) < 0)
		return -1;
	if (!g->s->no_submodules && refuse_submodules(g, c, e) < 0)
		return -1;
	if (git_run(g, NULL, e, "read-tree", "--reset", "-u", c->hash) < 0)
		return -1;
	return g->s->keep_dir ? settle_git_dir(g, c, e) : 0;
}

static int new_scratch(struct build *b, struct buf *dir, struct err *e)
{
	int rc;

	do { /* a killed process may have had our number */
		buf_reset(dir);
		buf_addf(dir, "tmp/git.%d.%u", (int)getpid(),
		         atomic_fetch_add(&b->runs, 1));
		rc = mkdirat(b->o.store->dir, dir->s, 0755);
	} while (rc < 0 && errno == EEXIST);
	return rc < 0 ? err_sys(e, "create %s in the store", dir->s) : 0;
}

int git_check_out(struct build *b, const struct step_git *s, const struct git_commit *c,
                  struct buf *dir, struct err *e)
{
	enum lane was = lane_now();
	struct git_commit own = *c;
	struct git g;
	int rc;

	if (new_scratch(b, dir, e) < 0 || lane_move(LANE_NETWORK, e) < 0)
		return -1;
	git_init(&g, b, s, dir->s);
	progress_begin(b->o.progress, NULL, s->url, -1);
	rc = lane_back(was, check_out(&g, &own, e), e);
	progress_end(b->o.progress, NULL, s->url, 0);
	git_fini(&g);
	return rc < 0 ? err_wrap(e, "fetch %s", s->url) : 0;
}
