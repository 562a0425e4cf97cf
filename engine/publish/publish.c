/* What a recipe's `publish` means for tags. */
#include <string.h>

#include "base/map.h"
#include "publish/deploy.h"
#include "publish/family.h"
#include "publish/version.h"

bool publish_family(const struct publish *p, struct family_options *out)
{
	*out = (struct family_options){
		.version = p->version,
		.rebuild = p->rebuild,
		.prefix = p->prefix,
		.variant = p->variant,
		.aliases = p->aliases.at,
		.n_aliases = p->aliases.n,
		.variants = p->variants.at,
		.n_variants = p->variants.n,
		.yanked = p->yanked.at,
		.n_yanked = p->yanked.n,
		.levels = p->levels.at,
		.n_levels = p->levels.n,
		.bare = p->is_default,
		.zero_major = p->zero_major,
		.channels = p->channels || p->channels_list.n,
		.channel_names = p->channels_list.at,
		.n_channel_names = p->channels_list.n,
		.immutable = p->immutable,
		.latest_line = p->latest_line,
	};
	out->latest = p->latest == LATEST_NEVER  ? FAMILY_LATEST_NEVER
	              : p->latest == LATEST_LINE ? FAMILY_LATEST_LINE
	                                         : FAMILY_LATEST_ANY;
	return p->version != NULL;
}

bool publish_is_release(const struct publish *p)
{
	struct family_options o;
	struct family f;
	struct err ignored;
	bool release;

	if (!publish_family(p, &o) || family_init(&f, &o, &ignored) < 0)
		return false;
	release = f.version.pre.n == 0;
	family_fini(&f);
	return release;
}

struct strings publish_tags(const struct publish *p)
{
	static const char *latest[] = { "latest" };

	if (p->tags.n || p->version)
		return p->tags;
	return (struct strings){ latest, 1 };
}

/* Who publishes a tag. */
struct claim {
	const struct target *target;
	const char *version; /* of a float; NULL: the tag is claimed for good */
};

struct claims {
	struct map by_tag; /* "host/repo:tag" → struct claim * */
	struct arena arena;
};

static bool versions_differ(const char *a, const char *b)
{
	return a && b && strcmp(a, b) != 0;
}

static int claim(struct claims *c, const struct target *t, const char *repo,
                 const char *tag, const char *version, struct err *e)
{
	const char *name = arena_printf(&c->arena, "%s:%s", repo, tag);
	struct claim *held = map_get(&c->by_tag, name);

	if (held && held->target != t && !versions_differ(held->version, version))
		return err_set(e, ERR_INVALID,
		               PLACE_FMT
		               "image '%s' publishes %s, and so does image '%s' (%s:%d)",
		               PLACE_ARG(t->publish->place), t->name, name,
		               held->target->name,
		               PLACE_ARG(held->target->publish->place));
	if (held)
		return 0;
	held = arena_alloc(&c->arena, sizeof(*held));
	*held = (struct claim){ t, version };
	map_put(&c->by_tag, name, held);
	return 0;
}

static int claim_family(struct claims *c, const struct target *t, const char *repo,
                        const struct family_options *o, struct err *e)
{
	const struct digest none = { { 0 } };
	struct tag_plan p;
	int rc = 0;

	if (family_plan(&p, o, &none, NULL, 0, e) < 0)
		return err_wrap(e, PLACE_FMT "image '%s'", PLACE_ARG(t->publish->place),
		                t->name);
	for (size_t i = 0; rc == 0 && i < p.n; i++)
		rc = claim(c, t, repo, p.at[i].tag, p.at[i].floating ? o->version : NULL,
		           e);
	tag_plan_fini(&p);
	return rc;
}

static int claim_repo(struct claims *c, const struct target *t, const char *text,
                      struct err *e)
{
	AUTO_FREE char *repo = NULL;
	struct strings tags = publish_tags(t->publish);
	struct family_options o;
	struct reference ref;

	if (reference_parse_repo(&ref, text, e) < 0)
		return err_wrap(e, PLACE_FMT "image '%s'", PLACE_ARG(t->publish->place),
		                t->name);
	repo = reference_repo_text(&ref);
	if (publish_family(t->publish, &o) && claim_family(c, t, repo, &o, e) < 0)
		return -1;
	for (size_t i = 0; i < tags.n; i++) {
		if (!reference_tag_valid(tags.at[i]))
			return err_set(e, ERR_INVALID,
			               PLACE_FMT "image '%s': '%s' is not a valid tag",
			               PLACE_ARG(t->publish->place), t->name, tags.at[i]);
		if (claim(c, t, repo, tags.at[i], NULL, e) < 0)
			return -1;
	}
	return 0;
}

int publish_check(const struct recipe *r, struct err *e)
{
	struct claims c = { .by_tag = MAP_INIT, .arena = ARENA_INIT };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->n_targets; i++) {
		const struct target *t = r->targets[i];

		for (size_t k = 0; rc == 0 && t->publish && k < t->publish->repos.n; k++)
			rc = claim_repo(&c, t, t->publish->repos.at[k], e);
	}
	map_fini(&c.by_tag);
	arena_fini(&c.arena);
	return rc;
}
