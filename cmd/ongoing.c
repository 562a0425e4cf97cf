#include "cmd/ongoing.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/human.h"
#include "cmd/table.h"

static const double ns_per_s = 1e9;

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

struct ongoing *ongoing_find(struct ongoing_list *l, const struct progress_event *ev)
{
	for (size_t i = 0; i < l->works.len; i++)
		if (same(l->works.at[i].target, ev->target) &&
		    !strcmp(l->works.at[i].what, ev->what))
			return &l->works.at[i];
	return NULL;
}

void ongoing_begin(struct ongoing_list *l, const struct progress_event *ev, int64_t now)
{
	struct ongoing o = {
		.target = ev->target ? mem_strdup(ev->target) : NULL,
		.what = mem_strdup(ev->what),
		.total = ev->total,
		.began = now,
		.said = now,
	};

	vec_push(&l->works, o);
}

struct ongoing ongoing_take(struct ongoing_list *l, struct ongoing *o)
{
	struct ongoing taken = *o;
	size_t at = (size_t)(o - l->works.at);

	l->works.len--;
	memmove(o, o + 1, (l->works.len - at) * sizeof(*o));
	return taken;
}

void ongoing_fini(struct ongoing *o)
{
	free(o->target);
	free(o->what);
}

void ongoing_list_fini(struct ongoing_list *l)
{
	for (size_t i = 0; i < l->works.len; i++)
		ongoing_fini(&l->works.at[i]);
	vec_fini(&l->works);
}

void ongoing_add_titled(struct buf *b, const char *target, const char *text)
{
	if (target && *target) {
		human_line(b, target, strlen(target));
		buf_adds(b, ": ");
	}
	human_line(b, text, strlen(text));
}

void ongoing_add_amount(struct buf *b, const struct ongoing *o, int64_t now)
{
	double seconds = (double)(now - o->began) / ns_per_s;

	human_size(b, o->done);
	if (o->total > o->done) {
		buf_adds(b, " of ");
		human_size(b, o->total);
	}
	if (seconds > 0.2 && o->done > 0) {
		buf_adds(b, ", ");
		human_size(b, (int64_t)((double)o->done / seconds));
		buf_adds(b, "/s");
	}
}

/* Cuts b, which began at `start`, to at most `width` columns, at a character. */
static void fit(struct buf *b, size_t start, size_t width)
{
	while (b->len > start && text_width(b->s + start, b->len - start) > width) {
		size_t at = b->len - 1;

		while (at > start && ((unsigned char)b->s[at] & 0xc0) == 0x80)
			at--;
		buf_truncate(b, at);
	}
}

void ongoing_add_status(struct buf *b, const struct ongoing_list *l, size_t width,
                        int64_t now)
{
	const struct ongoing *o = l->works.at;
	AUTO_BUF tail = BUF_INIT;
	size_t start = b->len;

	if (o->done > 0 || o->total > 0) {
		buf_addc(&tail, ' ');
		ongoing_add_amount(&tail, o, now);
	}
	if (l->works.len > 1)
		buf_addf(&tail, " (and %zu more)", l->works.len - 1);
	fit(&tail, 0, width / 2 + 8);
	ongoing_add_titled(b, o->target, o->what);
	fit(b, start, width - text_width(tail.s, tail.len));
	buf_add(b, tail.s, tail.len);
}
