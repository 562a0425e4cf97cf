#include "registry/mirror.h"

#include <stdio.h>
#include <string.h>

int mirror_map(const char *rule, const struct reference *ref, struct reference *out)
{
	size_t n = strcspn(rule, "=");
	const char *mirror = rule + n + 1;
	size_t host;
	int len;

	if (!rule[n] || strlen(ref->host) != n || strncmp(rule, ref->host, n) != 0)
		return 0;
	host = strcspn(mirror, "/");
	*out = *ref;
	if (!host || host >= sizeof(out->host))
		return 0;
	memcpy(out->host, mirror, host);
	out->host[host] = '\0';
	mirror += host + (mirror[host] == '/');
	len = snprintf(out->repo, sizeof(out->repo), "%s%s%s", mirror,
	               *mirror && mirror[strlen(mirror) - 1] != '/' ? "/" : "",
	               ref->repo);
	return len > 0 && (size_t)len < sizeof(out->repo);
}

bool mirror_distrust(struct registry *r, const struct reference *ref, struct host *by,
                     const struct err *why)
{
	if (!by || by == host_get(r, ref->host))
		return false;
	if (!atomic_exchange(&by->down, true))
		progress_warning(r->progress, "mirror passed over: %s: %s", by->name,
		                 why->msg);
	return true;
}

int mirror_try(struct registry *r, const struct reference *ref, mirror_fn *fn, void *self,
               struct err *e)
{
	for (size_t i = 0; i < r->mirrors.len; i++) {
		struct reference at;
		struct host *h;

		if (!mirror_map(r->mirrors.at[i], ref, &at))
			continue;
		h = host_get(r, at.host);
		if (atomic_load(&h->down))
			continue;
		registry_make_spare(r, &at);
		if (fn(self, &at, h, e) == 0)
			return 0;
		if (e->code == ERR_CANCELLED || e->code == ERR_SYS)
			return -1;
		/* Who cannot be reached, or lies, is not asked again. */
		if ((e->code == ERR_NETWORK || e->code == ERR_CORRUPT) &&
		    !atomic_exchange(&h->down, true))
			progress_warning(r->progress, "mirror passed over: %s", e->msg);
	}
	return fn(self, ref, host_get(r, ref->host), e);
}
