#include "publish/deploy.h"

#include <string.h>

/* What ship() borrows while it works. */
struct cargo {
	/* One an image, then one for each that is attached; root.size 0: not built. */
	struct closure *closures;
	struct family_options *families; /* one an image */
	VEC(struct ship_item) items;
	struct arena arena; /* names */
	size_t n, next;     /* closures; the first that is free */
};

static void cargo_fini(struct cargo *c)
{
	for (size_t i = 0; i < c->n; i++)
		closure_fini(&c->closures[i]);
	free(c->closures);
	free(c->families);
	vec_fini(&c->items);
	arena_fini(&c->arena);
}

/* The same repository in two spellings is one. */
static void add_item(struct cargo *c, const struct ship_item *item)
{
	for (size_t k = 0; k < c->items.len; k++) {
		const struct ship_item *other = &c->items.at[k];

		if (other->image == item->image && other->name == item->name &&
		    !strcmp(other->to.host, item->to.host) &&
		    !strcmp(other->to.repo, item->to.repo))
			return;
	}
	vec_push(&c->items, *item);
}

static int add_repo(struct cargo *c, size_t i, const struct deploy_image *image,
                    const char *repo, struct err *e)
{
	struct strings tags = publish_tags(image->publish);
	bool family = publish_family(image->publish, &c->families[i]);
	struct ship_item item = {
		.name = image->name,
		.image = image->root || image->n_layers ? &c->closures[i] : NULL,
		.unknown = image->unknown,
		.family = family ? &c->families[i] : NULL,
		.tags = tags.at,
		.n_tags = tags.n,
	};

	if (reference_parse_repo(&item.to, repo, e) < 0)
		return -1;
	add_item(c, &item);
	return 0;
}

/* Layers, and no manifest yet that refers to them. */
static void take_layers(struct closure *c, const struct deploy_image *image)
{
	c->base_name =
		image->base_name ? arena_strdup(&c->arena, image->base_name) : NULL;
	for (size_t i = 0; i < image->n_layers; i++)
		vec_push(&c->layers, image->layers[i]);
}

static int add_image(struct cargo *c, size_t i, const struct deploy_image *image,
                     const struct ship_options *o, struct err *e)
{
	struct content from = { .store = o->store->blobs };

	if (image->root && closure_load(&c->closures[i], &from, image->root, NULL, e) < 0)
		return -1;
	if (!image->root)
		take_layers(&c->closures[i], image);
	for (size_t k = 0; k < image->publish->repos.n; k++)
		if (add_repo(c, i, image, image->publish->repos.at[k], e) < 0)
			return -1;
	return 0;
}

static int add_to_repos(struct cargo *c, struct ship_item *item,
                        const struct deploy_image *image, struct err *e)
{
	for (size_t k = 0; k < image->publish->repos.n; k++) {
		if (reference_parse_repo(&item->to, image->publish->repos.at[k], e) < 0)
			return -1;
		add_item(c, item);
	}
	return 0;
}

/* What is said of an image is up before its tags are, as the image itself. */
static int add_attached(struct cargo *c, size_t i, const struct deploy_image *image,
                        const struct ship_options *o, struct err *e)
{
	struct content from = { .store = o->store->blobs };
	struct ship_item item = {
		.name = arena_printf(&c->arena, "%s sbom", image->name),
		.about = &c->closures[i],
	};

	for (size_t k = 0; k < image->n_attached; k++) {
		struct closure *closure = &c->closures[c->next++];

		if (closure_load(closure, &from, &image->attached[k], NULL, e) < 0)
			return -1;
		item.image = closure;
		if (add_to_repos(c, &item, image, e) < 0)
			return -1;
	}
	item.image = NULL;
	item.unknown = "its packages are listed when it is deployed";
	return image->more_attached ? add_to_repos(c, &item, image, e) : 0;
}

static int load(struct cargo *c, const struct deploy_image *images, size_t n,
                const struct ship_options *o, struct err *e)
{
	int rc = 0;

	c->next = n;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = add_image(c, i, &images[i], o, e);
		if (rc < 0)
			err_wrap(e, "image '%s'", images[i].name);
	}
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = add_attached(c, i, &images[i], o, e);
		if (rc < 0)
			err_wrap(e, "image '%s': sbom", images[i].name);
	}
	return rc;
}

int deploy(struct deploy_result *out, const struct deploy_image *images, size_t n,
           const struct ship_options *o, struct err *e)
{
	struct cargo c = { .n = n };
	int rc;

	*out = (struct deploy_result){ 0 };
	for (size_t i = 0; i < n; i++)
		c.n += images[i].n_attached;
	c.closures = mem_alloc((c.n + 1) * sizeof(*c.closures));
	c.families = mem_alloc((n + 1) * sizeof(*c.families));
	rc = load(&c, images, n, o, e);
	if (rc == 0)
		rc = ship(out, c.items.at, c.items.len, o, e);
	cargo_fini(&c);
	return rc;
}
