/* Random images and random steps: layers unpacked one by one show what merging them
 * gives, and the layer made of a step's difference gives what the step saw. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "build/shard.h"
#include "os/fd.h"
#include "sandbox/copy.h"
#include "sandbox/diff.h"
#include "unit/sandboxing.h"

enum { IMAGES = 25 };

/* But for directories of mode 0755: one that no layer has an entry for, and of which all
 * is removed, is gone when merged, and empty when layers are applied one after the other.
 */
#define LIST                                                                                                            \
	"find . -mindepth 1 \\( -type d \\( -perm 755 -o -printf '%P %y %m\\n' \\) -o -type f -printf '%P %y %m %s\\n'" \
	" -exec sha256sum {} + -o -printf '%P %y %l\\n' \\) | LC_ALL=C sort"

/* With them. */
#define LIST_ALL                                                                         \
	"{ find . -mindepth 1 -printf '%P %y %m %l\\n'; find . -type f -exec sha256sum {} +; } | LC_ALL=C sort"

static unsigned draw(unsigned *seed, unsigned n)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 16) % n;
}

static void add_path(struct buf *out, unsigned *seed)
{
	for (unsigned n = 1 + draw(seed, 3); n > 0; n--)
		buf_addf(out, "%c%s", "abc"[draw(seed, 3)], n > 1 ? "/" : "");
}

static void random_layer(struct fixture *f, unsigned *seed)
{
	AUTO_BUF text = BUF_INIT;

	for (unsigned n = 1 + draw(seed, 8); n > 0; n--) {
		char type = "ddfffflhwwo"[draw(seed, 11)];

		buf_addf(&text, "%c:", type);
		add_path(&text, seed);
		if (type == 'f')
			buf_addf(&text, "=%u", draw(seed, 3));
		if (type == 'l' || type == 'h') {
			buf_addc(&text, '>');
			add_path(&text, seed);
		}
		buf_addc(&text, ' ');
	}
	layer(f, text.s);
}

static void random_step(struct buf *out, unsigned *seed)
{
	static const char *const ops[] = {
		"rm -rf",    "mkdir -m 700 -p", "printf x >", "printf 1 >",
		"chmod 755", "ln -sfn",         "ln",         "mv",
		"cp -a",     "rm -rf",
	};

	for (unsigned n = 1 + draw(seed, 12); n > 0; n--) {
		unsigned op = draw(seed, ARRAY_LEN(ops));

		buf_addf(out, "%s ", ops[op]);
		add_path(out, seed);
		if (op >= 5 && op < 9) {
			buf_addc(out, ' ');
			add_path(out, seed);
		}
		buf_addc(out, '\n');
	}
}

/* The layer that the difference is, on top of the fixture's; as builds make it. */
static void add_difference(struct fixture *f, const struct toc_view *v,
                           const struct diff *d, int upper)
{
	static const struct history by_us = { .created_by = "step" };
	struct pack_options how = { .store = f->blobs, .codec = CODEC_NONE };
	struct content bytes = { .kind = CONTENT_PATH, .fd = upper };
	struct arena arena = ARENA_INIT;
	struct shards whole;
	struct layer made;
	struct tree t;
	struct err e;
	int rc = 0;

	tree_init(&t, &arena, v->layers, v->n, 5);
	for (size_t i = 0; rc == 0 && i < d->removed.n; i++)
		rc = tree_remove(&t, d->removed.at[i].path, &e);
	tree_next_step(&t);
	for (size_t i = 0; rc == 0 && i < d->entries.n; i++) {
		const struct toc_entry *x = &d->entries.at[i];

		bytes.path = x->path;
		rc = tree_put(&t, x, x->type == TOC_FILE ? &bytes : NULL, 0755, &e);
	}
	tree_cut(&t, &(struct shard_rule){ .layers = 1 }, &whole);
	if (rc < 0 || shard_pack(whole.at, &how, &made, &e) < 0)
		fail_msg("%s", e.msg);
	shards_fini(&whole);
	tree_fini(&t);
	arena_fini(&arena);
	f->layers[f->image.manifest.n_layers++] = made.blob;
	config_add_layer(&f->image.config, &made.diff_id, &by_us, 0);
}

static void encode(const struct diff *d, struct buf *out)
{
	toc_encode(&d->removed, out);
	toc_encode(&d->entries, out);
}

/* Without a mount, the same is seen. */
static void copy(struct fixture *f, const struct unpacked *u)
{
	AUTO_BUF upper = BUF_INIT;
	struct copy_options o = {
		.lower = (const char *const *)u->l.paths.at,
		.n_lower = u->l.paths.len,
	};
	struct err e;

	run(f, "mkdir copy");
	buf_addf(&upper, "%s/copy", f->dir);
	o.upper = upper.s;
	if (copy_layers(&o, &e) < 0)
		fail_msg("%s", e.msg);
	run(f, "(cd copy && " LIST ") >copy.list; diff -u fs.list copy.list");
}

/* And the same commands make the same difference there: if they did the same, which some
 * do not that go by a directory's order ("cp -a a a/a"). */
static void step_in_copy(struct fixture *f, const struct unpacked *u,
                         const char *commands, const struct buf *want)
{
	struct diff_options o = { .lower = layers_view(&u->l),
		                  .kind = DIFF_COPY,
		                  .mtime = 5 };
	AUTO_BUF script = BUF_INIT;
	AUTO_BUF got = BUF_INIT;
	struct diff d;
	struct err e;

	buf_adds(&script, "(cd copy && " LIST_ALL " >../copied.list\n(");
	buf_adds(&script, commands);
	buf_adds(&script, ") 2>/dev/null\n" LIST_ALL " >../changed.list)\n"
	                  "cmp -s all.list copied.list && cmp -s after.list changed.list"
	                  " && touch same; true");
	run(f, script.s);
	if (faccessat(f->fd, "same", F_OK, 0) < 0)
		return;
	o.upper = openat(f->fd, "copy", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (diff_read(&d, &o, &e) < 0)
		fail_msg("%s", e.msg);
	encode(&d, &got);
	if (got.len != want->len || memcmp(got.s, want->s, got.len) != 0)
		fail_msg("another difference where the layers were copied");
	diff_fini(&d);
	close(o.upper);
}

static void step(struct fixture *f, struct unpacked *u, unsigned *seed)
{
	struct diff_options o = { .lower = layers_view(&u->l),
		                  .kind = DIFF_OVERLAY,
		                  .mtime = 5 };
	AUTO_BUF commands = BUF_INIT;
	AUTO_BUF script = BUF_INIT;
	AUTO_BUF told = BUF_INIT;
	struct diff d;
	struct err e;

	random_step(&commands, seed);
	buf_adds(&script, "(cd m && " LIST ") >m.list; diff -u fs.list m.list || exit 1\n"
	                  "(cd fs && " LIST_ALL ") >all.list; cd m\n(");
	buf_adds(&script, commands.s);
	buf_adds(&script,
	         ") 2>/dev/null\n" LIST " >../m.list; " LIST_ALL " >../after.list");
	with_mount(u, script.s);
	o.upper = openat(f->fd, "up", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (diff_read(&d, &o, &e) < 0)
		fail_msg("%s", e.msg);
	encode(&d, &told);
	step_in_copy(f, u, commands.s, &told);
	add_difference(f, &o.lower, &d, o.upper);
	diff_fini(&d);
	close(o.upper);
	run(f, "rm -r fs");
	if (unpack_dir(f->blobs, &f->image, f->fd, "fs", NULL, &e) < 0)
		fail_msg("%s", e.msg);
	run(f, "(cd fs && " LIST ") >fs.list; diff -u m.list fs.list");
}

#define LIST_ROOTFS                                                                                                \
	"(cd store/rootfs && { find . ! -name '*.lock' -mindepth 2 -printf '%P %y %m %U %G %n %s %l ' \\( -type c" \
	" -printf '\\n' -o -printf '%T@\\n' \\); find . -type f ! -name '*.lock' -exec sha256sum {} +;"            \
	" getfattr -dR -m . .; } | LC_ALL=C sort)"

/* The same directories from files that the scan put beside. */
static void beside(struct fixture *f)
{
	struct layer_files *files[LAYERS_MAX];
	struct unpacked u;
	struct err e;

	run(f, LIST_ROOTFS " >plain; rm -r store/rootfs");
	unpacked_init(&u, f, NULL);
	scan_all_beside(&u, files);
	if (layers_open(&u.l, &u.o, &e) < 0)
		fail_msg("%s", e.msg);
	run(f, LIST_ROOTFS " | diff plain -");
	unpacked_fini(&u);
	for (size_t i = 0; i < f->image.manifest.n_layers; i++)
		layer_files_free(files[i]);
	run(f, "! ls store/files* 2>/dev/null");
}

/* 1: it is an image that merges. */
static int one_image(struct fixture *f, unsigned seed)
{
	struct unpacked u;
	struct err e;
	int rc;

	for (unsigned n = 1 + draw(&seed, LAYERS_MAX - 1); n > 0; n--)
		random_layer(f, &seed);
	if (unpack_dir(f->blobs, &f->image, f->fd, "fs", NULL, &e) < 0)
		return 0;
	run(f, "cd fs && " LIST " >../fs.list");
	unpacked_init(&u, f, NULL);
	rc = layers_open(&u.l, &u.o, &e);
	/* Such a link, which a layer above hides, is no matter to a merge. */
	if (rc < 0 && !strstr(e.msg, "which is no file"))
		fail_msg("%s", e.msg);
	if (rc == 0) {
		beside(f);
		copy(f, &u);
		step(f, &u, &seed);
	}
	unpacked_fini(&u);
	return rc == 0;
}

static void random_images_and_steps(void **state)
{
	int merged = 0;

	(void)state;
	if (geteuid() != 0)
		skip();
	for (unsigned seed = getenv("SEED") ? (unsigned)atoi(getenv("SEED")) : 1;
	     merged < IMAGES; seed++) {
		void *f;

		print_message("seed %u\n", seed);
		set_up(&f);
		merged += one_image(f, seed);
		tear_down(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(random_images_and_steps) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
