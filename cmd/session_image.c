/* Images by whatever name people have for them. */
#include <fcntl.h>
#include <string.h>

#include "cmd/session.h"
#include "cmd/shipped.h"
#include "image/image.h"
#include "image/layout.h"
#include "publish/copy.h"
#include "store/blobs.h"

static int image_of_target(struct session *s, struct target *t, bool layers,
                           struct descriptor *root, struct err *e)
{
	if (t->kind != TARGET_IMAGE)
		return err_set(e, ERR_INVALID, "'%s' is a %s, not an image", t->name,
		               target_kind_text(t->kind));
	if (session_build(s, &t, 1, e) < 0)
		return -1;
	if (layers && build_complete(s->build, t, e) < 0)
		return session_without_remote(s, e) < 0
		               ? -1
		               : image_of_target(s, t, layers, root, e);
	*root = *build_root(s->build, t);
	return 0;
}

static int image_of_reference(struct session *s, const char *name, bool layers,
                              struct descriptor *root, struct err *e)
{
	struct reference ref;
	struct ship_options o;
	int known = image_name_get(&s->store, name, root, e);

	ship_options_of(s, false, &o);
	if (known < 0)
		return -1;
	if (!known)
		return layers ? image_pull(root, name, NULL, &o, e)
		              : image_pull_documents(root, name, &o, e);
	if (!layers)
		return 0;
	return reference_parse(&ref, name, e) < 0 ? -1
	                                          : image_complete(root, &ref, &o, e);
}

static int image_of_digest(struct session *s, const char *text, bool layers,
                           struct descriptor *root, struct err *e)
{
	struct ship_options o;
	struct digest d;

	ship_options_of(s, false, &o);
	if (digest_parse(&d, text, e) < 0 || image_peek(s->store.blobs, &d, root, e) < 0)
		return -1;
	return layers ? image_complete(root, NULL, &o, e) : 0;
}

int session_image(struct session *s, const char *name, bool layers,
                  struct descriptor *root, struct err *e)
{
	AUTO_FREE char *path = NULL, *tag = NULL;
	enum layout_kind kind;
	struct target *t;
	struct err no_target;

	if (!strncmp(name, "sha256:", 7))
		return image_of_digest(s, name, layers, root, e);
	/* A base is the image that its name refers to. */
	if (s->recipe && session_find_target(s, name, &t, &no_target) == 0 &&
	    t->kind != TARGET_BASE)
		return image_of_target(s, t, layers, root, e);
	if (layout_parse(name, &kind, &path, &tag))
		return layout_import(s->store.blobs, AT_FDCWD, kind, path, tag, root, e);
	if (s->recipe && !strpbrk(name, "/:@")) { /* a mistyped target rather than a
		                                     reference */
		*e = no_target;
		return -1;
	}
	return image_of_reference(s, name, layers, root, e);
}

int session_platform(const struct session *s, struct platform *out, struct err *e)
{
	const struct strlist *l = &s->options->platforms;

	if (l->len > 1)
		return err_set(e, ERR_INVALID, "one --platform is enough here");
	if (l->len)
		return platform_parse(out, l->at[0], e);
	platform_host(out);
	return 0;
}
