#include "publish/promote.h"

/* What its tag names in the registry itself: a mirror may lag behind. */
static int pin(struct reference *ref, struct registry *r, struct err *e)
{
	struct descriptor d;

	if (ref->has_digest)
		return 0;
	if (registry_head_manifest(r, ref, &d, e) < 0)
		return -1;
	ref->has_digest = true;
	ref->digest = d.digest;
	return 0;
}

int promote(struct deploy_result *out, const char *from, const char *to,
            const struct family_options *family, const struct ship_options *o,
            struct err *e)
{
	struct ship_item item = { .name = from, .family = family };
	struct content content = { .registry = o->registry, .store = o->store->blobs };
	struct reference source;
	struct closure c;
	int rc;

	*out = (struct deploy_result){ 0 };
	if (reference_parse(&source, from, e) < 0)
		return -1;
	if (to) {
		if (reference_parse_repo(&item.to, to, e) < 0)
			return -1;
	} else {
		item.to = source;
	}
	if (pin(&source, o->registry, e) < 0)
		return -1;
	content.ref = &source;
	if (closure_fetch(&c, &content, NULL, e) < 0)
		return -1;
	item.origin = &source;
	item.image = &c;
	rc = ship(out, &item, 1, o, e);
	closure_fini(&c);
	return rc;
}
