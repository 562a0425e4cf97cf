/* The list of tags, page by page (OCI distribution-spec 1.1, "Listing tags"). */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "registry/call.h"
#include "registry/tags.h"
#include "registry/url.h"

enum { PAGES_MAX = 10000, PAGE_MAX = 32 << 20 };

/* One link of a Link header: <target>; its rel is looked for in what follows. */
static bool rel_is_next(const char *s, size_t n)
{
	for (const char *end = s + n; s < end; s++) {
		if (strncasecmp(s, "rel=", 4) != 0 || (s[-1] != ';' && s[-1] != ' '))
			continue;
		s += 4 + (s[4] == '"');
		return !strncasecmp(s, "next", 4) && !isalnum((unsigned char)s[4]);
	}
	return false;
}

char *tags_next_link(const char *header)
{
	while (header && (header = strchr(header, '<'))) {
		const char *end = strchr(header, '>');
		size_t params;

		if (!end)
			return NULL;
		params = strcspn(end, ",");
		if (rel_is_next(end + 1, params ? params - 1 : 0))
			return mem_strndup(header + 1, (size_t)(end - header - 1));
		header = end;
	}
	return NULL;
}

/* Nulls, digests and whatever else is no tag are left out: some registries list them. */
int tags_read_page(const char *text, size_t n, struct strlist *out, struct err *e)
{
	AUTO_JSON *root = NULL;
	json_t *tags = NULL, *v;
	size_t i;

	if (json_read(&root, text, n, e) < 0 ||
	    json_member_array(root, "tags", false, &tags, e) < 0)
		return -1;
	json_array_foreach(tags, i, v) if (json_is_string(v) &&
	                                   reference_tag_valid(json_string_value(v)))
		strlist_add(out, json_string_value(v));
	return 0;
}

static void sort_unique(struct strlist *l)
{
	size_t kept = 0;

	strlist_sort(l);
	for (size_t i = 0; i < l->len; i++) {
		if (kept && !strcmp(l->at[kept - 1], l->at[i]))
			free(l->at[i]);
		else
			l->at[kept++] = l->at[i];
	}
	l->len = kept;
}

/* In whichever of the headers it is: there may be others, for browsers. */
static char *find_next(const struct http_answer *a)
{
	char *link = NULL;

	for (size_t i = 0; !link && i < a->names.len; i++)
		if (!strcmp(a->names.at[i], "link"))
			link = tags_next_link(a->values.at[i]);
	return link;
}

/* 1: *next is to be asked, 0: that was the last page. */
static int next_page(const struct http_answer *a, char **next, struct err *e)
{
	AUTO_FREE char *link = find_next(a);

	if (!link)
		return 0;
	if (url_resolve(next, a->url, link, e) < 0)
		return -1;
	if (!url_same_origin(*next, a->url))
		return err_set(e, ERR_DENIED,
		               "the next page of tags is said to be on another host");
	return strcmp(*next, a->url) != 0;
}

static int read_pages(struct registry *r, struct call *c, struct strlist *out,
                      struct err *e)
{
	AUTO_FREE char *url = NULL;

	for (int page = 0; page < PAGES_MAX; page++) {
		AUTO_ANSWER a = HTTP_ANSWER_INIT;
		char *next = NULL;
		int more;

		if (call_run(r, c, &a, e) < 0)
			return -1;
		if (a.status == 404 && !page)
			return 0;
		/* Half a list would be worse than none: floats would go back. */
		if (a.status != 200)
			return call_refused(r, c, "pull",
			                    page ? "next page of tags" : "list of tags",
			                    &a, e);
		if (tags_read_page(a.body.s, a.body.len, out, e) < 0)
			return -1;
		more = next_page(&a, &next, e);
		free(url);
		url = next;
		if (more <= 0)
			return more;
		c->path = NULL;
		c->url = url;
	}
	return err_set(e, ERR_LIMIT, "more than %d pages of tags", (int)PAGES_MAX);
}

int registry_list_tags(struct registry *r, const struct reference *ref,
                       struct strlist *out, struct err *e)
{
	struct host *h = host_get(r, ref->host);
	AUTO_STRLIST scopes = STRLIST_INIT;
	AUTO_BUF path = BUF_INIT;
	struct call c = { .method = "GET",
		          .host = h,
		          .repo = ref->repo,
		          .scopes = &scopes,
		          .limit = PAGE_MAX };

	buf_addf(&path, "/v2/%s/tags/list?n=1000", ref->repo);
	call_scope(&scopes, ref->repo, "pull");
	c.path = path.s;
	if (read_pages(r, &c, out, e) < 0)
		return err_wrap(e, "list the tags of %s/%s", h->name, ref->repo);
	sort_unique(out);
	return 0;
}
