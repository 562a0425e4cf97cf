/* imgmake pull, push, copy: images between registries and the store. */
#include "cmd/commands.h"
#include "cmd/shipped.h"
#include "publish/copy.h"

/* NULL without --platform: all of them. */
static int only_platform(struct session *s, struct platform *space, struct platform **out,
                         struct err *e)
{
	*out = s->options->platforms.len ? space : NULL;
	return *out ? session_platform(s, space, e) : 0;
}

int cmd_pull(const struct options *o, struct terminal *t)
{
	struct platform p, *only;
	struct ship_options ship;
	struct descriptor root;
	struct session s;
	struct err e;

	if (session_open(&s, o, t, SESSION_STORE | SESSION_REGISTRY, &e) < 0)
		return session_fail(&s, &e);
	ship_options_of(&s, false, &ship);
	if (only_platform(&s, &p, &only, &e) < 0 ||
	    image_pull(&root, o->words.at[0], only, &ship, &e) < 0)
		return session_fail(&s, &e);
	shipped_note_received(&s);
	session_print_root(&s, &root);
	return session_end(&s, 0);
}

int cmd_push(const struct options *o, struct terminal *t)
{
	struct deploy_result result;
	struct ship_options ship;
	struct descriptor root;
	struct session s;
	struct err e;

	if (session_open(&s, o, t,
	                 SESSION_RECIPE_IF_ANY | SESSION_STORE | SESSION_REGISTRY |
	                         SESSION_BUILD,
	                 &e) < 0 ||
	    session_image(&s, o->words.at[0], false, &root, &e) < 0)
		return session_fail(&s, &e);
	ship_options_of(&s, o->dry_run, &ship);
	if (image_push(&result, o->words.at[0], &root, o->words.at[1], &ship, &e) < 0)
		return session_fail(&s, &e);
	shipped_print(&s, &result, o->dry_run);
	return session_end(&s, 0);
}

int cmd_copy(const struct options *o, struct terminal *t)
{
	struct platform p, *only;
	struct deploy_result result;
	struct ship_options ship;
	struct session s;
	struct err e;

	if (session_open(&s, o, t, SESSION_STORE | SESSION_REGISTRY, &e) < 0)
		return session_fail(&s, &e);
	ship_options_of(&s, o->dry_run, &ship);
	if (only_platform(&s, &p, &only, &e) < 0 ||
	    image_copy(&result, o->words.at[0], o->words.at[1], only, &ship, &e) < 0)
		return session_fail(&s, &e);
	shipped_print(&s, &result, o->dry_run);
	return session_end(&s, 0);
}
