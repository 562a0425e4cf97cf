#include "build/describe.h"

#include <string.h>

static void words(struct buf *out, const struct strings *l)
{
	for (size_t i = 0; i < l->n; i++) {
		buf_addc(out, ' ');
		buf_add_printable(out, l->at[i], strlen(l->at[i]));
	}
}

static void word(struct buf *out, const char *before, const char *s)
{
	buf_adds(out, before);
	buf_add_printable(out, s, strlen(s));
}

static void describe_copy(const struct step_copy *c, struct buf *out)
{
	words(out, &c->sources);
	if (c->from)
		word(out, " from ", c->from->name);
	word(out, " to ", c->to);
	if (*c->owner)
		word(out, " owner ", c->owner);
	if (c->mode >= 0)
		buf_addf(out, " mode %04o", (unsigned)c->mode);
}

static void describe_pairs(const struct pairs *p, struct buf *out)
{
	for (size_t i = 0; i < p->n; i++) {
		word(out, " ", p->at[i].key);
		word(out, "=", p->at[i].value);
	}
}

static void describe_config(const json_t *config, struct buf *out)
{
	AUTO_BUF text = BUF_INIT;

	json_write(&text, config);
	buf_addc(out, ' ');
	buf_add_printable(out, text.s, text.len);
}

/* A script that begins with a comment has a title, as those of the standard library do.
 */
static void describe_run(const struct step_run *r, struct buf *out)
{
	if (r->lines.n && !strncmp(r->lines.at[0], "# ", 2)) {
		AUTO_FREE char *title = mem_strndup(r->lines.at[0] + 2,
		                                    strcspn(r->lines.at[0] + 2, "\n"));

		word(out, " ", title);
		return;
	}
	for (size_t i = 0; i < r->lines.n; i++)
		word(out, i ? "; " : " ", r->lines.at[i]);
	words(out, &r->exec);
}

void step_describe(const struct step *s, struct buf *out)
{
	buf_adds(out, step_kind_text(s->kind));
	switch (s->kind) {
	case STEP_COPY: describe_copy(&s->copy, out); break;
	case STEP_WRITE: word(out, " ", s->write.path); break;
	case STEP_MKDIR: words(out, &s->mkdir.paths); break;
	case STEP_SYMLINK:
		word(out, " ", s->symlink.path);
		word(out, " -> ", s->symlink.target);
		break;
	case STEP_REMOVE: words(out, &s->remove.paths); break;
	case STEP_UNPACK:
		word(out, " ", s->unpack.source);
		word(out, " to ", s->unpack.to);
		break;
	case STEP_ADD:
		word(out, " ", s->add.url);
		word(out, " to ", s->add.to);
		break;
	case STEP_GIT:
		word(out, " ", s->git.url);
		if (*s->git.ref)
			word(out, "#", s->git.ref);
		if (*s->git.subdir)
			word(out, ":", s->git.subdir);
		word(out, " to ", s->git.to);
		break;
	case STEP_ACCOUNT:
		word(out, " ", *s->account.user ? s->account.user : s->account.group);
		break;
	case STEP_LAYER:
		for (size_t i = 0; i < s->layer.n; i++) {
			buf_adds(out, i ? "; " : " ");
			step_describe(&s->layer.at[i], out);
		}
		break;
	case STEP_RUN: describe_run(&s->run, out); break;
	case STEP_ENV: describe_pairs(&s->env, out); break;
	case STEP_WORKDIR: word(out, " ", s->workdir); break;
	case STEP_USER: word(out, " ", s->user); break;
	case STEP_CONFIG: describe_config(s->config, out); break;
	}
}
