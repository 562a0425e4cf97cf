/* imgmake diff: what two images do not have alike. */
#include "cmd/compare.h"

#include "cmd/commands.h"
#include "cmd/opened.h"
#include "image/compare.h"
#include "store/blobs.h"

/* The name of a repository's image, of the first that has it. */
static int find_published(struct session *s, const struct target *t, const char *digest,
                          struct buf *name, struct err *e)
{
	const struct publish *p = t->publish;
	struct descriptor root;

	for (size_t i = 0; p && i < p->repos.n; i++) {
		buf_reset(name);
		buf_addf(name, "%s@%s", p->repos.at[i], digest);
		if (session_image(s, name->s, false, &root, e) == 0)
			return 0;
		if (e->code != ERR_NOT_FOUND)
			return -1;
	}
	return err_set(e, ERR_NOT_FOUND,
	               "%s is neither in the store nor where '%s' is published; name its "
	               "repository (REPOSITORY@%s)",
	               digest, t->name, digest);
}

/* A digest alone says not where it is. */
static int full_name(struct session *s, const struct comparison *c, struct buf *name,
                     struct err *e)
{
	struct descriptor root;
	struct digest d;
	struct err ignored;

	if (!c->target || digest_parse(&d, c->was, &ignored) < 0) {
		buf_adds(name, c->was);
		return 0;
	}
	if (image_peek(s->store.blobs, &d, &root, &ignored) == 0) {
		buf_adds(name, c->was);
		return 0;
	}
	return find_published(s, c->target, c->was, name, e);
}

static void tell(void *self, const char *what, const char *was, const char *is)
{
	struct comparison *c = self;

	c->n++;
	if (c->text) {
		buf_adds(c->text, c->indent);
		build_tell(c->text, what, was, is);
	}
	if (c->list)
		json_array_append_new(c->list, difference_json(what, was, is));
}

int compare_images(struct session *s, struct comparison *c, struct err *e)
{
	struct opened was = { 0 }, is = { 0 };
	AUTO_BUF name = BUF_INIT;
	int rc = -1;

	if (full_name(s, c, &name, e) == 0 && opened_init(&is, s, c->is, e) == 0 &&
	    opened_init(&was, s, name.s, e) == 0) {
		struct compared a = { &was.image, image_tables_view(&was.tables) },
				b = { &is.image, image_tables_view(&is.tables) };

		image_compare(&a, &b, tell, c);
		rc = 0;
	}
	opened_fini(&was);
	opened_fini(&is);
	return rc;
}

int cmd_diff(const struct options *o, struct terminal *t)
{
	AUTO_BUF text = BUF_INIT;
	struct comparison c = { .was = o->words.at[0],
		                .is = o->words.at[1],
		                .indent = "" };
	struct session s;
	struct err e;

	if (o->json)
		c.list = json_array();
	else
		c.text = &text;
	if (session_open(&s, o, t,
	                 SESSION_RECIPE_IF_ANY | SESSION_STORE | SESSION_REGISTRY |
	                         SESSION_BUILD,
	                 &e) < 0 ||
	    compare_images(&s, &c, &e) < 0) {
		json_decref(c.list);
		return session_fail(&s, &e);
	}
	if (o->json)
		session_print_json(&s, c.list);
	else
		session_print(&s, &text);
	return session_end(&s, c.n ? 1 : 0);
}
