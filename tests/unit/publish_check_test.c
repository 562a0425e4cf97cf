#include "publish/deploy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* A recipe of images that publish to one repository each. */
struct fixture {
	struct recipe recipe;
	struct target targets[4], *list[4];
	struct publish publish[4];
	const char *repos[4][2];
};

static struct publish *add(struct fixture *f, const char *name, const char *repo,
                           const char *version)
{
	size_t i = f->recipe.n_targets++;
	struct publish *p = &f->publish[i];

	f->repos[i][0] = repo;
	*p = (struct publish){
		.place = { "Imagefile", (int)i + 1 },
		.repos = { f->repos[i], 1 },
		.version = version,
		.is_default = true,
		.immutable = true,
	};
	f->targets[i] =
		(struct target){ .kind = TARGET_IMAGE, .name = name, .publish = p };
	f->list[i] = &f->targets[i];
	f->recipe.targets = f->list;
	return p;
}

static void expect_fine(const struct fixture *f)
{
	struct err e;

	if (publish_check(&f->recipe, &e) < 0)
		fail_msg("%s", e.msg);
}

static void expect_clash(const struct fixture *f, const char *message)
{
	struct err e;

	assert_int_equal(publish_check(&f->recipe, &e), -1);
	assert_int_equal(e.code, ERR_INVALID);
	assert_string_equal(e.msg, message);
}

static void one_version_in_one_repository_is_one_targets(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	add(&f, "a", "registry.example.com/app", "1.2.3");
	add(&f, "b", "registry.example.com/other", "1.2.3");
	expect_fine(&f);
	add(&f, "c", "registry.example.com/app", "v1.2.3");
	expect_clash(
		&f,
		"Imagefile:3: image 'c' publishes registry.example.com/app:1.2.3, and so "
		"does image 'a' (Imagefile:1)");
}

static void versions_side_by_side_share_their_floats(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	add(&f, "a", "registry.example.com/python", "3.11.2");
	add(&f, "b", "registry.example.com/python", "3.12.1");
	expect_fine(&f);
}

static void variants_that_claim_one_alias_clash(void **state)
{
	const char *alias[] = { "alpine" };
	struct fixture f = { 0 };
	struct publish *p;

	(void)state;
	p = add(&f, "a", "registry.example.com/app", "1.0.0");
	p->variant = "alpine3.21";
	p->is_default = false;
	p->aliases = (struct strings){ alias, 1 };
	p = add(&f, "b", "registry.example.com/app", "1.0.0");
	p->variant = "alpine3.22";
	p->is_default = false;
	expect_fine(&f);
	p->aliases = (struct strings){ alias, 1 };
	expect_clash(
		&f,
		"Imagefile:2: image 'b' publishes registry.example.com/app:1.0.0-alpine, "
		"and so does image 'a' (Imagefile:1)");
}

static void a_plain_tag_is_nobody_elses_float(void **state)
{
	const char *latest[] = { "latest" };
	struct fixture f = { 0 };

	(void)state;
	add(&f, "a", "registry.example.com/app", "1.0.0");
	add(&f, "b", "registry.example.com/app", NULL)->tags =
		(struct strings){ latest, 1 };
	expect_clash(
		&f,
		"Imagefile:2: image 'b' publishes registry.example.com/app:latest, and so "
		"does image 'a' (Imagefile:1)");
}

static void neither_version_nor_tags_is_latest(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	add(&f, "a", "app", NULL);
	add(&f, "b", "docker.io/library/app", NULL);
	expect_clash(
		&f,
		"Imagefile:2: image 'b' publishes docker.io/library/app:latest, and so does "
		"image 'a' (Imagefile:1)");
}

static void what_cannot_be_published_is_said_with_its_place(void **state)
{
	const char *bad[] = { "not/a/tag" };
	struct fixture f = { 0 }, g = { 0 }, h = { 0 };
	struct err e;

	(void)state;
	add(&f, "a", "registry.example.com/app", "nightly");
	assert_int_equal(publish_check(&f.recipe, &e), -1);
	assert_non_null(
		strstr(e.msg, "Imagefile:1: image 'a': 'nightly' is not a version"));
	add(&g, "a", "registry.example.com/app", NULL)->tags = (struct strings){ bad, 1 };
	expect_clash(&g, "Imagefile:1: image 'a': 'not/a/tag' is not a valid tag");
	add(&h, "a", "registry.example.com/UPPER case", "1.0.0");
	assert_int_equal(publish_check(&h.recipe, &e), -1);
	assert_non_null(strstr(e.msg, "Imagefile:1: "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_version_in_one_repository_is_one_targets),
		cmocka_unit_test(versions_side_by_side_share_their_floats),
		cmocka_unit_test(variants_that_claim_one_alias_clash),
		cmocka_unit_test(a_plain_tag_is_nobody_elses_float),
		cmocka_unit_test(neither_version_nor_tags_is_latest),
		cmocka_unit_test(what_cannot_be_published_is_said_with_its_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
