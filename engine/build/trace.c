/* --trace: what is made, on whose account, and by what, told as it happens. */
#include <string.h>

#include "build/describe.h"
#include "build/node.h"

static void tell_reason(void *self, const char *name, const char *was, const char *is)
{
	struct node *n = self;
	const char *how = was && is ? " changed" : was ? " is gone" : is ? " is new" : "";

	progress_step(n->build->o.progress, n->target->name, "because: %s%s", name, how);
}

void trace_node(struct node *n)
{
	const struct target *t = n->target;
	struct err ignored; /* the build itself meets a damaged state, and says so */

	if (!n->build->o.trace)
		return;
	progress_step(n->build->o.progress, t->name, PLACE_FMT "make %s",
	              PLACE_ARG(t->place), target_kind_text(t->kind));
	if (why_node(n, tell_reason, n, &ignored) < 0)
		return;
}

void trace_lines(const struct node *n, const struct strings *lines)
{
	for (size_t i = 0; n->build->o.trace && i < lines->n; i++) {
		const char *s = lines->at[i];

		while (*s) {
			int len = (int)strcspn(s, "\n");

			progress_step(n->build->o.progress, n->target->name, "  %.*s",
			              len, s);
			s += len + (s[len] != '\0');
		}
	}
}

void trace_step(const struct node *n, const struct step *s)
{
	AUTO_BUF what = BUF_INIT;

	if (!n->build->o.trace)
		return;
	if (s->kind == STEP_RUN)
		buf_adds(&what, "run");
	else
		step_describe(s, &what);
	progress_step(n->build->o.progress, n->target->name, PLACE_FMT "%s",
	              PLACE_ARG(s->place), what.s);
	if (s->kind == STEP_RUN) {
		trace_lines(n, &s->run.lines);
		trace_lines(n, &s->run.exec);
	}
}
