/* What layers hold that should not be in an image. Only layers that the recipe's own
 * steps made are looked at: of a base others must judge. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "build/describe.h"
#include "cmd/human.h"
#include "cmd/lint.h"
#include "image/image.h"
#include "image/tar_reader.h"
#include "os/fd.h"
#include "publish/image_tables.h"
#include "store/blobs.h"

enum {
	HUGE_FILE = 100 * 1000 * 1000,
	TWICE_MIN = 1000 * 1000,  /* bytes of a file that is worth a link */
	WASTED_MIN = 1000 * 1000, /* bytes of a layer */
	LISTS_MIN = 16 * 1024,
	CACHE_MIN = 64 * 1024,
	SECRET_MAX = 256 * 1024, /* a larger file is no key */
};

/* The step that made a layer, and whose it is; NULLs: not one of this recipe. */
struct maker {
	const struct step *step;
	const struct target *target;
};

struct looking {
	struct lint *l;
	const struct target *target;
	struct image image;
	struct image_tables tables;
	struct toc_view view;
	struct maker *makers; /* one a layer */
	bool runs;            /* it is run, and nothing stands on it */
};

static const char *history_at(const json_t *history, size_t i)
{
	return json_string_value(
		json_object_get(json_array_get(history, i), "created_by"));
}

/* How many entries, of those in front of `end`, a step made: one, or one a part. */
static size_t entries_of(const json_t *history, size_t end, const char *what)
{
	const char *by = end ? history_at(history, end - 1) : NULL;
	size_t len = strlen(what), parts = 0, last = 0;

	if (!by || strncmp(by, what, len) != 0)
		return 0;
	if (!by[len])
		return 1;
	if (sscanf(by + len, " (part %zu of %zu)", &last, &parts) != 2 || last != parts ||
	    parts > end)
		return 0;
	return parts;
}

/* From the last step back, as the history has them; up to where it says something else.
 */
static void find_makers(struct looking *x)
{
	const json_t *history = json_object_get(x->image.config.root, "history");
	size_t at = json_array_size(history), layer = x->image.manifest.n_layers;

	for (const struct target *t = x->target; t && t->kind != TARGET_BASE;
	     t = t->from) {
		for (size_t i = t->n_steps; i-- > 0;) {
			AUTO_BUF what = BUF_INIT;
			size_t n;

			step_describe(&t->steps[i], &what);
			n = entries_of(history, at, what.s);
			if (!n)
				return;
			for (; n; n--, at--) {
				const json_t *entry = json_array_get(history, at - 1);

				if (json_is_true(json_object_get(entry, "empty_layer")))
					continue;
				if (!layer)
					return;
				x->makers[--layer] = (struct maker){ &t->steps[i], t };
			}
		}
	}
}

static bool is_ours(const struct looking *x, size_t layer)
{
	return x->makers[layer].step != NULL;
}

static bool is_visible(const struct looking *x, size_t layer, const struct toc_entry *t)
{
	size_t from;

	return toc_view_find(&x->view, t->path, &from) && from == layer;
}

static void tell(struct looking *x, const char *rule, size_t layer, struct buf *text)
{
	const struct maker *m = &x->makers[layer];

	lint_add(x->l, rule, &m->step->place, m->target, text);
}

static bool begins(const char *path, const char *prefix)
{
	return !strncmp(path, prefix, strlen(prefix));
}

static bool ends(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

static bool is_package_list(const char *path)
{
	return begins(path, "var/lib/apt/lists/") ||
	       begins(path, "var/cache/apk/APKINDEX");
}

static bool is_cache(const char *path)
{
	static const char *const dirs[] = {
		"var/cache/dnf/",
		"var/cache/yum/",
		"root/.cache/pip/",
		"root/.npm/_cacache/",
		"root/.cache/yarn/",
		"usr/local/share/.cache/",
		"root/.cache/go-build/",
		"root/go/pkg/mod/cache/",
		"go/pkg/mod/cache/",
		"root/.cargo/registry/cache/",
		"usr/local/cargo/registry/cache/",
		"root/.gradle/caches/",
	};

	if (begins(path, "var/cache/apt/"))
		return ends(path, ".deb") || ends(path, "pkgcache.bin");
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if (begins(path, dirs[i]))
			return true;
	return false;
}

/* Files of a layer that `is` finds, if they are so many bytes together. */
static void check_left(struct looking *x, size_t layer, const char *rule,
                       bool (*is)(const char *path), int64_t min)
{
	const struct toc *toc = x->view.layers[layer];
	AUTO_FREE char *dir = NULL;
	struct buf text = BUF_INIT;
	int64_t bytes = 0;

	for (size_t i = 0; i < toc->n; i++) {
		if (toc->at[i].type != TOC_FILE || !is(toc->at[i].path))
			continue;
		bytes += toc->at[i].size;
		if (!dir)
			dir = path_dir(toc->at[i].path);
	}
	if (bytes < min)
		return;
	human_size(&text, bytes);
	buf_addf(
		&text,
		" below /%s stay in the layer: keep them in a cache, as run { …, cache = { "
		"… } }, or remove them in the same step",
		dir);
	tell(x, rule, layer, &text);
}

/* What a layer has that a later one hides. */
static void check_wasted(struct looking *x, size_t layer)
{
	const struct toc *toc = x->view.layers[layer];
	const struct toc_entry *largest = NULL;
	struct buf text = BUF_INIT;
	int64_t bytes = 0;

	for (size_t i = 0; i < toc->n; i++) {
		const struct toc_entry *t = &toc->at[i];

		if (t->type != TOC_FILE || is_visible(x, layer, t))
			continue;
		bytes += t->size;
		if (!largest || t->size > largest->size)
			largest = t;
	}
	if (bytes < WASTED_MIN)
		return;
	human_size(&text, bytes);
	buf_adds(&text,
	         " of this layer are removed or replaced by later ones, and are sent "
	         "all the same (most of it /");
	buf_add_printable(&text, largest->path, strlen(largest->path));
	buf_adds(&text,
	         "): remove them in this step, or put the steps into one layer { … }");
	tell(x, "wasted", layer, &text);
}

static void check_huge(struct looking *x, size_t layer)
{
	const struct toc *toc = x->view.layers[layer];

	for (size_t i = 0; i < toc->n; i++) {
		struct buf text = BUF_INIT;

		if (toc->at[i].type != TOC_FILE || toc->at[i].size < HUGE_FILE)
			continue;
		buf_adds(&text, "/");
		buf_add_printable(&text, toc->at[i].path, strlen(toc->at[i].path));
		buf_adds(&text, " has ");
		human_size(&text, toc->at[i].size);
		buf_adds(&text, ": leave it out, or give it a step of its own");
		tell(x, "huge-file", layer, &text);
		return;
	}
}

static void check_git(struct looking *x, size_t layer)
{
	const struct toc *toc = x->view.layers[layer];

	for (size_t i = 0; i < toc->n; i++) {
		const char *path = toc->at[i].path;
		struct buf text = BUF_INIT;

		if (toc->at[i].type != TOC_FILE ||
		    !(ends(path, "/.git/HEAD") || !strcmp(path, ".git/HEAD")))
			continue;
		buf_adds(&text, "/");
		buf_add_printable(&text, path, strlen(path) - strlen("/HEAD"));
		buf_adds(&text,
		         " is in the image, with all of the history: name .git in the "
		         "ignore file");
		tell(x, "git-directory", layer, &text);
		return;
	}
}

static void check_tools(struct looking *x, size_t layer)
{
	static const char *const tools[] = {
		"usr/bin/gcc",
		"usr/bin/g++",
		"usr/bin/clang",
		"usr/bin/cmake",
		"usr/bin/go",
		"usr/local/go/bin/go",
		"usr/bin/rustc",
		"usr/bin/cargo",
		"root/.cargo/bin/cargo",
		"usr/local/cargo/bin/cargo",
		"usr/bin/javac",
		"usr/bin/ghc",
	};
	struct buf text = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
		size_t from;

		if (toc_view_find(&x->view, tools[i], &from) && from == layer)
			buf_addf(&text, "%s/%s", text.len ? ", " : "", tools[i]);
	}
	if (!text.len)
		return;
	buf_addf(
		&text,
		" in image '%s', which is run: build in a stage, and copy what came of it",
		x->target->name);
	tell(x, "build-tools", layer, &text);
}

/* A file of which the name says that it may hold a secret, and the text that says that it
 * does. */
struct secret_name {
	const char *end;    /* of the path */
	const char *needle; /* NULL: whatever it holds */
};

static const struct secret_name secret_names[] = {
	{ "/.env", "=" },
	{ "/.npmrc", "_authToken=" },
	{ "/.npmrc", "_password=" },
	{ "/.pypirc", "password" },
	{ "/.netrc", "password" },
	{ "/.git-credentials", "://" },
	{ "/.docker/config.json", "\"auth\"" },
	{ "/.aws/credentials", "aws_secret_access_key" },
	{ "/id_rsa", "PRIVATE KEY" },
	{ "/id_ecdsa", "PRIVATE KEY" },
	{ "/id_ed25519", "PRIVATE KEY" },
	{ ".pem", "PRIVATE KEY-----" },
	{ ".key", "PRIVATE KEY-----" },
};

/* Packages bring keys for their own tests, which protect nothing. */
static bool is_for_tests(const char *path)
{
	static const char *const parts[] = { "node_modules/",  "site-packages/",
		                             "dist-packages/", "/test",
		                             "testdata/",      "ssl-cert-snakeoil" };

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (strstr(path, parts[i]))
			return true;
	return false;
}

static bool may_be_secret(const struct toc_entry *t, const struct secret_name *s)
{
	AUTO_BUF path = BUF_INIT;

	if (t->type != TOC_FILE || !t->size || t->size > SECRET_MAX)
		return false;
	buf_addf(&path, "/%s", t->path);
	return ends(path.s, s->end) && !is_for_tests(path.s);
}

static bool any_may_be_secret(const struct toc_entry *t)
{
	for (size_t i = 0; i < ARRAY_LEN(secret_names); i++)
		if (may_be_secret(t, &secret_names[i]))
			return true;
	return false;
}

static int read_rest(struct tar_reader *in, struct buf *out, struct err *e)
{
	char part[8192];
	ssize_t n;

	while ((n = tar_reader_data(in, part, sizeof(part), e)) > 0)
		buf_add(out, part, (size_t)n);
	return (int)n;
}

static void judge(struct looking *x, size_t layer, const struct toc_entry *t,
                  const struct buf *content)
{
	for (size_t i = 0; i < ARRAY_LEN(secret_names); i++) {
		const struct secret_name *s = &secret_names[i];
		struct buf text = BUF_INIT;

		if (!may_be_secret(t, s) ||
		    !memmem(content->s, content->len, s->needle, strlen(s->needle)))
			continue;
		buf_adds(&text, "/");
		buf_add_printable(&text, t->path, strlen(t->path));
		buf_adds(&text,
		         " holds a secret, which everybody can read who has the image: "
		         "leave it out (the ignore file), show it to the step that needs "
		         "it as run { …, secret = { … } }, and change it");
		tell(x, "secret-file", layer, &text);
		return;
	}
}

static int read_candidates(struct looking *x, size_t layer, struct tar_reader *in,
                           struct err *e)
{
	struct toc_entry entry;
	int got;

	while ((got = tar_reader_next(in, &entry, e)) > 0) {
		AUTO_BUF content = BUF_INIT;

		if (!any_may_be_secret(&entry))
			continue;
		if (read_rest(in, &content, e) < 0)
			return -1;
		judge(x, layer, &entry, &content);
	}
	return got;
}

static bool has_candidates(const struct toc *toc)
{
	for (size_t i = 0; i < toc->n; i++)
		if (any_may_be_secret(&toc->at[i]))
			return true;
	return false;
}

/* Streams a layer only where a name in its table calls for it. */
static int check_secrets(struct looking *x, size_t layer, struct err *e)
{
	const struct descriptor *d = &x->image.manifest.layers[layer];
	enum codec codec = CODEC_NONE;
	struct fd_source file;
	struct decoder *decoder;
	struct tar_reader *in;
	int fd, rc;

	if (!has_candidates(x->view.layers[layer]))
		return 0;
	if (media_layer_codec(d->media_type, &codec, e) < 0)
		return -1;
	fd = blobs_get(x->l->s->store.blobs, &d->digest, NULL, e);
	if (fd < 0)
		return -1;
	fd_source_init(&file, fd, "a layer");
	decoder = decoder_new(codec, &file.source, NULL);
	in = tar_reader_new(decoder_source(decoder), true, NULL);
	rc = read_candidates(x, layer, in, e);
	tar_reader_free(in);
	decoder_free(decoder);
	close(fd);
	return rc;
}

struct copy {
	const struct toc_entry *entry;
	size_t layer;
};

struct copies {
	struct looking *x;
	VEC(struct copy) list;
};

static int add_copy(void *self, const struct toc_entry *t, size_t layer)
{
	struct copies *c = self;

	if (t->type == TOC_FILE && t->size >= TWICE_MIN && is_ours(c->x, layer))
		vec_push(&c->list, ((struct copy){ t, layer }));
	return 0;
}

static int by_content(const void *a, const void *b)
{
	const struct copy *x = a, *y = b;
	int c = memcmp(&x->entry->digest, &y->entry->digest, sizeof(x->entry->digest));

	return c ? c : strcmp(x->entry->path, y->entry->path);
}

static void check_twice(struct looking *x)
{
	struct copies c = { .x = x };

	toc_view_walk(&x->view, "", add_copy, &c);
	if (c.list.len)
		qsort(c.list.at, c.list.len, sizeof(*c.list.at), by_content);
	for (size_t i = 1; i < c.list.len; i++) {
		const struct copy *a = &c.list.at[i - 1], *b = &c.list.at[i];
		struct buf text = BUF_INIT;

		if (!digest_equal(&a->entry->digest, &b->entry->digest))
			continue;
		buf_adds(&text, "/");
		buf_add_printable(&text, a->entry->path, strlen(a->entry->path));
		buf_adds(&text, " and /");
		buf_add_printable(&text, b->entry->path, strlen(b->entry->path));
		buf_adds(&text, " are the same ");
		human_size(&text, b->entry->size);
		buf_adds(&text, ": copy it once, and make the other a symlink { … }");
		tell(x, "duplicate-files", b->layer > a->layer ? b->layer : a->layer,
		     &text);
	}
	vec_fini(&c.list);
}

static bool is_root(const char *user)
{
	size_t n = user ? strcspn(user, ":") : 0;

	return !n || (n == 1 && *user == '0') || (n == 4 && !strncmp(user, "root", 4));
}

static void check_user(struct looking *x)
{
	struct buf text = BUF_INIT;

	if (!x->runs || !is_root(config_user(&x->image.config)))
		return;
	buf_addf(
		&text,
		"image '%s' runs as root: end its steps with user \"65534:65534\", or an "
		"account of its own",
		x->target->name);
	lint_add(x->l, "root-user", &x->target->place, x->target, &text);
}

static bool is_below_others(const struct recipe *r, const struct target *t)
{
	for (size_t i = 0; i < r->n_targets; i++)
		if (r->targets[i]->from == t)
			return true;
	return false;
}

/* What a base says is run, such as a shell, says not that this image is to be. */
static bool says_what_to_run(const struct target *t)
{
	for (; t && t->kind != TARGET_BASE; t = t->from)
		for (size_t i = 0; i < t->n_steps; i++) {
			const json_t *c = t->steps[i].kind == STEP_CONFIG
			                          ? t->steps[i].config
			                          : NULL;

			if (json_array_size(json_object_get(c, "entrypoint")) ||
			    json_array_size(json_object_get(c, "cmd")))
				return true;
		}
	return false;
}

static void not_seen(struct looking *x, const char *why)
{
	AUTO_BUF text = BUF_INIT;

	buf_addf(&text, "%s: %s", x->target->name, why);
	strlist_add(&x->l->not_seen, text.s);
}

static int check_layers(struct looking *x, struct err *e)
{
	for (size_t i = 0; i < x->view.n; i++) {
		if (!is_ours(x, i))
			continue;
		if (!x->view.layers[i]->n) {
			not_seen(x, "the store does not know what one of them holds");
			continue;
		}
		check_left(x, i, "package-lists", is_package_list, LISTS_MIN);
		check_left(x, i, "cache-left", is_cache, CACHE_MIN);
		check_wasted(x, i);
		check_huge(x, i);
		check_git(x, i);
		if (x->runs)
			check_tools(x, i);
		if (check_secrets(x, i, e) < 0)
			return -1;
	}
	check_twice(x);
	check_user(x);
	return 0;
}

static int look(struct looking *x, struct err *e)
{
	struct session *s = x->l->s;

	if (image_tables_load_known(&x->tables, &s->store, &x->image, e) < 0)
		return -1;
	x->view = image_tables_view(&x->tables);
	x->makers = mem_alloc((x->view.n + 1) * sizeof(*x->makers));
	x->runs = !is_below_others(s->recipe, x->target) && says_what_to_run(x->target);
	find_makers(x);
	return check_layers(x, e);
}

int lint_image(struct lint *l, const struct target *t, struct err *e)
{
	const struct descriptor *root = build_root(l->s->build, t);
	struct looking x = { .l = l, .target = t };
	struct platform p;
	int rc;

	if (session_platform(l->s, &p, e) < 0)
		return -1;
	if (!image_can_open(l->s->store.blobs, root, &p)) {
		not_seen(&x, "its manifest is not in the store");
		return 0;
	}
	if (image_open(&x.image, l->s->store.blobs, root, &p, e) < 0)
		return -1;
	rc = look(&x, e);
	free(x.makers);
	image_tables_fini(&x.tables);
	image_fini(&x.image);
	return rc < 0 ? err_wrap(e, "look at image '%s'", t->name) : 0;
}
