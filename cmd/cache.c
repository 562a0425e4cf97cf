/* imgmake cache: what the remote cache holds, and less of it. */
#include <string.h>
#include <time.h>

#include "base/amount.h"
#include "cmd/commands.h"
#include "cmd/table.h"
#include "publish/remote_cache.h"
#include "publish/remote_list.h"

static void time_text(int64_t t, struct buf *out)
{
	time_t seconds = (time_t)t;
	char text[40] = "-";
	struct tm tm;

	if (t && gmtime_r(&seconds, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	buf_adds(out, text);
}

static json_t *time_json(int64_t t)
{
	AUTO_BUF text = BUF_INIT;

	if (!t)
		return json_null();
	time_text(t, &text);
	return json_string(text.s);
}

static size_t entries_of(const struct remote_sum *s)
{
	size_t n = 0;

	for (int k = 0; k < REMOTE_KINDS; k++)
		n += s->entries[k];
	return n;
}

static json_t *sum_json(const struct remote_sum *s)
{
	json_t *kinds = json_object();

	for (int k = 0; k < REMOTE_KINDS; k++)
		json_object_set_new(kinds, remote_kind_name((enum remote_kind)k),
		                    json_integer((json_int_t)s->entries[k]));
	return json_pack("{s:o,s:I,s:I,s:o,s:o}", "entries", kinds, "blobs",
	                 (json_int_t)s->blobs, "bytes", (json_int_t)s->bytes, "oldest",
	                 time_json(s->oldest), "newest", time_json(s->newest));
}

static void stats_text(const struct remote_list *l, const struct remote_sum *s,
                       struct buf *out)
{
	static const char *const columns[] = { "ENTRIES", ">NUMBER", NULL };
	static const char *const names[REMOTE_KINDS] = {
		[REMOTE_RESULT] = "images and stages",
		[REMOTE_STEP] = "steps",
		[REMOTE_TABLE] = "tables of bases' layers",
		[REMOTE_CHECK] = "passes of checks",
		[REMOTE_MOUNT] = "cache directories of steps",
	};
	struct table *table = table_new(columns);

	for (int k = 0; k < REMOTE_KINDS; k++) {
		table_add(table, names[k]);
		table_addf(table, "%zu", s->entries[k]);
	}
	table_write(table, out);
	table_free(table);
	buf_addf(out, "%s: %zu blobs, ", remote_list_repo(l), s->blobs);
	human_size(out, s->bytes);
	buf_adds(out, "\noldest ");
	time_text(s->oldest, out);
	buf_adds(out, ", newest ");
	time_text(s->newest, out);
	buf_addc(out, '\n');
	if (s->others)
		buf_addf(out, "%zu tags that are no entries\n", s->others);
}

static void stats(struct session *s, const struct remote_list *l)
{
	AUTO_BUF out = BUF_INIT;
	struct remote_sum sum;
	json_t *j;

	remote_list_sum(l, false, &sum);
	if (s->options->json) {
		j = sum_json(&sum);
		json_object_set_new(j, "repository", json_string(remote_list_repo(l)));
		json_object_set_new(j, "others", json_integer((json_int_t)sum.others));
		session_print_json(s, j);
		return;
	}
	stats_text(l, &sum, &out);
	session_print(s, &out);
}

static int read_bound(const char *name, const char *text,
                      int (*read)(const char *, int64_t *, struct err *), int64_t *out,
                      struct err *e)
{
	*out = -1;
	if (!text || !strcmp(text, "none") || read(text, out, e) == 0)
		return 0;
	return err_wrap(e, "%s", name);
}

static int check_bounds(const struct options *o, int64_t *age, int64_t *size,
                        struct err *e)
{
	if (!o->max_age && !o->max_size)
		return err_set(e, ERR_INVALID,
		               "cache prune: say --max-age, such as 30d, or --max-size, "
		               "such as 20g");
	if (read_bound("--max-age", o->max_age, amount_duration, age, e) < 0)
		return -1;
	return read_bound("--max-size", o->max_size, amount_size, size, e);
}

static void pruned(struct session *s, const struct remote_list *l)
{
	bool dry = s->options->dry_run;
	AUTO_BUF out = BUF_INIT;
	struct remote_sum had, left;
	json_t *j;

	remote_list_sum(l, false, &had);
	remote_list_sum(l, true, &left);
	if (s->options->json) {
		j = json_pack("{s:s,s:b,s:o,s:o}", "repository", remote_list_repo(l),
		              "dry_run", dry, "had", sum_json(&had), "left",
		              sum_json(&left));
		session_print_json(s, j);
		return;
	}
	buf_addf(&out, "%s %zu of %zu entries", dry ? "would remove" : "removed",
	         entries_of(&had) - entries_of(&left), entries_of(&had));
	buf_adds(&out, ", whose blobs have ");
	human_size(&out, had.bytes - left.bytes);
	buf_adds(&out, "; left are ");
	human_size(&out, left.bytes);
	buf_addc(&out, '\n');
	session_print(s, &out);
	if (!dry && had.bytes > left.bytes)
		terminal_note(s->terminal,
		              "the room is free when the registry collects its garbage");
}

static int work(struct session *s, struct err *e)
{
	const struct options *o = s->options;
	bool prune = !strcmp(o->words.at[0], "prune");
	const char *repo = o->words.len > 1 ? o->words.at[1] : session_cache_repo(s);
	struct remote_list *l;
	int64_t age, size;
	int rc = 0;

	if (!prune && strcmp(o->words.at[0], "stats") != 0)
		return err_set(e, ERR_INVALID, "cache: '%s' is neither stats nor prune",
		               o->words.at[0]);
	if (!repo)
		return err_set(e, ERR_INVALID,
		               "there is no remote cache; name its repository, or give "
		               "--cache");
	if ((prune && check_bounds(o, &age, &size, e) < 0) ||
	    remote_list_read(&l, s->registry, repo, e) < 0)
		return -1;
	if (prune) {
		remote_list_mark(l, age, size);
		rc = o->dry_run ? 0 : remote_list_delete(l, s->store.state, e);
	}
	if (rc == 0 && prune)
		pruned(s, l);
	else if (rc == 0)
		stats(s, l);
	remote_list_free(l);
	return rc;
}

int cmd_cache(const struct options *o, struct terminal *t)
{
	bool writes = o->words.len && !strcmp(o->words.at[0], "prune") && !o->dry_run;
	struct session s;
	struct err e;

	if (session_open(&s, o, t,
	                 SESSION_RECIPE_IF_ANY | SESSION_REGISTRY |
	                         (writes ? SESSION_STORE : SESSION_STORE_READ),
	                 &e) < 0 ||
	    work(&s, &e) < 0)
		return session_fail(&s, &e);
	return session_end(&s, 0);
}
