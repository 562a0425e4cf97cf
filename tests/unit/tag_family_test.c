#include "publish/tag_family.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "publish/version.h"

enum { HELD_MAX = 512 };

/* A registry's tags, written "1.2.3 1.2=1.2.9 1.2.3@mine": TAG[=annotated
 * version][@image]. */
struct held {
	struct held_tag at[HELD_MAX];
	size_t n;
	struct arena arena;
};

static void image_of(struct digest *d, const char *name)
{
	digest_of(d, name, strlen(name));
}

static void held_read(struct held *h, const char *text)
{
	char *save = NULL, *word;

	*h = (struct held){ .arena = ARENA_INIT };
	for (word = strtok_r(arena_strdup(&h->arena, text), " ", &save); word;
	     word = strtok_r(NULL, " ", &save)) {
		struct held_tag *t = &h->at[h->n++];
		char *image = strchr(word, '@'), *note;

		image_of(&t->image, image ? image + 1 : word);
		if (image)
			*image = '\0';
		note = strchr(word, '=');
		if (note)
			*note++ = '\0';
		t->tag = word;
		t->version = note;
	}
}

static const char *const actions[] = { "create", "move", "same", "keep" };

/* "1.2.3 1.2 1 latest" of what would be published; kept ones go to `kept` as "latest:
 * reason; ". */
static int plan_text(const struct family_options *o, const char *held,
                     struct buf *published, struct buf *kept, struct err *e)
{
	struct tag_plan p;
	struct digest image;
	struct held h;

	held_read(&h, held);
	image_of(&image, "mine");
	if (family_plan(&p, o, &image, h.at, h.n, e) < 0) {
		arena_fini(&h.arena);
		return -1;
	}
	for (size_t i = 0; i < p.n; i++) {
		assert_non_null(p.at[i].reason);
		assert_true(*p.at[i].reason);
		if (p.at[i].action == TAG_KEEP)
			buf_addf(kept, "%s: %s; ", p.at[i].tag, p.at[i].reason);
		else
			buf_addf(published, "%s%s", published->len ? " " : "",
			         p.at[i].tag);
	}
	tag_plan_fini(&p);
	arena_fini(&h.arena);
	return 0;
}

static void expect(const struct family_options *o, const char *held,
                   const char *published)
{
	AUTO_BUF got = BUF_INIT;
	AUTO_BUF kept = BUF_INIT;
	struct err e = { 0 };

	if (plan_text(o, held, &got, &kept, &e) < 0)
		fail_msg("%s: %s", o->version, e.msg);
	assert_string_equal(got.s, published);
}

static void expect_kept(const struct family_options *o, const char *held,
                        const char *reasons)
{
	AUTO_BUF got = BUF_INIT;
	AUTO_BUF kept = BUF_INIT;
	struct err e = { 0 };

	if (plan_text(o, held, &got, &kept, &e) < 0)
		fail_msg("%s: %s", o->version, e.msg);
	assert_string_equal(kept.s, reasons);
}

static void expect_error(const struct family_options *o, const char *held,
                         enum err_code code, const char *part)
{
	AUTO_BUF got = BUF_INIT;
	AUTO_BUF kept = BUF_INIT;
	struct err e = { 0 };

	assert_int_equal(plan_text(o, held, &got, &kept, &e), -1);
	assert_int_equal(e.code, code);
	if (!strstr(e.msg, part))
		fail_msg("'%s' lacks '%s'", e.msg, part);
}

#define OPTIONS(v, ...)                                                                  \
	(&(struct family_options){ .version = (v), .immutable = true, __VA_ARGS__ })
#define LIST(name, ...)                                                                  \
	.name = (const char *const[]){ __VA_ARGS__ },                                    \
	.n_##name = ARRAY_LEN(((const char *const[]){ __VA_ARGS__ }))

/* --- The table of 4-publishing.md, row by row
 * ------------------------------------------------- */

static void a_first_release_gets_the_whole_family(void **state)
{
	(void)state;
	expect(OPTIONS("v1.2.3"), "", "1.2.3 1.2 1 latest");
}

static void a_prefix_is_on_all_tags_but_latest(void **state)
{
	(void)state;
	expect(OPTIONS("v1.2.3", .prefix = "v"), "", "v1.2.3 v1.2 v1 latest");
	expect(OPTIONS("1.2.3", .prefix = "v"), "v1.2.4 v1.2", "v1.2.3");
	expect(OPTIONS("cli-1.2.3", .prefix = "cli-"), "server-9.0.0 9.0.0",
	       "cli-1.2.3 cli-1.2 cli-1 latest");
}

static void a_release_on_an_old_line_leaves_latest(void **state)
{
	const char *held = "2.0.1 2.0 2 latest 1.9.0 1.9 1";

	(void)state;
	expect(OPTIONS("1.9.1"), held, "1.9.1 1.9 1");
	expect_kept(OPTIONS("1.9.1"), held, "latest: 2.0.1 is newer; ");
}

static void a_patch_of_an_old_minor_moves_that_minor_only(void **state)
{
	(void)state;
	expect(OPTIONS("1.2.4"), "1.2.3 1.3.0", "1.2.4 1.2");
	expect_kept(OPTIONS("1.2.4"), "1.2.3 1.3.0",
	            "1: 1.3.0 is newer; latest: 1.3.0 is newer; ");
}

static void a_late_older_patch_gets_its_full_tag_alone(void **state)
{
	(void)state;
	expect(OPTIONS("1.2.2"), "1.2.3 1.2 1 latest", "1.2.2");
	expect_kept(OPTIONS("1.2.2"), "1.2.3 1.2 1 latest",
	            "1.2: 1.2.3 is newer; 1: 1.2.3 is newer; latest: 1.2.3 is newer; ");
}

static void components_are_numbers_and_not_text(void **state)
{
	(void)state;
	expect(OPTIONS("1.2.10"), "1.2.9 1.2", "1.2.10 1.2 1 latest");
	expect(OPTIONS("1.2.9"), "1.2.10 1.2", "1.2.9");
	expect(OPTIONS("1.0.99999999999999999999999999999999999998"),
	       "1.0.99999999999999999999999999999999999999",
	       "1.0.99999999999999999999999999999999999998");
	expect(OPTIONS("1.0.100000000000000000000000000000000000000"),
	       "1.0.99999999999999999999999999999999999999",
	       "1.0.100000000000000000000000000000000000000 1.0 1 latest");
}

static void a_prerelease_gets_its_full_tag_alone(void **state)
{
	(void)state;
	expect(OPTIONS("2.0.0-rc.1"), "1.9.9", "2.0.0-rc.1");
}

static void a_prerelease_moves_its_channel_when_asked_to(void **state)
{
	(void)state;
	expect(OPTIONS("2.0.0-rc.2", .channels = true), "2.0.0-rc.1 1.9.9",
	       "2.0.0-rc.2 2.0-rc 2-rc rc");
	expect(OPTIONS("2.0.0-rc.2", .channels = true),
	       "2.0.0-rc.10 2.0.0-beta.99 3.0.0 latest=3.0.0", "2.0.0-rc.2");
	expect(OPTIONS("2.0.0-rc.2", .channels = true),
	       "2.1.0-rc.1 2.0.0-beta.99 3.0.0 latest=3.0.0", "2.0.0-rc.2 2.0-rc");
	expect(OPTIONS("2.0.0-rc.2", .channels = true), "2.0-rc=2.0.0-rc.3 2-rc rc",
	       "2.0.0-rc.2");
	expect(OPTIONS("2.0.0-rc.2", .channels = true), "4-rc=4.1.0-rc.1",
	       "2.0.0-rc.2 2.0-rc 2-rc");
	expect(OPTIONS("2.0.0-beta1", .channels = true), "",
	       "2.0.0-beta1 2.0-beta 2-beta beta");
	expect(OPTIONS("2.0.0-1", .channels = true), "", "2.0.0-1");
	expect(OPTIONS("2.0.0-beta.1", .channels = true, LIST(channel_names, "rc")), "",
	       "2.0.0-beta.1");
	expect(OPTIONS("2.0.0-rc.1", .channels = true, .variant = "alpine"), "",
	       "2.0.0-rc.1-alpine 2.0-rc-alpine 2-rc-alpine rc-alpine");
}

static void zero_has_no_major_tag(void **state)
{
	(void)state;
	expect(OPTIONS("0.3.1"), "0.3.0", "0.3.1 0.3 latest");
	expect(OPTIONS("0.3.1", .zero_major = true), "0.3.0", "0.3.1 0.3 0 latest");
	expect(OPTIONS("0"), "", "0 latest");
}

static void build_metadata_is_written_with_an_underscore_and_never_orders(void **state)
{
	(void)state;
	expect(OPTIONS("1.2.3+b5"), "1.3.0", "1.2.3_b5 1.2");
	expect(OPTIONS("1.2.3+b5"), "1.2.3_b6 1.2 1 latest", "1.2.3_b5 1.2 1 latest");
	expect(OPTIONS("1.2.3+b5"), "1.2.4_b1 1.2 1 latest", "1.2.3_b5");
}

static void a_full_tag_never_changes_its_image(void **state)
{
	(void)state;
	expect_error(OPTIONS("1.2.3"), "1.2.3@other", ERR_EXISTS,
	             "1.2.3 already holds another");
	expect(OPTIONS("1.2.3"), "1.2.3@mine 1.2@mine", "1.2.3 1.2 1 latest");
	expect(&(struct family_options){ .version = "1.2.3" }, "1.2.3@other",
	       "1.2.3 1.2 1 latest");
}

static void an_unknown_image_under_a_full_tag_is_not_taken_for_ours(void **state)
{
	struct held_tag held = { .tag = "1.2.3" };
	struct tag_plan p;
	struct digest image;
	struct err e;

	(void)state;
	image_of(&image, "mine");
	assert_int_equal(family_plan(&p, OPTIONS("1.2.3"), &image, &held, 1, &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
}

static void another_variants_tags_are_another_series(void **state)
{
	(void)state;
	expect(OPTIONS("1.2.3", LIST(variants, "alpine")), "1.2.4-alpine",
	       "1.2.3 1.2 1 latest");
	expect(OPTIONS("1.2.3", .variant = "alpine"), "1.2.2-alpine 9.9.9",
	       "1.2.3-alpine 1.2-alpine 1-alpine alpine");
	expect(OPTIONS("1.2.3", .variant = "slim", LIST(variants, "alpine-slim")),
	       "1.2.4-alpine-slim", "1.2.3-slim 1.2-slim 1-slim slim");
	/* Not declared: a prerelease of the bare series. */
	expect(OPTIONS("1.2.3"), "1.2.4-alpine", "1.2.3 1.2 1 latest");
}

static void an_alias_is_a_series_of_its_own(void **state)
{
	const char *held = "1.2.9-alpine3.21 1.2.9-alpine";
	const struct family_options *o =
		OPTIONS("1.2.3", .variant = "alpine3.22", LIST(aliases, "alpine"));

	(void)state;
	expect(o, held,
	       "1.2.3-alpine3.22 1.2.3-alpine 1.2-alpine3.22 1-alpine3.22 alpine3.22");
	expect_kept(o, held,
	            "1.2-alpine: 1.2.9-alpine is newer; 1-alpine: 1.2.9-alpine is "
	            "newer; alpine: 1.2.9-alpine is newer; ");
}

static void the_default_variant_has_the_bare_tags_too(void **state)
{
	(void)state;
	expect(OPTIONS("1.2.3", .variant = "bookworm", .bare = true), "9.9.9",
	       "1.2.3-bookworm 1.2.3 1.2-bookworm 1.2 1-bookworm 1 bookworm");
}

static void two_components_have_no_minor(void **state)
{
	(void)state;
	expect(OPTIONS("1.2"), "1.1 1", "1.2 1 latest");
}

static void one_and_four_components_have_their_floats(void **state)
{
	(void)state;
	expect(OPTIONS("7"), "6 latest", "7 latest");
	expect(OPTIONS("5"), "6 latest", "5");
	expect(OPTIONS("1.2.3.4"), "1.2.3.3", "1.2.3.4 1.2.3 1.2 1 latest");
	expect(OPTIONS("1.2.3.4"), "1.2.4.0", "1.2.3.4 1.2.3");
	/* Tags of another length are no releases of this series. */
	expect(OPTIONS("1.2.3"), "2.0 20261120 2.0.0.1", "1.2.3 1.2 1 latest");
}

static void calendar_versions_keep_their_zeros(void **state)
{
	(void)state;
	expect(OPTIONS("2026.08.01"), "2026.07.30", "2026.08.01 2026.08 2026 latest");
	expect(OPTIONS("2026.08.01"), "2026.8.2", "2026.08.01");
}

static void a_floats_annotation_stands_for_a_pruned_release(void **state)
{
	const char *held = "1.2=1.2.9 1 latest";

	(void)state;
	expect(OPTIONS("1.2.3"), held, "1.2.3");
	expect_kept(
		OPTIONS("1.2.3"), held,
		"1.2: 1.2.9, which 1.2 holds, is newer; 1: 1.2.9, which 1.2 holds, is newer; "
		"latest: 1.2.9, which 1.2 holds, is newer; ");
	expect(OPTIONS("1.2.3"), "1.2=1.2.1 1=1.4.0", "1.2.3 1.2");
	expect(OPTIONS("1.2.3"), "latest=nightly", "1.2.3 1.2 1 latest");
	expect(OPTIONS("1.2.3"), "latest=v2.0.0", "1.2.3 1.2 1");
}

static void a_promoted_prerelease_under_a_release_float_is_its_release(void **state)
{
	(void)state;
	expect(OPTIONS("1.2.8"), "1.2=1.2.9-rc.3", "1.2.8");
	expect(OPTIONS("1.2.9"), "1.2=1.2.9-rc.3", "1.2.9 1.2 1 latest");
}

static void latest_may_be_bound_to_one_line(void **state)
{
	const char *held = "3.0.0 2.4.0";

	(void)state;
	expect(OPTIONS("2.4.1", .latest = FAMILY_LATEST_LINE, .latest_line = "2"), held,
	       "2.4.1 2.4 2 latest");
	expect(OPTIONS("2.4.1", .latest = FAMILY_LATEST_LINE, .latest_line = "2"),
	       "3.0.0 latest=3.0.0", "2.4.1 2.4 2 latest");
	expect(OPTIONS("3.0.1", .latest = FAMILY_LATEST_LINE, .latest_line = "2"), held,
	       "3.0.1 3.0 3");
	expect_kept(OPTIONS("3.0.1", .latest = FAMILY_LATEST_LINE, .latest_line = "2"),
	            held, "latest: latest follows 2, and 3.0.1 is not under it; ");
	expect(OPTIONS("2.3.9", .latest = FAMILY_LATEST_LINE, .latest_line = "2"), held,
	       "2.3.9 2.3");
	expect(OPTIONS("2.4.1", .latest = FAMILY_LATEST_NEVER), "", "2.4.1 2.4 2");
	expect_error(OPTIONS("2.4.1", .latest = FAMILY_LATEST_LINE, .latest_line = "two"),
	             "", ERR_INVALID, "latest = 'two'");
}

static void what_is_no_version_is_refused(void **state)
{
	static const char *const bad[] = {
		"nightly", "",          "1.2.3.4.5",      "1..2",       "1.2.",     ".1",
		"v",       "vv1.2",     "1.2.3-",         "1.2.3-a..b", "1.2.3+",   "-1",
		"1.2.3 ",  "1.2.3-a/b", "refs/heads/1.2", "1.2.x",      "1.2.3+b+c"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		expect_error(OPTIONS(bad[i]), "", ERR_INVALID,
		             *bad[i] ? "not a version" : "no version");
	expect_error(OPTIONS(NULL), "", ERR_INVALID, "no version");
}

/* --- The rest of the rules
 * -------------------------------------------------------------------- */

static void a_git_ref_is_a_version(void **state)
{
	(void)state;
	expect(OPTIONS("refs/tags/v1.2.3"), "", "1.2.3 1.2 1 latest");
	expect(OPTIONS("1.2.3-alpine", .variant = "alpine"), "",
	       "1.2.3-alpine 1.2-alpine 1-alpine alpine");
	expect_error(OPTIONS("1.2.3-alpine", LIST(variants, "alpine")), "", ERR_INVALID,
	             "names variant 'alpine'");
}

static void yanked_versions_do_not_count(void **state)
{
	(void)state;
	expect(OPTIONS("1.2.3", LIST(yanked, "1.2.4")), "1.2.4 1.2 1 latest",
	       "1.2.3 1.2 1 latest");
	expect(OPTIONS("1.2.3", LIST(yanked, "v1.2.4")), "1.2=1.2.4",
	       "1.2.3 1.2 1 latest");
	expect_kept(
		OPTIONS("1.2.4", LIST(yanked, "1.2.4")), "",
		"1.2: 1.2.4 is yanked; 1: 1.2.4 is yanked; latest: 1.2.4 is yanked; ");
}

static void a_rebuild_moves_the_versions_own_tag(void **state)
{
	(void)state;
	expect(OPTIONS("3.11.2", .rebuild = "20261120"), "3.11.2@other 3.11 3 latest",
	       "3.11.2-20261120 3.11.2 3.11 3 latest");
	expect(OPTIONS("3.11.2", .rebuild = "20261120"), "3.11.2 3.11.3 3.12.0",
	       "3.11.2-20261120 3.11.2");
	expect_error(OPTIONS("3.11.2", .rebuild = "20261120"), "3.11.2-20261120@other",
	             ERR_EXISTS, "3.11.2-20261120");
	expect_kept(OPTIONS("3.11.2", .rebuild = "20261119", LIST(levels, "full")),
	            "3.11.2-20261120 3.11.2", "3.11.2: 3.11.2-20261120 is newer; ");
	expect(OPTIONS("3.11.2", .rebuild = "1", .variant = "slim"), "",
	       "3.11.2-1-slim 3.11.2-slim 3.11-slim 3-slim slim");
	expect_error(OPTIONS("3.11.2-rc.1", .rebuild = "1"), "", ERR_INVALID,
	             "prerelease");
	expect_error(OPTIONS("3.11.2", .rebuild = "a b"), "", ERR_INVALID, "rebuild");
}

static void levels_choose_what_is_published(void **state)
{
	(void)state;
	expect(OPTIONS("1.2.3", LIST(levels, "full", "latest")), "", "1.2.3 latest");
	expect(OPTIONS("1.2.3.4", LIST(levels, "minor")), "", "1.2.3 1.2");
	expect_error(OPTIONS("1.2.3", LIST(levels, "patch")), "", ERR_INVALID,
	             "unknown level");
}

static void what_a_tag_cannot_hold_is_refused(void **state)
{
	char longest[200];

	(void)state;
	memset(longest, '1', sizeof(longest));
	longest[150] = '\0';
	expect_error(OPTIONS(longest), "", ERR_INVALID, "not a valid tag");
	expect_error(OPTIONS("1.2.3", .variant = "a/b"), "", ERR_INVALID,
	             "not a valid tag");
}

static void latest_is_shared_by_series_with_and_without_v(void **state)
{
	(void)state;
	expect(OPTIONS("1.9.1"), "v2.0.0 latest", "1.9.1 1.9 1");
	expect(OPTIONS("1.9.1", .prefix = "v"), "2.0.0 1.9.5 latest", "v1.9.1 v1.9 v1");
}

static void every_decision_says_what_it_does(void **state)
{
	struct tag_plan p;
	struct digest image;
	struct held h;
	struct err e;
	static const char *const want[] = { "1.2.3 same", "1.2 move", "1 keep",
		                            "latest create" };

	(void)state;
	held_read(&h, "1.2.3@mine 1.2 1=1.3.0");
	h.at[2].version = "1.3.0-rc.1";
	image_of(&image, "mine");
	assert_int_equal(family_plan(&p,
	                             OPTIONS("1.2.3", .latest = FAMILY_LATEST_LINE,
	                                     .latest_line = "1.2"),
	                             &image, h.at, h.n, &e),
	                 0);
	assert_int_equal(p.n, 4);
	for (size_t i = 0; i < p.n; i++) {
		char got[80];

		snprintf(got, sizeof(got), "%s %s", p.at[i].tag, actions[p.at[i].action]);
		assert_string_equal(got, want[i]);
		assert_int_equal(p.at[i].floating, i > 0);
	}
	tag_plan_fini(&p);
	arena_fini(&h.arena);
}

/* --- What must be looked at
 * -------------------------------------------------------------------- */

static void expect_wants(const struct family_options *o, const char *held,
                         const char *wants)
{
	AUTO_STRLIST got = STRLIST_INIT;
	AUTO_BUF text = BUF_INIT;
	struct held h;
	struct err e;

	held_read(&h, held);
	assert_int_equal(family_wants(o, h.at, h.n, &got, &e), 0);
	for (size_t i = 0; i < got.len; i++)
		buf_addf(&text, "%s%s", i ? " " : "", got.at[i]);
	assert_string_equal(text.s, wants);
	arena_fini(&h.arena);
}

static void only_tags_that_can_matter_are_fetched(void **state)
{
	(void)state;
	expect_wants(OPTIONS("1.2.3"), "", "");
	expect_wants(OPTIONS("1.2.3"), "1.2.2 1.2 1.1 1 0.9 latest edge", "1.2 1 latest");
	expect_wants(OPTIONS("1.2.3"), "1.2.3", "1.2.3");
	/* 2 may hold a release whose full tag is gone; with 3.0.0 seen, latest stays
	 * anyway. */
	expect_wants(OPTIONS("1.2.3"), "2 1.5", "2 1.5");
	expect_wants(OPTIONS("1.2.3"), "3.0.0 2 1.5", "1.5");
	expect_wants(OPTIONS("1.2.3", LIST(levels, "full", "major")), "1.2 1.1 2 latest",
	             "1.2 latest");
	expect_wants(OPTIONS("1.2.3", .variant = "alpine"),
	             "2 latest 1.2 2-alpine alpine", "alpine 2-alpine");
}

static void family_tags_need_no_registry(void **state)
{
	AUTO_STRLIST got = STRLIST_INIT;
	struct err e;

	(void)state;
	assert_int_equal(family_tags(OPTIONS("0.1.2"), &got, &e), 0);
	assert_int_equal(got.len, 3);
	assert_string_equal(got.at[2], "latest");
	assert_int_equal(family_tags(OPTIONS("edge"), &got, &e), -1);
}

/* --- Properties over random histories
 * ---------------------------------------------------------- */

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* A registry that does what plans say; each image is named by its version. */
struct registry {
	struct held_tag at[HELD_MAX];
	size_t n;
	struct arena arena;
};

static struct held_tag *registry_find(struct registry *r, const char *tag)
{
	for (size_t i = 0; i < r->n; i++)
		if (!strcmp(r->at[i].tag, tag))
			return &r->at[i];
	return NULL;
}

static int order_of(const char *a, const char *b)
{
	struct version x, y;

	assert_true(version_read(&x, a, strlen(a)));
	assert_true(version_read(&y, b, strlen(b)));
	return version_compare(&x, &y);
}

/* Publishes and returns how many tags were written. */
static int registry_publish(struct registry *r, const char *version)
{
	struct tag_plan p;
	struct digest image;
	struct err e;
	int written = 0;

	image_of(&image, version);
	if (family_plan(&p, OPTIONS(version, .channels = true), &image, r->at, r->n, &e) <
	    0)
		fail_msg("%s: %s", version, e.msg);
	for (size_t i = 0; i < p.n; i++) {
		const struct tag_decision *d = &p.at[i];
		struct held_tag *t = registry_find(r, d->tag);

		assert_int_equal(d->action == TAG_CREATE,
		                 t == NULL && d->action != TAG_KEEP);
		if (d->action != TAG_CREATE && d->action != TAG_MOVE)
			continue;
		written++;
		if (!t) {
			t = &r->at[r->n++];
			t->tag = arena_strdup(&r->arena, d->tag);
		} else {
			assert_true(d->floating);
			assert_true(order_of(t->version, version) < 0); /* never backwards
			                                                 */
		}
		t->image = image;
		t->version = arena_strdup(&r->arena, version);
	}
	tag_plan_fini(&p);
	return written;
}

/* Whether `version` stands under `float_tag`: by the tags that it would have alone. */
static bool stands_under(const char *version, const char *float_tag)
{
	AUTO_STRLIST tags = STRLIST_INIT;
	struct err e;

	assert_int_equal(family_tags(OPTIONS(version, .channels = true), &tags, &e), 0);
	for (size_t i = 1; i < tags.len; i++)
		if (!strcmp(tags.at[i], float_tag))
			return true;
	return false;
}

static void check_floats(struct registry *r, char versions[][32], size_t n)
{
	for (size_t i = 0; i < r->n; i++) {
		const char *best = NULL;

		for (size_t k = 0; k < n; k++)
			if (stands_under(versions[k], r->at[i].tag) &&
			    (!best || order_of(versions[k], best) > 0))
				best = versions[k];
		if (best)
			assert_int_equal(order_of(r->at[i].version, best), 0);
	}
}

static size_t random_versions(uint32_t *seed, char versions[][32], size_t want)
{
	size_t n = 0;

	while (n < want) {
		char *v = versions[n];
		bool seen = false;

		snprintf(v, 32, "%u.%u.%u%s", next_random(seed) % 3,
		         next_random(seed) % 3 + 8, next_random(seed) % 4 + 8,
		         next_random(seed) % 4
		                 ? ""
		                 : (next_random(seed) % 2 ? "-rc.9" : "-rc.10"));
		for (size_t i = 0; i < n; i++)
			seen = seen || !strcmp(versions[i], v);
		n += !seen;
	}
	return n;
}

static void any_order_of_releases_ends_in_the_same_floats(void **state)
{
	enum { HISTORIES = 200, RELEASES = 14 };
	uint32_t seed = 20261120;

	(void)state;
	for (int round = 0; round < HISTORIES; round++) {
		char versions[RELEASES][32];
		size_t n = random_versions(&seed, versions, RELEASES);
		struct registry r = { .arena = ARENA_INIT };

		for (size_t i = 0; i < n; i++) {
			assert_true(registry_publish(&r, versions[i]) > 0);
			assert_int_equal(registry_publish(&r, versions[i]), 0);
			check_floats(&r, versions, i + 1);
		}
		/* Publishing any of them again changes nothing either. */
		assert_int_equal(registry_publish(&r, versions[next_random(&seed) % n]),
		                 0);
		arena_fini(&r.arena);
	}
}

static void pruned_full_tags_do_not_let_a_float_go_back(void **state)
{
	enum { HISTORIES = 200, RELEASES = 12 };
	uint32_t seed = 7;

	(void)state;
	for (int round = 0; round < HISTORIES; round++) {
		char versions[RELEASES][32];
		size_t n = random_versions(&seed, versions, RELEASES);
		struct registry r = { .arena = ARENA_INIT };

		for (size_t i = 0; i < n; i++) {
			registry_publish(&r, versions[i]); /* asserts on every move */
			if (next_random(&seed) % 2) {
				struct held_tag *t = registry_find(&r, versions[i]);

				*t = r.at[--r.n];
			}
		}
		check_floats(&r, versions, n);
		arena_fini(&r.arena);
	}
}

static void semver_orders_prereleases(void **state)
{
	static const char *const rising[] = {
		"1.0.0-alpha",  "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta",
		"1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1",       "1.0.0",
		"1.0.1-0",      "1.0.1-0.0",     "1.0.1--",          "1.0.1"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rising); i++)
		for (size_t k = 0; k < ARRAY_LEN(rising); k++)
			assert_int_equal(order_of(rising[i], rising[k]),
			                 (i > k) - (i < k));
	assert_int_equal(order_of("1.2", "1.2.0"), 0);
	assert_int_equal(order_of("1.2.3+a", "1.2.3_b"), 0);
	assert_int_equal(order_of("01.002", "1.2"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_first_release_gets_the_whole_family),
		cmocka_unit_test(a_prefix_is_on_all_tags_but_latest),
		cmocka_unit_test(a_release_on_an_old_line_leaves_latest),
		cmocka_unit_test(a_patch_of_an_old_minor_moves_that_minor_only),
		cmocka_unit_test(a_late_older_patch_gets_its_full_tag_alone),
		cmocka_unit_test(components_are_numbers_and_not_text),
		cmocka_unit_test(a_prerelease_gets_its_full_tag_alone),
		cmocka_unit_test(a_prerelease_moves_its_channel_when_asked_to),
		cmocka_unit_test(zero_has_no_major_tag),
		cmocka_unit_test(
			build_metadata_is_written_with_an_underscore_and_never_orders),
		cmocka_unit_test(a_full_tag_never_changes_its_image),
		cmocka_unit_test(an_unknown_image_under_a_full_tag_is_not_taken_for_ours),
		cmocka_unit_test(another_variants_tags_are_another_series),
		cmocka_unit_test(an_alias_is_a_series_of_its_own),
		cmocka_unit_test(the_default_variant_has_the_bare_tags_too),
		cmocka_unit_test(two_components_have_no_minor),
		cmocka_unit_test(one_and_four_components_have_their_floats),
		cmocka_unit_test(calendar_versions_keep_their_zeros),
		cmocka_unit_test(a_floats_annotation_stands_for_a_pruned_release),
		cmocka_unit_test(
			a_promoted_prerelease_under_a_release_float_is_its_release),
		cmocka_unit_test(latest_may_be_bound_to_one_line),
		cmocka_unit_test(what_is_no_version_is_refused),
		cmocka_unit_test(a_git_ref_is_a_version),
		cmocka_unit_test(yanked_versions_do_not_count),
		cmocka_unit_test(a_rebuild_moves_the_versions_own_tag),
		cmocka_unit_test(levels_choose_what_is_published),
		cmocka_unit_test(what_a_tag_cannot_hold_is_refused),
		cmocka_unit_test(latest_is_shared_by_series_with_and_without_v),
		cmocka_unit_test(every_decision_says_what_it_does),
		cmocka_unit_test(only_tags_that_can_matter_are_fetched),
		cmocka_unit_test(family_tags_need_no_registry),
		cmocka_unit_test(any_order_of_releases_ends_in_the_same_floats),
		cmocka_unit_test(pruned_full_tags_do_not_let_a_float_go_back),
		cmocka_unit_test(semver_orders_prereleases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
