#include "cmd/outputs.h"

#include <stdlib.h>
#include <string.h>

static struct output *find(const struct outputs *l, const char *name)
{
	for (size_t i = 0; i < l->all.len; i++)
		if (!l->all.at[i]->ended && !strcmp(l->all.at[i]->name, name))
			return l->all.at[i];
	return NULL;
}

static struct output *begin(struct outputs *l, const char *name)
{
	struct output *o = mem_alloc(sizeof(*o));

	o->name = mem_strdup(name);
	o->waiting = (struct buf)BUF_INIT;
	vec_push(&l->all, o);
	return o;
}

static void output_free(struct output *o)
{
	for (size_t i = 0; i < OUTPUT_LAST; i++)
		free(o->last[i]);
	buf_fini(&o->waiting);
	free(o->name);
	free(o);
}

static void show_waiting(struct outputs *l, struct output *o)
{
	if (!o->waiting.len)
		return;
	l->show(l->self, &o->waiting);
	buf_reset(&o->waiting);
	o->seen = l->writes;
}

static void keep_last(struct output *o, const char *line)
{
	char **slot = &o->last[o->lines++ % OUTPUT_LAST];

	free(*slot);
	*slot = mem_strdup(line);
}

void outputs_line(struct outputs *l, const char *name, const char *line)
{
	struct output *o = find(l, name);

	if (!o)
		o = begin(l, name);
	if (!l->live)
		l->live = o;
	keep_last(o, line);
	buf_adds(&o->waiting, line);
	if (o == l->live)
		show_waiting(l, o);
}

/* One that has ended waits, too, while another one is shown. */
bool outputs_wait(struct outputs *l, const char *name, const char *line)
{
	for (size_t i = l->all.len; name && i-- > 0;) {
		struct output *o = l->all.at[i];

		if (o == l->live || !o->waiting.len || strcmp(o->name, name) != 0)
			continue;
		buf_adds(&o->waiting, line);
		return true;
	}
	return false;
}

/* Of those that are over, the failed ones are still needed. */
static void drop_shown(struct outputs *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->all.len; i++) {
		struct output *o = l->all.at[i];

		if (o->ended && !o->failed && !o->waiting.len)
			output_free(o);
		else
			l->all.at[n++] = o;
	}
	l->all.len = n;
}

/* First what is whole, then the oldest of those that go on. */
static void next(struct outputs *l)
{
	for (size_t i = 0; i < l->all.len; i++)
		if (l->all.at[i]->ended)
			show_waiting(l, l->all.at[i]);
	for (size_t i = 0; !l->live && i < l->all.len; i++)
		if (!l->all.at[i]->ended)
			l->live = l->all.at[i];
	if (l->live)
		show_waiting(l, l->live);
	drop_shown(l);
}

void outputs_end(struct outputs *l, const char *name, bool failed)
{
	struct output *o = find(l, name);

	if (!o)
		return; /* it said nothing */
	o->ended = true;
	o->failed = failed;
	if (o == l->live)
		l->live = NULL;
	if (!l->live)
		next(l);
}

static void show_again(struct outputs *l, const struct output *o)
{
	size_t n = o->lines < OUTPUT_LAST ? o->lines : OUTPUT_LAST;
	AUTO_BUF text = BUF_INIT;

	buf_addf(&text, "%s failed; %s%zu line%s again:\n", o->name,
	         o->lines > n ? "its last " : "its ", n, n == 1 ? "" : "s");
	for (size_t i = o->lines - n; i < o->lines; i++)
		buf_adds(&text, o->last[i % OUTPUT_LAST]);
	l->show(l->self, &text);
}

void outputs_show_all(struct outputs *l)
{
	l->live = NULL;
	for (size_t i = 0; i < l->all.len; i++)
		show_waiting(l, l->all.at[i]);
}

void outputs_fail(struct outputs *l)
{
	outputs_show_all(l);
	for (size_t i = 0; i < l->all.len; i++) {
		struct output *o = l->all.at[i];

		if (o->failed && o->seen != l->writes)
			show_again(l, o);
		o->failed = false;
	}
	drop_shown(l);
}

void outputs_fini(struct outputs *l)
{
	outputs_show_all(l);
	for (size_t i = 0; i < l->all.len; i++)
		output_free(l->all.at[i]);
	vec_fini(&l->all);
}
