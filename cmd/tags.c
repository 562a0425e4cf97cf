/* imgmake tags, promote: families of tags as the registry holds them, and new ones for
 * what is there. */
#include <string.h>

#include "cmd/commands.h"
#include "cmd/shipped.h"
#include "cmd/table.h"
#include "publish/deploy.h"
#include "publish/promote.h"
#include "publish/tags.h"

static const char *kind_text(enum tag_kind k)
{
	static const char *const texts[] = {
		[TAG_RELEASE] = "release",
		[TAG_PRERELEASE] = "prerelease",
		[TAG_FLOAT] = "float",
		[TAG_OTHER] = "",
	};

	return texts[k];
}

static json_t *list_json(const struct tag_list *l)
{
	json_t *all = json_array();

	for (size_t i = 0; i < l->n; i++) {
		const struct tag_row *r = &l->at[i];
		json_t *j = json_pack("{s:s,s:s,s:s,s:s}", "tag", r->tag, "kind",
		                      kind_text(r->kind), "series", r->series, "digest",
		                      DIGEST_STR(&r->digest));

		if (r->points_at)
			json_object_set_new(j, "points_at", json_string(r->points_at));
		json_array_append_new(all, j);
	}
	return json_pack("{s:s,s:o}", "repository", l->repo, "tags", all);
}

static void list_text(const struct tag_list *l, struct buf *out)
{
	static const char *const columns[] = { "TAG", "KIND", "DIGEST", "POINTS AT",
		                               NULL };
	struct table *table = table_new(columns);

	for (size_t i = 0; i < l->n; i++) {
		const struct tag_row *r = &l->at[i];

		table_add(table, r->tag);
		table_add(table, kind_text(r->kind));
		table_addf(table, "%.19s", DIGEST_STR(&r->digest));
		table_add(table, r->points_at ? r->points_at : "");
	}
	table_write(table, out);
	table_free(table);
}

/* The options of `promote` and `tags` that spell a family, as `publish` spells it in a
 * recipe. */
static void family_of(const struct options *o, struct family_options *f)
{
	*f = (struct family_options){
		.version = o->tag_version,
		.prefix = o->tag_prefix,
		.variant = o->tag_variant,
		.aliases = (const char *const *)o->tag_aliases.at,
		.n_aliases = o->tag_aliases.len,
		.variants = (const char *const *)o->tag_variants.at,
		.n_variants = o->tag_variants.len,
		.bare = !o->tag_variant,
		.zero_major = o->zero_major,
		.channels = o->channels,
		.immutable = true,
	};
}

/* The repository of a published target, or the word itself; its family options too. */
static int repo_of(struct session *s, const char *word, struct reference *ref,
                   struct family_options *family, struct err *e)
{
	struct target *t;
	struct err ignored;

	family_of(s->options, family);
	if (s->recipe && recipe_find(s->recipe, word, &t, &ignored) == 0) {
		if (!t->publish || !t->publish->repos.n)
			return err_set(e, ERR_INVALID, "'%s' is not published", t->name);
		publish_family(t->publish, family);
		if (s->options->tag_version)
			family->version = s->options->tag_version;
		word = t->publish->repos.at[0];
	}
	return reference_parse_repo(ref, word, e);
}

static int show_list(struct session *s, const struct reference *repo,
                     const struct family_options *family, const struct ship_options *ship,
                     struct err *e)
{
	AUTO_BUF out = BUF_INIT;
	struct tag_list list;

	if (tags_list(&list, repo, family, ship, e) < 0)
		return -1;
	if (s->options->json)
		session_print_json(s, list_json(&list));
	else
		list_text(&list, &out);
	session_print(s, &out);
	tag_list_fini(&list);
	return 0;
}

/* Of a version, what publishing it would move; without --version, what is there too. */
static int show_tags(struct session *s, const char *word, struct err *e)
{
	AUTO_BUF gap = BUF_INIT;
	struct family_options family;
	struct deploy_result moves;
	struct ship_options ship;
	struct reference repo;

	ship_options_of(s, true, &ship);
	if (repo_of(s, word, &repo, &family, e) < 0)
		return -1;
	if (!s->options->tag_version && show_list(s, &repo, &family, &ship, e) < 0)
		return -1;
	if (!family.version || (s->options->json && !s->options->tag_version))
		return 0;
	if (tags_would_move(&moves, &repo, &family, &ship, e) < 0)
		return -1;
	if (!s->options->tag_version)
		buf_addf(&gap, "\nIf %s were published:\n", family.version);
	session_print(s, &gap);
	shipped_print(s, &moves, true);
	return 0;
}

int cmd_tags(const struct options *o, struct terminal *t)
{
	struct session s;
	struct err e;

	if (session_open(&s, o, t,
	                 SESSION_RECIPE_IF_ANY | SESSION_STORE_READ | SESSION_REGISTRY,
	                 &e) < 0 ||
	    show_tags(&s, o->words.at[0], &e) < 0)
		return session_fail(&s, &e);
	return session_end(&s, 0);
}

int cmd_promote(const struct options *o, struct terminal *t)
{
	struct family_options family;
	struct deploy_result result;
	struct ship_options ship;
	struct session s;
	struct err e;

	family_of(o, &family);
	if (session_open(&s, o, t,
	                 SESSION_REGISTRY |
	                         (o->dry_run ? SESSION_STORE_READ : SESSION_STORE),
	                 &e) < 0)
		return session_fail(&s, &e);
	if (!o->tag_version) {
		err_set(&e, ERR_INVALID,
		        "promote needs --version, such as --version 1.2.3");
		return session_fail(&s, &e);
	}
	ship_options_of(&s, o->dry_run, &ship);
	if (promote(&result, o->words.at[0], o->promote_to, &family, &ship, &e) < 0)
		return session_fail(&s, &e);
	shipped_print(&s, &result, o->dry_run);
	return session_end(&s, 0);
}
