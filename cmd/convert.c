/* imgmake convert: the Imagefile of a Dockerfile. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "cmd/commands.h"
#include "os/fd.h"

static const char *dockerfile_of(const struct options *o)
{
	if (o->words.len)
		return o->words.at[0];
	if (o->file)
		return o->file;
	return access("Dockerfile", F_OK) < 0 && access("Containerfile", F_OK) == 0
	               ? "Containerfile"
	               : "Dockerfile";
}

/* What an Imagefile copies lies beside it. */
static void check_place(const struct session *s, const char *file)
{
	AUTO_FREE char *dir = path_dir(file), *real = realpath(dir, NULL);
	const struct recipe *r = s->recipe;
	AUTO_BUF at = BUF_INIT;

	path_join(&at, r->root, *r->dir ? r->dir : ".");
	if (real && strcmp(real, at.s) != 0)
		progress_warning(
			terminal_progress(s->terminal),
			"%s: an Imagefile copies what is beside it, and this one was "
			"written for %s",
			file, at.s);
}

/* Never in the place of what is there. */
static int write_new(const char *file, const char *text, struct err *e)
{
	AUTO_CLOSE int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	if (fd < 0 && errno == EEXIST)
		return err_set(e, ERR_EXISTS,
		               "%s is there already; remove it first, or leave out -o to "
		               "look at what would be written",
		               file);
	if (fd < 0)
		return err_sys(e, "create %s", file);
	return fd_write(fd, text, strlen(text), file, e);
}

int cmd_convert(const struct options *o, struct terminal *t)
{
	struct options own = *o;
	AUTO_BUF text = BUF_INIT;
	struct session s;
	struct err e;

	own.file = dockerfile_of(o);
	own.words = (struct strlist){ 0 }; /* the default target is meant */
	if (session_open(&s, &own, t,
	                 SESSION_RECIPE | SESSION_STORE | SESSION_REGISTRY |
	                         SESSION_BUILD | SESSION_CONVERT,
	                 &e) < 0)
		return session_fail(&s, &e);
	if (o->output) {
		if (write_new(o->output, s.recipe->text, &e) < 0)
			return session_fail(&s, &e);
		check_place(&s, o->output);
		return session_end(&s, 0);
	}
	buf_adds(&text, s.recipe->text);
	session_print(&s, &text);
	return session_end(&s, 0);
}
