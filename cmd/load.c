/* imgmake load: an image into the engine of this machine. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/commands.h"
#include "image/image.h"
#include "image/layout.h"
#include "image/reference.h"
#include "os/file.h"
#include "os/process.h"

/* Where an argument stands for something. */
#define FILE_ARG "\1"
#define NAME_ARG "\2"

/* OCI archives keep the manifest, and so the digest that a registry would show; docker
 * reads its own kind whatever its version. containerd makes a name of a prefix and a tag.
 */
static const struct engine {
	const char *name, *program;
	enum layout_kind kind;
	const char *load[10], *probe[6];
	const char *local; /* what a name without a host is below */
	bool tag_only;     /* the archive names the tag, NAME_ARG the rest */
} engines[] = {
	{ "docker",
	  "docker",
	  LAYOUT_DOCKER_ARCHIVE,
	  { "docker", "load", "-q", "-i", FILE_ARG },
	  { "docker", "version", "--format", "{{.Server.Version}}" },
	  "docker.io/library/",
	  false },
	{ "podman",
	  "podman",
	  LAYOUT_OCI_ARCHIVE,
	  { "podman", "load", "-q", "-i", FILE_ARG },
	  { "podman", "version" },
	  "localhost/",
	  false },
	{ "containerd",
	  "ctr",
	  LAYOUT_OCI_ARCHIVE,
	  { "ctr", "images", "import", "--base-name", NAME_ARG, FILE_ARG },
	  { "ctr", "version" },
	  "docker.io/library/",
	  true },
};

const char *const load_engines[] = { "docker", "podman", "containerd", NULL };

static int call(const char *const *argv, struct buf *said, int *status, struct err *e)
{
	struct process_options o = { .argv = argv, .cwd = -1, .out = said, .err = said };

	return process_run(&o, status, e);
}

static bool answers(const struct engine *x)
{
	AUTO_BUF said = BUF_INIT;
	struct err ignored;
	int status;

	return call(x->probe, &said, &status, &ignored) == 0 && status == 0;
}

static int choose(const struct options *o, const struct engine **out, struct err *e)
{
	*out = o->into ? &engines[o->into - 1] : NULL;
	for (size_t i = 0; !*out && i < ARRAY_LEN(engines); i++)
		if (answers(&engines[i]))
			*out = &engines[i];
	return *out ? 0
	            : err_set(e, ERR_NOT_FOUND,
	                      "neither docker nor podman nor containerd answers here; "
	                      "imgmake export writes files for another machine");
}

/* A reference as the engine spells it; `said` is --name, or what the image is called. */
static int full_name(const struct engine *x, const char *said, struct reference *out,
                     struct err *e)
{
	bool bare = strcspn(said, "/") == strlen(said);
	AUTO_BUF text = BUF_INIT;

	if (bare)
		buf_adds(&text, x->local);
	buf_adds(&text, said);
	if (reference_parse(out, text.s, e) < 0)
		return err_wrap(e, "it cannot be called '%s'; give --name", said);
	out->has_digest = false;
	if (!out->tag[0])
		snprintf(out->tag, sizeof(out->tag), "latest");
	return 0;
}

/* What the engine said in its last line, since that is where the reason is. */
static int failed(const struct engine *x, const struct buf *said, struct err *e)
{
	AUTO_BUF line = BUF_INIT;
	size_t end = said->len, start;

	while (end && said->s[end - 1] == '\n')
		end--;
	for (start = end; start && said->s[start - 1] != '\n'; start--)
		;
	buf_add_printable(&line, said->s + start, end - start);
	return err_set(e, ERR_FAILED, "%s could not load it: %.400s", x->program, line.s);
}

static int import(const struct engine *x, const struct reference *name, const char *file,
                  struct err *e)
{
	AUTO_FREE char *repo = reference_repo_text(name);
	AUTO_BUF said = BUF_INIT;
	const char *argv[ARRAY_LEN(x->load)];
	int status;

	for (size_t i = 0; i < ARRAY_LEN(argv); i++) {
		argv[i] = x->load[i];
		if (argv[i] && !strcmp(argv[i], FILE_ARG))
			argv[i] = file;
		else if (argv[i] && !strcmp(argv[i], NAME_ARG))
			argv[i] = repo;
	}
	if (call(argv, &said, &status, e) < 0)
		return -1;
	return status ? failed(x, &said, e) : 0;
}

static int load_named(struct session *s, const struct engine *x,
                      const struct reference *name, const struct descriptor *root,
                      struct err *e)
{
	AUTO_FREE char *full = reference_text(name);
	AUTO_BUF file = BUF_INIT;
	int rc;

	if (file_mkdirs(s->store.dir, "tmp", 0700, e) < 0)
		return -1;
	buf_addf(&file, "%s/tmp/load.%d.tar", s->store.path, (int)getpid());
	rc = layout_export(s->store.blobs, AT_FDCWD, x->kind, file.s,
	                   x->tag_only ? name->tag : full, root, e);
	if (rc == 0)
		rc = import(x, name, file.s, e);
	unlink(file.s);
	if (rc == 0)
		terminal_note(s->terminal, "%s has it as %s", x->name, full);
	return rc;
}

/* An engine picks its own platform of an index, where it takes indexes; and knows nothing
 * of artifacts. */
static int choose_image(struct session *s, const struct engine *x,
                        struct descriptor *root, struct err *e)
{
	bool index = media_class(root->media_type) == MEDIA_INDEX;
	bool one =
		s->options->platforms.len || (index && x->kind == LAYOUT_DOCKER_ARCHIVE);
	struct platform p;
	struct image im;

	if (index && !one)
		return 0;
	if (session_platform(s, &p, e) < 0 ||
	    image_open(&im, s->store.blobs, root, one ? &p : NULL, e) < 0)
		return -1;
	*root = im.manifest_desc;
	image_fini(&im);
	return 0;
}

static int load(struct session *s, struct err *e)
{
	const struct options *o = s->options;
	const struct engine *x;
	struct reference name;
	struct descriptor root;

	if (choose(o, &x, e) < 0 ||
	    full_name(x, o->name ? o->name : o->words.at[0], &name, e) < 0 ||
	    session_image(s, o->words.at[0], true, &root, e) < 0 ||
	    choose_image(s, x, &root, e) < 0 || load_named(s, x, &name, &root, e) < 0)
		return -1;
	session_print_root(s, &root);
	return 0;
}

int cmd_load(const struct options *o, struct terminal *t)
{
	struct session s;
	struct err e;

	if (session_open(&s, o, t,
	                 SESSION_RECIPE_IF_ANY | SESSION_STORE | SESSION_REGISTRY |
	                         SESSION_BUILD,
	                 &e) < 0 ||
	    load(&s, &e) < 0)
		return session_fail(&s, &e);
	return session_end(&s, 0);
}
