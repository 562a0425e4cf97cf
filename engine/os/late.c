#include "os/late.h"

#include <dlfcn.h>
#include <string.h>

static int find_all(const struct late *l, void *library, struct err *e)
{
	for (size_t i = 0; i < l->n; i++) {
		void *found = dlsym(library, l->names[i].name);

		if (!found)
			return err_set(e, ERR_FAILED,
			               "%s has no %s: install the %s "
			               "that imgmake was built for",
			               l->soname, l->names[i].name, l->package);
		memcpy(l->names[i].at, &found, sizeof(found));
	}
	return 0;
}

static int load(struct late *l, struct err *e)
{
	void *library = dlopen(l->soname, RTLD_LAZY | RTLD_LOCAL);

	if (!library)
		return err_set(e, ERR_FAILED, "%s cannot be loaded (%s): install %s",
		               l->soname, dlerror(), l->package);
	return find_all(l, library, e);
}

int late_load(struct late *l, struct err *e)
{
	int rc = 0;

	pthread_mutex_lock(&l->lock);
	if (!l->loaded)
		rc = load(l, e);
	l->loaded = rc == 0;
	pthread_mutex_unlock(&l->lock);
	return rc;
}
