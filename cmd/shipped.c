#include "cmd/shipped.h"

#include <string.h>

#include "build/remote.h"

#include "cmd/table.h"
#include "registry/client.h"

static const char *action_text(enum tag_action a, bool planned)
{
	switch (a) {
	case TAG_CREATE: return planned ? "would be created" : "created";
	case TAG_MOVE: return planned ? "would move" : "moved";
	case TAG_SAME: return "unchanged";
	case TAG_KEEP: return "kept back";
	}
	return "";
}

static const char *action_word(enum tag_action a)
{
	static const char *const words[] = {
		[TAG_CREATE] = "create",
		[TAG_MOVE] = "move",
		[TAG_SAME] = "same",
		[TAG_KEEP] = "keep",
	};

	return words[a];
}

static json_t *digest_or_null(bool has, const struct digest *d)
{
	return has ? json_string(DIGEST_STR(d)) : json_null();
}

static json_t *amount_json(const struct deploy_amount *a)
{
	return json_pack("{s:I,s:I}", "blobs", (json_int_t)a->blobs, "bytes",
	                 (json_int_t)a->bytes);
}

static json_t *repo_json(const struct deploy_repo *r, bool planned)
{
	json_t *tags = json_array();

	for (size_t i = 0; i < r->n_tags; i++) {
		const struct deploy_tag *t = &r->tags[i];

		json_array_append_new(
			tags, json_pack("{s:s,s:s,s:o,s:o,s:s,s:b}", "tag", t->tag,
		                        "action", action_word(t->action), "old",
		                        digest_or_null(t->has_old, &t->old), "new",
		                        digest_or_null(t->has_now, &t->now), "reason",
		                        t->reason, "floating", t->floating));
	}
	return json_pack("{s:s,s:s,s:o,s:b,s:s?,s:o,s:o,s:o,s:o}", "image", r->image,
	                 "repository", r->repo, "digest",
	                 digest_or_null(r->has_root, &r->root.digest), "planned", planned,
	                 "unknown", r->unknown, "sent", amount_json(&r->sent), "mounted",
	                 amount_json(&r->mounted), "present", amount_json(&r->present),
	                 "tags", tags);
}

static void size_cell(struct table *table, const struct deploy_repo *r,
                      const struct deploy_amount *a)
{
	AUTO_BUF text = BUF_INIT;

	if (!r->has_root && !a->bytes) {
		buf_adds(&text, "?");
	} else {
		buf_adds(&text, r->has_root ? "" : "≥ ");
		human_size(&text, a->bytes);
	}
	table_add(table, text.s);
}

static void images_table(const struct deploy_result *r, bool planned, struct buf *out)
{
	static const char *const done[] = { "IMAGE", "REPOSITORY", "DIGEST",
		                            ">SENT", ">MOUNTED",   ">ALREADY THERE",
		                            NULL };
	static const char *const plan[] = { "IMAGE",    "REPOSITORY", "DIGEST",
		                            ">TO SEND", ">TO MOUNT",  ">ALREADY THERE",
		                            NULL };
	struct table *table = table_new(planned ? plan : done);

	for (size_t i = 0; i < r->n; i++) {
		const struct deploy_repo *x = &r->at[i];

		table_add(table, x->image);
		table_add(table, x->repo);
		table_addf(table, "%.19s",
		           x->has_root ? DIGEST_STR(&x->root.digest) : "not built yet");
		size_cell(table, x, &x->sent);
		size_cell(table, x, &x->mounted);
		size_cell(table, x, &x->present);
	}
	table_write(table, out);
	table_free(table);
}

/* What the question marks stand for. */
static void add_unknown(const struct deploy_result *r, struct buf *out)
{
	const char *said = NULL;

	for (size_t i = 0; i < r->n; i++) {
		const struct deploy_repo *x = &r->at[i];

		if (!x->unknown || (said && !strcmp(said, x->image)))
			continue;
		buf_addf(out, "%s%s: more is not known yet: %s\n", said ? "" : "\n",
		         x->image, x->unknown);
		said = x->image;
	}
}

static void tags_table(const struct deploy_result *r, bool planned, struct buf *out)
{
	static const char *const columns[] = {
		"REPOSITORY:TAG", "OLD", "NEW", "", "", NULL
	};
	struct table *table = table_new(columns);
	bool any = false;

	for (size_t i = 0; i < r->n; i++) {
		const struct deploy_repo *x = &r->at[i];

		any = any || x->n_tags;
		for (size_t k = 0; k < x->n_tags; k++) {
			const struct deploy_tag *t = &x->tags[k];

			table_addf(table, "%s:%s", x->repo, t->tag);
			table_addf(table, "%.19s",
			           t->has_old ? DIGEST_STR(&t->old) : "-");
			table_addf(table, "%.19s",
			           t->has_now ? DIGEST_STR(&t->now) : "-");
			table_add(table, action_text(t->action, planned));
			table_add(table, t->reason);
		}
	}
	if (any) {
		buf_addc(out, '\n');
		table_write(table, out);
	}
	table_free(table);
}

static json_t *result_json(const struct deploy_result *r, bool planned,
                           const struct registry_counts *c)
{
	json_t *all = json_array();

	for (size_t i = 0; i < r->n; i++)
		json_array_append_new(all, repo_json(&r->at[i], planned));
	return json_pack("{s:o,s:{s:I,s:I,s:f}}", "images", all, "registry", "requests",
	                 (json_int_t)c->requests, "retries", (json_int_t)c->retries,
	                 "waited", (double)c->waited_ns / 1e9);
}

/* "12 requests to registries, 2 retries, 3.1 s waiting": what did not happen is left out.
 */
static void add_counts(const struct registry_counts *c, struct buf *out)
{
	buf_addf(out, "%lld request%s to registries", (long long)c->requests,
	         c->requests == 1 ? "" : "s");
	if (c->retries)
		buf_addf(out, ", %lld retr%s", (long long)c->retries,
		         c->retries == 1 ? "y" : "ies");
	if (c->waited_ns)
		buf_addf(out, ", %.1f s waiting", (double)c->waited_ns / 1e9);
}

void shipped_note_received(struct session *s)
{
	struct registry_counts counts;
	AUTO_BUF size = BUF_INIT, text = BUF_INIT;

	registry_counts(s->registry, &counts);
	human_size(&size, counts.bytes_received);
	add_counts(&counts, &text);
	terminal_note(s->terminal, "%s received, %s", size.s, text.s);
}

void shipped_print(struct session *s, struct deploy_result *r, bool planned)
{
	AUTO_BUF out = BUF_INIT;
	struct registry_counts counts;

	registry_counts(s->registry, &counts);
	if (s->options->json) {
		session_print_json(s, result_json(r, planned, &counts));
	} else if (r->n) {
		images_table(r, planned, &out);
		add_unknown(r, &out);
		tags_table(r, planned, &out);
		buf_addc(&out, '\n');
		add_counts(&counts, &out);
		buf_addc(&out, '\n');
		session_print(s, &out);
	}
	deploy_result_fini(r);
}

void ship_options_of(struct session *s, bool plan_only, struct ship_options *out)
{
	struct build_remote *remote = session_remote(s);

	*out = (struct ship_options){ .store = &s->store,
		                      .registry = s->registry,
		                      .progress = terminal_progress(s->terminal),
		                      .others = remote ? &remote->repos : NULL,
		                      .plan_only = plan_only };
}
