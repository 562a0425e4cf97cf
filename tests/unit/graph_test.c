#include "recipe/graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/nearest.h"
#include "base/vec.h"

static const char *const commands[] = { "build", "deploy", NULL };

static struct target *add(struct recipe *r, enum target_kind kind, const char *name)
{
	struct target *t = arena_alloc(&r->arena, sizeof(*t));
	struct target **list = arena_alloc(&r->arena, (r->n_targets + 1) * sizeof(*list));

	if (r->n_targets)
		memcpy(list, r->targets, r->n_targets * sizeof(*list));
	*t = (struct target){
		.kind = kind, .name = name, .dir = "", .index = r->n_targets
	};
	t->place = (struct place){ "Imagefile", (int)r->n_targets + 1 };
	list[r->n_targets++] = t;
	r->targets = list;
	return t;
}

static struct target *add_rule(struct recipe *r, const char *name, const char *output,
                               const char *dep)
{
	struct target *t = add(r, TARGET_FILE, name);

	t->output = output;
	if (dep) {
		t->deps.at = arena_memdup(&r->arena, &dep, sizeof(dep));
		t->deps.n = 1;
	}
	return t;
}

static struct target *add_copy(struct recipe *r, const char *name, const char *source,
                               struct target *from)
{
	struct target *t = add(r, TARGET_IMAGE, name);

	t->steps = arena_alloc(&r->arena, sizeof(*t->steps));
	t->n_steps = 1;
	t->steps->kind = STEP_COPY;
	t->steps->place = t->place;
	t->steps->copy.from = from;
	t->steps->copy.sources.at = arena_memdup(&r->arena, &source, sizeof(source));
	t->steps->copy.sources.n = 1;
	return t;
}

/* The names of what t needs, with spaces between. */
static void needs(struct recipe *r, const struct target *t, const char *expected)
{
	AUTO_FREE struct target **list = NULL;
	AUTO_BUF names = BUF_INIT;
	size_t n;

	recipe_index(r);
	graph_needs(r, t, &list, &n);
	for (size_t i = 0; i < n; i++)
		buf_addf(&names, "%s%s", i ? " " : "", list[i]->name);
	assert_string_equal(names.s, expected);
}

static void refused(struct recipe *r, const char *expected)
{
	struct err e;

	recipe_index(r);
	if (graph_check(r, commands, &e) == 0)
		fail_msg("accepted; expected: %s", expected);
	assert_string_equal(e.msg, expected);
	recipe_free(r);
}

static void a_copy_needs_the_rules_that_its_sources_name(void **state)
{
	struct recipe *r = recipe_new();
	struct target *bin, *dir, *in_dir;

	(void)state;
	bin = add_rule(r, "out/bin", "out/bin", NULL);
	dir = add_rule(r, "gen/", "gen", NULL);
	in_dir = add_rule(r, "api/x", "api/x", NULL);
	needs(r, add_copy(r, "a", "out/bin", NULL), "out/bin");
	needs(r, add_copy(r, "b", "out", NULL), "out/bin");
	needs(r, add_copy(r, "c", "out/*", NULL), "out/bin");
	needs(r, add_copy(r, "d", "o*", NULL), "out/bin");
	needs(r, add_copy(r, "e", "gen/deep/file", NULL), "gen/");
	needs(r, add_copy(r, "f", "gen/*.c", NULL), "gen/");
	needs(r, add_copy(r, "g", ".", NULL), "out/bin gen/ api/x");
	needs(r, add_copy(r, "h", "./out//bin", NULL), "out/bin");
	needs(r, add_copy(r, "i", "outer", NULL), "");
	needs(r, add_copy(r, "m", "**/bin", NULL), "out/bin gen/");
	needs(r, add_copy(r, "n", "./out/../gen/x?.c", NULL), "gen/");
	needs(r, add_copy(r, "o", "out-bin", NULL), "");
	needs(r, add_copy(r, "j", "out/bin", bin), "out/bin");
	add_copy(r, "k", "x", NULL)->dir = "api";
	needs(r, r->targets[r->n_targets - 1], "api/x");
	add_copy(r, "l", "out/bin", NULL)->dir = "api";
	needs(r, r->targets[r->n_targets - 1], "");
	assert_ptr_equal(graph_rule_for(r, "gen/a"), dir);
	assert_ptr_equal(graph_rule_for(r, "./api"), in_dir);
	assert_null(graph_rule_for(r, "nothing"));
	recipe_free(r);
}

static void a_rule_does_not_need_itself(void **state)
{
	struct recipe *r = recipe_new();

	(void)state;
	needs(r, add_rule(r, "a", "a", "*"), "");
	recipe_free(r);
}

static void needs_come_in_order_and_once(void **state)
{
	struct recipe *r = recipe_new();
	struct target *base = add(r, TARGET_BASE, "debian"),
		      *one = add(r, TARGET_STAGE, "one"), *t;

	(void)state;
	one->from = base;
	t = add_copy(r, "t", "/x", one);
	t->from = base;
	t->needs = (struct target *[]){ one, base };
	t->n_needs = 2;
	needs(r, t, "debian one");
	recipe_free(r);
}

static void cycles_are_named_all_the_way_round(void **state)
{
	struct recipe *r = recipe_new();

	(void)state;
	add_rule(r, "x", "x", "a");
	add_rule(r, "a", "a", "b");
	add_rule(r, "b", "b", "c");
	add_rule(r, "c", "c", "a");
	refused(r, "Imagefile:2: file 'a' needs itself: a → b → c → a");
}

static void names_are_unique_and_no_commands(void **state)
{
	struct recipe *r = recipe_new();

	(void)state;
	add(r, TARGET_BASE, "web");
	add(r, TARGET_IMAGE, "web");
	add(r, TARGET_TASK, "web");
	refused(r, "Imagefile:3: task 'web': the name is taken, at Imagefile:2");
	r = recipe_new();
	add(r, TARGET_IMAGE, "deploy");
	refused(r, "Imagefile:1: image 'deploy': that is the name of a command");
	r = recipe_new();
	add(r, TARGET_IMAGE, "default");
	refused(r,
	        "Imagefile:1: image 'default': the word stands for the default targets");
}

static void one_output_has_one_rule(void **state)
{
	struct recipe *r = recipe_new();

	(void)state;
	add_rule(r, "out/", "out", NULL);
	add_rule(r, "out/x", "out/x", NULL);
	refused(r,
	        "Imagefile:2: file 'out/x': the rule for 'out/' at Imagefile:1 makes it too");
}

static void a_source_of_files_must_have_files(void **state)
{
	struct recipe *r = recipe_new();

	(void)state;
	add_copy(r, "a", "/x", add(r, TARGET_TASK, "t"));
	refused(r, "Imagefile:2: copy: task 't' is no base, stage or image");
}

static void targets_are_found_by_name_and_by_output(void **state)
{
	struct recipe *r = recipe_new();
	struct target *web = add(r, TARGET_IMAGE, "web"),
		      *out = add_rule(r, "out/", "out", NULL), *t;
	struct err e;

	(void)state;
	recipe_index(r);
	assert_int_equal(recipe_find(r, "web", &t, &e), 0);
	assert_ptr_equal(t, web);
	assert_int_equal(recipe_find(r, "./out", &t, &e), 0);
	assert_ptr_equal(t, out);
	assert_int_equal(recipe_find(r, "wbe", &t, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_string_equal(e.msg, "no target 'wbe', did you mean 'web'?");
	assert_int_equal(recipe_find(r, "something", &t, &e), -1);
	assert_string_equal(e.msg, "no target 'something' ('imgmake list' shows them)");
	recipe_free(r);
}

static void nearest_names_are_near(void **state)
{
	static const char *const names[] = { "exclude", "env", "copy", "A", "latest" };

	(void)state;
	assert_string_equal(nearest_name("exlude", names, 5), "exclude");
	assert_string_equal(nearest_name("EXCLUDE", names, 5), "exclude");
	assert_string_equal(nearest_name("cpoy", names, 5), "copy");
	assert_string_equal(nearest_name("lates", names, 5), "latest");
	assert_null(nearest_name("completely", names, 5));
	assert_null(nearest_name("", names, 5));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_copy_needs_the_rules_that_its_sources_name),
		cmocka_unit_test(a_rule_does_not_need_itself),
		cmocka_unit_test(needs_come_in_order_and_once),
		cmocka_unit_test(cycles_are_named_all_the_way_round),
		cmocka_unit_test(names_are_unique_and_no_commands),
		cmocka_unit_test(one_output_has_one_rule),
		cmocka_unit_test(a_source_of_files_must_have_files),
		cmocka_unit_test(targets_are_found_by_name_and_by_output),
		cmocka_unit_test(nearest_names_are_near),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
