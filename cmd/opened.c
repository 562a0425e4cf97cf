#include "cmd/opened.h"

int opened_init(struct opened *x, struct session *s, const char *name, struct err *e)
{
	struct descriptor root;
	struct platform p;
	int known;

	if (session_platform(s, &p, e) < 0 ||
	    session_image(s, name, false, &root, e) < 0 ||
	    image_open(&x->image, s->store.blobs, &root, &p, e) < 0)
		return -1;
	known = image_tables_known(&s->store, &x->image, e);
	if (known < 0 || (!known && session_image(s, name, true, &root, e) < 0))
		return -1;
	return image_tables_load(&x->tables, &s->store, &x->image, e);
}

void opened_fini(struct opened *x)
{
	image_tables_fini(&x->tables);
	image_fini(&x->image);
}
