#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/toc.h"

enum { LAYERS_MAX = 8 };

struct fixture {
	struct toc toc[LAYERS_MAX];
	const struct toc *layers[LAYERS_MAX];
	struct toc_view view;
};

/* A layer from text: "d:etc f:etc/passwd l:lib>usr/lib w:old". */
static void layer(struct fixture *f, const char *text)
{
	struct toc *t = &f->toc[f->view.n];
	char *copy = mem_strdup(text), *save = NULL;

	*t = (struct toc)TOC_INIT;
	for (char *word = strtok_r(copy, " ", &save); word;
	     word = strtok_r(NULL, " ", &save)) {
		struct toc_entry e = { .path = word + 2, .type = (enum toc_type)word[0] };
		char *link = strchr(word, '>');

		if (link) {
			*link = '\0';
			e.link = link + 1;
		}
		toc_add(t, &e);
	}
	free(copy);
	toc_sort(t);
	f->layers[f->view.n++] = t;
	f->view.layers = f->layers;
}

static void done(struct fixture *f)
{
	for (size_t i = 0; i < f->view.n; i++)
		toc_fini(&f->toc[i]);
}

/* "f0": the type and layer of what is seen, "i1": implied, "-": nothing. */
static void sees(struct fixture *f, const char *path, const char *want)
{
	size_t at;
	const struct toc_entry *e = toc_view_find(&f->view, path, &at);
	char got[8] = "-";

	if (e) {
		got[0] = e == &toc_implied_dir ? 'i' : (char)e->type;
		got[1] = (char)('0' + at);
	}
	assert_string_equal(got, want);
}

static int note(void *self, const struct toc_entry *e, size_t at)
{
	struct buf *out = self;

	buf_addf(out, "%s%c%zu:%s", out->len ? " " : "", e->type, at, e->path);
	return 0;
}

static void walks(struct fixture *f, const char *path, const char *want)
{
	AUTO_BUF out = BUF_INIT;

	assert_int_equal(toc_view_walk(&f->view, path, note, &out), 0);
	assert_string_equal(out.s, want);
}

static void upper_layers_replace_lower_ones(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	layer(&f, "d:a f:a/x f:a/y");
	layer(&f, "d:a f:a/x");
	sees(&f, "a", "d1");
	sees(&f, "a/x", "f1");
	sees(&f, "a/y", "f0");
	sees(&f, "a/z", "-");
	walks(&f, "", "d1:a f1:a/x f0:a/y");
	done(&f);
}

static void whiteouts_hide_lower_layers_only(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	layer(&f, "d:a f:a/x d:b f:b/x f:c");
	layer(&f, "w:a w:b/x w:c");
	layer(&f, "f:c");
	sees(&f, "a", "-");
	sees(&f, "a/x", "-");
	sees(&f, "b", "d0");
	sees(&f, "b/x", "-");
	sees(&f, "c", "f2");
	walks(&f, "", "d0:b f2:c");
	done(&f);
}

static void a_whiteout_beside_new_content_hides_the_old_content(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	layer(&f, "d:a f:a/old d:b f:b/old");
	layer(&f, "w:a d:a f:a/new w:b f:b/new");
	sees(&f, "a", "d1");
	sees(&f, "a/new", "f1");
	sees(&f, "a/old", "-");
	sees(&f, "b", "i1");
	sees(&f, "b/new", "f1");
	sees(&f, "b/old", "-");
	walks(&f, "", "d1:a f1:a/new f1:b/new");
	done(&f);
}

static void a_file_in_the_place_of_a_directory_hides_its_content(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	layer(&f, "d:a d:a/b f:a/b/x f:a-c");
	layer(&f, "f:a");
	layer(&f, "d:a f:a/new");
	sees(&f, "a/b/x", "-");
	sees(&f, "a/b", "-");
	sees(&f, "a/new", "f2");
	sees(&f, "a-c", "f0");
	walks(&f, "", "d2:a f0:a-c f2:a/new");
	walks(&f, "a/b", "");
	done(&f);
}

static void opaque_directories_hide_what_lower_layers_have_in_them(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	layer(&f, "d:a f:a/x d:b f:b/x");
	layer(&f, "d:a o:a f:a/y o:b");
	sees(&f, "a", "d1");
	sees(&f, "a/x", "-");
	sees(&f, "a/y", "f1");
	sees(&f, "b", "d0");
	sees(&f, "b/x", "-");
	walks(&f, "", "d1:a f1:a/y d0:b");
	layer(&f, "o: f:z");
	sees(&f, "a", "-");
	sees(&f, "", "i0");
	walks(&f, "", "f2:z");
	done(&f);
}

static void neighbours_between_a_directory_and_its_content_are_not_hidden(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	layer(&f, "d:a f:a!x d:a-b f:a-b/x f:a/x f:a/z f:ab");
	layer(&f, "d:a o:a d:a-b o:a-b f:a/y");
	walks(&f, "", "d1:a f0:a!x d1:a-b f1:a/y f0:ab");
	walks(&f, "a", "d1:a f1:a/y");
	done(&f);
}

static void directories_without_entries_are_implied(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	layer(&f, "f:a/b/c");
	layer(&f, "w:x/y");
	sees(&f, "", "i0");
	sees(&f, "a", "i0");
	sees(&f, "a/b", "i0");
	sees(&f, "x", "-");
	assert_int_equal(toc_view_find(&f.view, "a", NULL)->mode, 0755);
	done(&f);
}

static void resolves(struct fixture *f, const char *path, bool last, const char *want)
{
	const struct toc_entry *there;
	AUTO_BUF out = BUF_INIT;
	struct err e;

	assert_int_equal(toc_view_resolve(&f->view, path, last, &out, &there, &e), 0);
	assert_string_equal(out.s, want);
	assert_ptr_equal(there, toc_view_find(&f->view, want, NULL));
}

static void symlinks_resolve_inside_the_root(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	layer(&f,
	      "d:usr d:usr/lib f:usr/lib/x l:lib>usr/lib l:abs>/usr l:out>../../../usr/lib "
	      "l:chain>abs/../lib l:dangling>nowhere/at l:usr/up>..");
	resolves(&f, "/lib/x", true, "usr/lib/x");
	resolves(&f, "abs/lib/x", true, "usr/lib/x");
	resolves(&f, "out/x", true, "usr/lib/x");
	resolves(&f, "chain/x", true, "usr/lib/x");
	resolves(&f, "lib", false, "lib");
	resolves(&f, "lib", true, "usr/lib");
	resolves(&f, "lib/", false, "usr/lib");
	resolves(&f, "../../usr/./lib//x", true, "usr/lib/x");
	resolves(&f, "dangling/more", true, "nowhere/at/more");
	resolves(&f, "usr/up/up", true, "up");
	resolves(&f, "new/../other", true, "other");
	resolves(&f, "", true, "");
	resolves(&f, "/..", true, "");
	done(&f);
}

static void loops_and_files_as_directories_are_errors(void **state)
{
	AUTO_BUF out = BUF_INIT;
	struct fixture f = { 0 };
	struct err e;

	(void)state;
	layer(&f, "l:a>b l:b>a f:file l:self>self/x");
	assert_int_equal(toc_view_resolve(&f.view, "a", true, &out, NULL, &e), -1);
	assert_int_equal(e.code, ERR_INVALID);
	assert_int_equal(toc_view_resolve(&f.view, "self", true, &out, NULL, &e), -1);
	assert_int_equal(toc_view_resolve(&f.view, "file/x", true, &out, NULL, &e), -1);
	assert_int_equal(toc_view_resolve(&f.view, "file/..", true, &out, NULL, &e), -1);
	assert_int_equal(toc_view_resolve(&f.view, "a", false, &out, NULL, &e), 0);
	done(&f);
}

static int stop_at_second(void *self, const struct toc_entry *e, size_t at)
{
	int *seen = self;

	(void)e, (void)at;
	return ++*seen == 2 ? 7 : 0;
}

static void a_walk_stops_when_told(void **state)
{
	struct fixture f = { 0 };
	int seen = 0;

	(void)state;
	layer(&f, "f:a f:b f:c");
	assert_int_equal(toc_view_walk(&f.view, "", stop_at_second, &seen), 7);
	assert_int_equal(seen, 2);
	done(&f);
}

struct walked {
	struct toc_view *view;
	char last[64];
	size_t count;
};

static int check_walked(void *self, const struct toc_entry *e, size_t at)
{
	struct walked *w = self;
	size_t found;

	assert_true(w->count == 0 || strcmp(w->last, e->path) < 0);
	strcpy(w->last, e->path);
	w->count++;
	assert_ptr_equal(toc_view_find(w->view, e->path, &found), e);
	assert_int_equal(found, at);
	return 0;
}

/* Paths of up to four components from a small alphabet, so that all kinds of collisions
 * happen. */
static const char *random_path(unsigned *seed, char out[64])
{
	static const char *const names[] = { "a", "a!", "a-b", "b" };
	int depth = 1 + rand_r(seed) % 4;

	out[0] = '\0';
	for (int i = 0; i < depth; i++) {
		strcat(out, i ? "/" : "");
		strcat(out, names[rand_r(seed) % 4]);
	}
	return out;
}

static void walk_and_find_agree(void **state)
{
	static const char types[] = "ddddfflwo";
	unsigned seed = 1;
	char path[64];

	(void)state;
	for (int round = 0; round < 300; round++) {
		struct fixture f = { 0 };
		struct walked w = { .view = &f.view };
		size_t seen = 0;

		for (int l = 0; l < 5; l++) {
			struct toc *t = &f.toc[l];

			*t = (struct toc)TOC_INIT;
			for (int i = 0; i < 25; i++)
				toc_add(t, &(struct toc_entry){
						   .type = (enum toc_type)
							   types[rand_r(&seed) % 9],
						   .path = random_path(&seed, path),
						   .link = "x" });
			toc_sort(t);
			f.layers[f.view.n++] = t;
		}
		f.view.layers = f.layers;
		toc_view_walk(&f.view, "", check_walked, &w);
		for (size_t l = 0; l < f.view.n; l++)
			for (size_t i = 0; i < f.toc[l].n; i++)
				seen += toc_view_find(&f.view, f.toc[l].at[i].path,
				                      NULL) == &f.toc[l].at[i];
		assert_int_equal(seen, w.count);
		done(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(upper_layers_replace_lower_ones),
		cmocka_unit_test(whiteouts_hide_lower_layers_only),
		cmocka_unit_test(a_whiteout_beside_new_content_hides_the_old_content),
		cmocka_unit_test(a_file_in_the_place_of_a_directory_hides_its_content),
		cmocka_unit_test(opaque_directories_hide_what_lower_layers_have_in_them),
		cmocka_unit_test(
			neighbours_between_a_directory_and_its_content_are_not_hidden),
		cmocka_unit_test(directories_without_entries_are_implied),
		cmocka_unit_test(symlinks_resolve_inside_the_root),
		cmocka_unit_test(loops_and_files_as_directories_are_errors),
		cmocka_unit_test(a_walk_stops_when_told),
		cmocka_unit_test(walk_and_find_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
