/* imgmake init: a first Imagefile for a project of a usual kind, what is not sent into
 * images, and what editors need to know of recipes. Nothing that exists is touched. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "cmd/ask.h"
#include "cmd/commands.h"
#include "lua/embed.h"
#include "os/file.h"

enum { PACKAGE_MAX = 4 << 20 };

/* By name as in stdlib/init/; `sign` is the file that gives the kind away. */
struct kind {
	const char *name, *sign, *ignore;
};
static const struct kind kinds[] = {
	{ "node", "package.json", "node_modules\ndist\ncoverage\n" },
	{ "python", "requirements.txt",
	  "**/__pycache__\n**/*.pyc\n.venv\nvenv\n.pytest_cache\n.mypy_cache\n" },
	{ "go", "go.mod", "bin\n" },
	{ "java", "pom.xml", "target\n" },
	{ "static", "index.html", "" },
};
const char *const init_kinds[] = { "node", "python", "go", "java", "static", NULL };

static const char ignore_for_all[] =
	"# What is never sent into an image: patterns as in .dockerignore.\n"
	".git\n"
	"Imagefile*\n"
	".imgmakeignore\n"
	".luarc.json\n"
	"**/*.pem\n"
	"**/*.key\n"
	"**/.env\n"
	"**/.env.*\n";
/* Recipes see Lua 5.4 without what reaches out of them. */
static const char luarc[] =
	"{\n"
	"  \"runtime.version\": \"Lua 5.4\",\n"
	"  \"runtime.builtin\": { \"io\": \"disable\", \"os\": \"disable\", \"debug\": "
	"\"disable\", \"package\": \"disable\", \"coroutine\": \"disable\" },\n"
	"  \"workspace.library\": [\"~/.config/imgmake/meta\"],\n"
	"  \"workspace.checkThirdParty\": false\n"
	"}\n";

struct init {
	struct session s;
	const struct kind *kind;
	struct buf said;
};

static const struct kind *kind_named(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

/* A site is what nothing else is; its page may be one directory down. */
static const char *first_there(const char *const *names)
{
	for (; *names; names++)
		if (file_exists(AT_FDCWD, *names))
			return *names;
	return NULL;
}

static const char *site_directory(void)
{
	static const char *const pages[] = { "public/index.html", "dist/index.html",
		                             "www/index.html", "site/index.html", NULL };
	static char dir[16];
	const char *page = first_there(pages);

	if (page)
		snprintf(dir, sizeof(dir), "%.*s", (int)strcspn(page, "/"), page);
	return page ? dir : ".";
}

static const struct kind *kind_found(void)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (file_exists(AT_FDCWD, kinds[i].sign))
			return &kinds[i];
	return strcmp(site_directory(), ".") != 0 ? kind_named("static") : NULL;
}

/* --- What the project is --------------------------------------------------------------
 */

static int ask(struct init *in, struct err *e)
{
	const struct kind *found = kind_found();
	AUTO_BUF text = BUF_INIT;

	dprintf(STDERR_FILENO,
	        "What is this project: node, python, go, java or static%s%s%s? ",
	        found ? " [" : "", found ? found->name : "", found ? "]" : "");
	if (ask_line(&text, "answer", e) < 0)
		return -1;
	in->kind = text.len || !found ? kind_named(text.s) : found;
	if (in->kind)
		return 0;
	return err_set(e, ERR_INVALID,
	               "'%s' is none of node, python, go, java and static", text.s);
}

static int find_kind(struct init *in, struct err *e)
{
	const struct options *o = in->s.options;

	if (o->init_type)
		in->kind = kind_named(init_kinds[o->init_type - 1]);
	else if (isatty(STDIN_FILENO))
		return ask(in, e);
	else
		in->kind = kind_found();
	if (in->kind)
		return 0;
	return err_set(e, ERR_INVALID,
	               "nothing here says what the project is; say it, as --type=node "
	               "(node, python, go, java, static)");
}

/* --- What stands in the template ------------------------------------------------------
 */

/* The directory's name, as far as it can be a target's and a repository's. */
static void add_name(struct buf *out)
{
	AUTO_FREE char *here = getcwd(NULL, 0);
	const char *name = here ? strrchr(here, '/') + 1 : "";
	size_t start = out->len;

	for (; *name; name++) {
		char c = *name;

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			buf_addc(out, c);
		else if (out->len > start && out->s[out->len - 1] != '-')
			buf_addc(out, '-');
	}
	while (out->len > start && out->s[out->len - 1] == '-')
		buf_truncate(out, out->len - 1);
	/* No target has the name of a command. */
	for (const struct command *c = commands; c->name; c++)
		if (!strcmp(c->name, out->s + start))
			buf_adds(out, "-app");
	if (out->len == start)
		buf_adds(out, "app");
}

/* package.json: the script "build" and what is started. */
static void add_node(struct buf *out, bool main)
{
	AUTO_BUF text = BUF_INIT;
	struct err ignored;
	json_t *package = NULL;
	const char *start;
	bool builds;

	if (file_read(AT_FDCWD, "package.json", &text, PACKAGE_MAX, &ignored) == 0)
		package = json_loadb(text.s, text.len, 0, NULL);
	builds = json_is_string(
		json_object_get(json_object_get(package, "scripts"), "build"));
	start = json_string_value(json_object_get(package, "main"));
	if (!start || strpbrk(start, "\"\\\n"))
		start = builds ? "dist/index.js" : "index.js";
	if (main)
		buf_adds(out, start);
	else if (builds)
		buf_adds(out, "\n    run = \"build\",\n    output = \"dist\",");
	json_decref(package);
}

/* The first program below cmd/; NULL if there is none. The caller frees it. */
static char *go_program(void)
{
	struct dirent **entries;
	char *out = NULL;
	int n = scandir("cmd", &entries, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		if (!out && entries[i]->d_name[0] != '.' && entries[i]->d_type == DT_DIR)
			out = mem_strdup(entries[i]->d_name);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return out;
}

static void add_go_main(struct buf *out)
{
	AUTO_FREE char *program = go_program();

	if (program)
		buf_addf(out, "./cmd/%s", program);
	else
		buf_adds(out, ".");
}

static void add_main(const struct init *in, struct buf *out)
{
	static const char *const python[] = { "src/main.py", "src/app.py", "main.py",
		                              "app.py", NULL };
	const char *found = first_there(python);

	if (!strcmp(in->kind->name, "node"))
		add_node(out, true);
	else if (!strcmp(in->kind->name, "go"))
		add_go_main(out);
	else
		buf_adds(out, !found                       ? "main.py"
		              : !strncmp(found, "src/", 4) ? found + 4
		                                           : found);
}

/* What "go build" calls it: the directory below cmd/, else the end of the module's path.
 */
static void add_program(struct buf *out)
{
	AUTO_FREE char *program = go_program();
	AUTO_BUF text = BUF_INIT;
	struct err ignored;
	const char *line;
	size_t n;

	if (program) {
		buf_adds(out, program);
		return;
	}
	if (file_read(AT_FDCWD, "go.mod", &text, PACKAGE_MAX, &ignored) < 0 ||
	    !(line = strstr(text.s, "module "))) {
		add_name(out);
		return;
	}
	line += strlen("module ");
	n = strcspn(line, " \t\r\n");
	for (size_t i = n; i > 0; i--)
		if (line[i - 1] == '/') {
			line += i;
			n -= i;
			break;
		}
	buf_add(out, line, n);
}

static void add_value(const struct init *in, const char *name, size_t n, struct buf *out)
{
	if (!strncmp(name, "NAME", n)) {
		add_name(out);
	} else if (!strncmp(name, "REPOSITORY", n)) {
		buf_adds(out, "registry.example.com/team/");
		add_name(out);
	} else if (!strncmp(name, "BUILD", n)) {
		add_node(out, false);
	} else if (!strncmp(name, "MAIN", n)) {
		add_main(in, out);
	} else if (!strncmp(name, "PROGRAM", n)) {
		add_program(out);
	} else if (!strcmp(in->kind->name, "static")) {
		buf_adds(out, site_directory());
	} else {
		buf_adds(out, file_exists(AT_FDCWD, "src") ? "src" : ".");
	}
}

static void fill(const struct init *in, struct buf *out)
{
	char module[32];
	const char *text = "", *mark, *end;

	snprintf(module, sizeof(module), "init.%s", in->kind->name);
	for (size_t i = 0; i < embedded_count; i++)
		if (!strcmp(embedded_modules[i].name, module))
			text = (const char *)embedded_modules[i].text;
	while ((mark = strchr(text, '@')) && (end = strchr(mark + 1, '@'))) {
		buf_add(out, text, (size_t)(mark - text));
		add_value(in, mark + 1, (size_t)(end - mark - 1), out);
		text = end + 1;
	}
	buf_adds(out, text);
}

/* --- Files ----------------------------------------------------------------------------
 */

static int write_new(struct init *in, const char *path, const struct buf *text,
                     struct err *e)
{
	if (file_exists(AT_FDCWD, path)) {
		buf_addf(&in->said, "%s is there already: left as it is\n", path);
		return 0;
	}
	if (file_replace(AT_FDCWD, path, text->s, text->len, 0644, e) < 0)
		return -1;
	buf_addf(&in->said, "wrote %s\n", path);
	return 0;
}

static int write_ignore(struct init *in, struct err *e)
{
	AUTO_BUF text = BUF_INIT;

	if (file_exists(AT_FDCWD, ".dockerignore")) {
		buf_adds(&in->said, ".dockerignore is there already, and counts\n");
		return 0;
	}
	buf_adds(&text, ignore_for_all);
	buf_adds(&text, in->kind->ignore);
	return write_new(in, ".imgmakeignore", &text, e);
}

/* What editors are told is this program's: it replaces what an older one wrote. */
static int write_meta(struct init *in, struct err *e)
{
	AUTO_BUF path = BUF_INIT;
	AUTO_BUF text = BUF_INIT;
	const char *home = getenv("HOME");

	if (!home || *home != '/')
		return err_set(e, ERR_INVALID, "HOME is not set: editors look below it");
	buf_addf(&path, "%s/.config/imgmake/meta", home);
	if (file_mkdirs(AT_FDCWD, path.s, 0755, e) < 0)
		return -1;
	buf_adds(&path, "/imgmake.lua");
	if (file_replace(AT_FDCWD, path.s, embedded_meta, embedded_meta_size, 0644, e) <
	    0)
		return -1;
	buf_adds(&text, luarc);
	return write_new(in, ".luarc.json", &text, e);
}

static int init(struct init *in, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	bool there = file_exists(AT_FDCWD, "Imagefile");

	if (!there && find_kind(in, e) < 0)
		return -1;
	if (!there)
		fill(in, &text);
	if (write_new(in, "Imagefile", &text, e) < 0 ||
	    (!there && write_ignore(in, e) < 0) || write_meta(in, e) < 0)
		return -1;
	if (!there) {
		buf_adds(&in->said, "next: imgmake, then imgmake run ");
		add_name(&in->said);
		buf_addc(&in->said, '\n');
	}
	return 0;
}

int cmd_init(const struct options *o, struct terminal *t)
{
	struct init in = { .said = BUF_INIT };
	struct err e;
	int rc;

	if (session_open(&in.s, o, t, 0, &e) < 0)
		return session_fail(&in.s, &e);
	rc = init(&in, &e);
	session_print(&in.s, &in.said);
	buf_fini(&in.said);
	return rc < 0 ? session_fail(&in.s, &e) : session_end(&in.s, 0);
}
