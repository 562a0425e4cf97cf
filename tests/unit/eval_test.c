#include "recipes.h"

#include "base/vec.h"
#include "os/process.h"

static void the_example_of_the_manual_becomes_plain_data(void **state)
{
	(void)state;
	struct recipe *r = evaluate(
		"local version = var { 'VERSION', default = '1.2.3', help = 'release' }\n"
		"local debian = base 'docker.io/library/debian:12-slim'\n"
		"local deps = stage 'deps' {\n"
		"  from = debian,\n"
		"  run { 'python3 -m venv /venv', cache = { '/root/.cache/pip' } },\n"
		"}\n"
		"local web = image 'web' {\n"
		"  from = debian,\n"
		"  false and mkdir '/never', nil,\n"
		"  copy { '/venv', from = deps, to = '/venv' },\n"
		"  { workdir '/app',\n"
		"    copy { 'src', to = '.', exclude = { '**/x', 'y' }, mode = '0644' } "
		"},\n"
		"  env { PATH = '/venv/bin:${PATH}', A = 8080 },\n"
		"  user '65534:65534',\n"
		"  config { expose = { 8080 }, cmd = 'run me' },\n"
		"  publish = { 'registry.example.com/team/web', version = version },\n"
		"}\n"
		"check 'starts' { image = web, run = { 'true' }, fresh = '1d12h' }\n"
		"default { web }\n");
	const struct target *web = target_named(r, "web"), *t;
	const struct step *s = web->steps;

	assert_int_equal(r->n_targets, 4);
	assert_int_equal(web->kind, TARGET_IMAGE);
	assert_int_equal(web->place.line, 7);
	assert_string_equal(web->place.file, "Imagefile");
	assert_string_equal(web->from->name, "docker.io/library/debian:12-slim");
	assert_int_equal(web->compression, CODEC_GZIP);
	assert_int_equal(web->n_steps, 6);
	assert_int_equal(s[0].kind, STEP_COPY);
	assert_int_equal(s[0].place.line, 10);
	assert_ptr_equal(s[0].copy.from, target_named(r, "deps"));
	assert_string_equal(s[1].workdir, "/app");
	assert_int_equal(s[2].place.line, 12);
	assert_int_equal(s[2].copy.exclude.n, 2);
	assert_int_equal(s[2].copy.mode, 0644);
	assert_int_equal(s[2].copy.dir_mode, -1);
	assert_string_equal(s[2].copy.owner, "");
	assert_string_equal(s[3].env.at[0].key, "A");
	assert_string_equal(s[3].env.at[0].value, "8080");
	assert_string_equal(s[4].user, "65534:65534");
	assert_string_equal(web->publish->version, "1.2.3");
	assert_true(web->publish->is_default && web->publish->immutable);
	assert_int_equal(web->publish->latest, LATEST_ANY);
	t = target_named(r, "starts");
	assert_ptr_equal(t->image, web);
	assert_int_equal(t->fresh, 36 * 3600);
	assert_int_equal(r->n_defaults, 1);
	assert_ptr_equal(r->defaults[0], web);
	recipe_free(r);
}

static void steps_keep_all_that_was_written(void **state)
{
	(void)state;
	struct recipe *r =
		evaluate("image 'a' { from = 'scratch', compression = 'zstd',\n"
	                 "  platforms = { 'linux/x86_64', 'linux/arm64' }, annotations = "
	                 "{ k = 'v' },\n"
	                 "  write { '/f', 'a\\0b', mode = '4755', owner = 7 },\n"
	                 "  symlink { '/l', target = '../x' },\n"
	                 "  layer { mkdir { '/d', '/e', mode = '1777' }, remove { "
	                 "'/tmp/*', optional = true } },\n"
	                 "  unpack { 'r.tar.zst', to = '/' },\n"
	                 "  add { 'https://x.example/f', to = '/f', sha256 = "
	                 "('0A'):rep(32), unpack = true },\n"
	                 "  copy { 'a', to = '/', mtime = 'content' }, copy { 'a', to = "
	                 "'/', mtime = 99 },\n"
	                 "  run { exec = { 'a', 'b c' }, secret = 'npm', ssh = true, "
	                 "network = 'none',\n"
	                 "        cache = { { path = '/c', sharing = 'locked' } }, "
	                 "inputs = 'go.mod' },\n"
	                 "  config { entrypoint = { 'x' }, volumes = {}, labels = {},\n"
	                 "           healthcheck = { test = 'ok', interval = '1m' } },\n"
	                 "}");
	const struct target *t = target_named(r, "a");
	const struct step *s = t->steps;
	AUTO_BUF json = BUF_INIT;

	assert_null(t->from);
	assert_int_equal(t->compression, CODEC_ZSTD);
	assert_string_equal(t->platforms.at[0], "linux/amd64");
	json_write(&json, t->annotations);
	assert_string_equal(json.s, "{\"k\":\"v\"}");
	assert_int_equal(s[0].write.size, 3);
	assert_memory_equal(s[0].write.text, "a\0b", 3);
	assert_int_equal(s[0].write.mode, 04755);
	assert_string_equal(s[0].write.owner, "7");
	assert_string_equal(s[1].symlink.target, "../x");
	assert_int_equal(s[2].layer.n, 2);
	assert_int_equal(s[2].layer.at[0].mkdir.mode, 01777);
	assert_true(s[2].layer.at[1].remove.optional);
	assert_string_equal(s[3].unpack.source, "r.tar.zst");
	assert_int_equal(strncmp(s[4].add.sha256, "0a0a", 4), 0);
	assert_true(s[4].add.unpack);
	assert_int_equal(s[5].copy.mtime, MTIME_CONTENT);
	assert_int_equal(s[6].copy.mtime_value, 99);
	assert_string_equal(s[7].run.exec.at[1], "b c");
	assert_string_equal(s[7].run.secrets[0].path, "/run/secrets/npm");
	assert_int_equal(s[7].run.caches[0].sharing, CACHE_LOCKED);
	assert_string_equal(s[7].run.network, "none");
	buf_reset(&json);
	json_write(&json, s[8].config);
	assert_string_equal(
		json.s,
		"{\"entrypoint\":[\"x\"],\"healthcheck\":{\"interval\":60000000000,"
		"\"test\":[\"CMD-SHELL\",\"ok\"]},\"labels\":{},\"volumes\":[]}");
	recipe_free(r);
}

static void publish_keeps_every_option(void **state)
{
	(void)state;
	struct recipe *r = evaluate(
		"image 'a' { from = 'scratch', publish = { 'r.example/a', "
		"'r.example/b',\n"
		"  version = '1.2.3', rebuild = '20261120', tags = 'edge', prefix = "
		"'v',\n"
		"  variant = 'alpine3.22', aliases = { 'alpine' }, variants = { 'slim' "
		"},\n"
		"  default = false, levels = { 'full', 'minor' }, latest = '2', "
		"zero_major = true,\n"
		"  channels = { 'beta' }, yanked = { '1.2.2' }, immutable = false } }\n"
		"image 'b' { from = 'scratch', publish = { 'r.example/c', version = '1', "
		"latest = false } }");
	const struct publish *p = target_named(r, "a")->publish;

	assert_int_equal(p->repos.n, 2);
	assert_string_equal(p->rebuild, "20261120");
	assert_string_equal(p->tags.at[0], "edge");
	assert_string_equal(p->prefix, "v");
	assert_string_equal(p->variant, "alpine3.22");
	assert_string_equal(p->aliases.at[0], "alpine");
	assert_string_equal(p->variants.at[0], "slim");
	assert_false(p->is_default);
	assert_int_equal(p->levels.n, 2);
	assert_int_equal(p->latest, LATEST_LINE);
	assert_string_equal(p->latest_line, "2");
	assert_true(p->zero_major && p->channels && !p->immutable);
	assert_string_equal(p->channels_list.at[0], "beta");
	assert_string_equal(p->yanked.at[0], "1.2.2");
	assert_int_equal(target_named(r, "b")->publish->latest, LATEST_NEVER);
	recipe_free(r);
}

static void variables_come_from_command_line_environment_and_default(void **state)
{
	(void)state;
	const struct pair given[] = { { "A", "x" }, { "A", "line" }, { "B", "line" } };
	struct eval_options o = { .dir = project, .overrides = given, .n_overrides = 3 };
	struct recipe *r;

	put("Imagefile", "var { 'A', default = 'd' } var { 'B', choices = { 'line' } }\n"
	                 "var { 'C', default = 'd' } var { 'D', default = 'd' } var 'E'");
	setenv("IMGMAKE_VAR_A", "env", 1);
	setenv("IMGMAKE_VAR_C", "env", 1);
	r = evaluate_with(&o);
	assert_string_equal(r->variables[0].value, "line");
	assert_int_equal(r->variables[0].origin, VALUE_COMMAND_LINE);
	assert_string_equal(r->variables[2].value, "env");
	assert_int_equal(r->variables[2].origin, VALUE_ENVIRONMENT);
	assert_string_equal(r->variables[3].value, "d");
	assert_null(r->variables[4].value);
	recipe_free(r);
	unsetenv("IMGMAKE_VAR_A");
	unsetenv("IMGMAKE_VAR_C");

	put("Imagefile", "var 'ALPHA' var 'B'");
	o.overrides = &(struct pair){ "ALHPA", "x" };
	o.n_overrides = 1;
	refused_with(
		&o,
		"Imagefile:1: no variable 'ALHPA' is declared, did you mean 'ALPHA'?");
	put("Imagefile", "\n");
	refused_with(&o,
	             "Imagefile:1: no variable 'ALHPA' is declared (it declares none)");
}

static void imports_name_targets_by_their_directory(void **state)
{
	(void)state;
	struct eval_options o = in_project();
	struct recipe *r;

	put("base/Imagefile", "image 'py' { from = base 'debian:12' }");
	put("services/api/Imagefile",
	    "local lib = require 'lib.util'\n"
	    "local py = import('//base').py\n"
	    "assert(py == import('../../base').py)\n"
	    "image 'api' { from = py, copy { lib.source, to = '/' } }\n"
	    "default {}");
	put("lib/util.lua", "return { source = 'src' }");
	r = evaluate("local api = import 'services/api'\n"
	             "image 'all' { from = api.api, copy { 'x', from = "
	             "import('base').py, to = '/' } }");
	assert_string_equal(target_named(r, "services/api/api")->from->name, "base/py");
	assert_string_equal(target_named(r, "services/api/api")->dir, "services/api");
	assert_string_equal(target_named(r, "base/py")->place.file, "base/Imagefile");
	assert_int_equal(r->n_targets, 4);
	recipe_free(r);

	o.file = "services/api/Imagefile"; /* the root stays, names are relative to
	                                      this one */
	r = evaluate_with(&o);
	assert_string_equal(r->dir, "services/api");
	assert_string_equal(r->root, project);
	assert_string_equal(target_named(r, "api")->from->name, "//base/py");
	recipe_free(r);
}

static void errors_name_the_line_of_the_users_own_code(void **state)
{
	(void)state;
	put("sub/Imagefile", "\n\nimage 'x' {\n  from = 'scratch',\n  copy { 'a' },\n}");
	put("lib.lua", "local M = {}\nfunction M.f()\n  local c = copy { 'a', to = 3 "
	               "}\n  return c\nend\nreturn M");
	refused("import 'sub'", "sub/Imagefile:5: copy: 'to' is missing");
	refused("require('lib').f()",
	        "lib.lua:3: copy: 'to' must be a string that is not empty, "
	        "not the number 3");
	refused("\nlocal x = = 1", "Imagefile:2: unexpected symbol near '='");
	refused("\n\nreturn image 'x' {\n}\n\n",
	        "Imagefile:4: image 'x': 'from' is missing: a base, "
	        "a stage, an image, or \"scratch\"");
	refused("local function f()\n error('mine')\nend\nf()", "Imagefile:2: mine");
	refused("local function f()\n error('caller', 2)\nend\nf()",
	        "Imagefile:4: caller");
	refused("error({})", "Imagefile:1: error value: table");
	refused("\nerror('two\\nlines', 0)", "Imagefile:2: two\\x0alines");
	refused("\nassert(false, 'said')", "Imagefile:2: said");
	refused("image 'a'\n\n", "Imagefile:1: image 'a' has no { … }");
	refused("return imag", "Imagefile:1: unknown name 'imag', did you mean 'image'?");
	refused("(1)()", "Imagefile:1: attempt to call a number value");
	refused("base 'a b'",
	        "Imagefile:1: base: 'a b': a name holds neither spaces nor other than "
	        "ASCII characters, for example registry.example.com/team/app:1.2");
}

static void what_is_missing_or_in_a_circle_is_one_line(void **state)
{
	(void)state;
	struct eval_options o = in_project();

	refused("read 'nope'", "Imagefile:1: nope: no such file");
	refused("\nimport 'nope'", "Imagefile:2: nope/Imagefile: no such file");
	refused("require 'nope'", "Imagefile:1: require: no module 'nope' (looked "
	                          "for nope.lua, nope/init.lua)");
	put("a/Imagefile", "import '//b'");
	put("b/Imagefile", "\nimport '../a'");
	refused("import 'a'",
	        "b/Imagefile:2: import cycle: a/Imagefile → b/Imagefile → a/Imagefile");
	put("m.lua", "require 'm'");
	refused("require 'm'", "m.lua:1: require cycle: m.lua → m.lua");
	o.file = "None";
	refused_with(&o, "None: no such file");
	o.dir = "/nonexistent";
	refused_with(&o, "/nonexistent: No such file or directory");
}

static void nothing_outside_of_the_directory_is_read(void **state)
{
	(void)state;
	assert_int_equal(symlinkat("/etc/passwd", project_fd, "out"), 0);
	assert_int_equal(symlinkat("Imagefile", project_fd, "in"), 0);
	refused("read 'out'", "Imagefile:1: out: a symbolic link leads out of the "
	                      "Imagefile's directory");
	refused("read '../x'", "Imagefile:1: ../x is above the Imagefile's directory");
	recipe_free(evaluate("assert(read 'in' == 'assert(read \\'in\\' == read "
	                     "\\'Imagefile\\')' or true)"));
	assert_int_equal(mkfifoat(project_fd, "fifo", 0600), 0);
	refused("read 'fifo'", "Imagefile:1: fifo is not a regular file");
}

static void globs_see_sources_only(void **state)
{
	(void)state;
	struct recipe *r;

	put("src/a.c", "");
	put("src/b.c", "");
	put("src/gen.c", "");
	put(".git/c.c", "");
	r = evaluate("local found = table.concat(glob '**/*.c', ' ')\n"
	             "file 'src/gen.c' { run = 'make gen', deps = { 'gen.in' } }\n"
	             "image((found:gsub('[^%w]', '-'))) { from = 'scratch' }");
	assert_non_null(target_named(r, "src-a-c-src-b-c"));
	assert_string_equal(target_named(r, "src/gen.c")->output, "src/gen.c");
	recipe_free(r);
	refused("file 'out/' { run = 'x' } glob 'out/*'",
	        "Imagefile:1: glob: 'out/*' matches nothing "
	        "(glob { 'out/*', optional = true } allows that)");
}

static bool has_input(const struct recipe *r, const char *what)
{
	for (size_t i = 0; i < r->n_inputs; i++)
		if (!strcmp(r->inputs[i].what, what))
			return true;
	return false;
}

static void everything_read_is_an_input(void **state)
{
	(void)state;
	struct recipe *r;

	put("V", "1.0\n");
	put("x.json", "{\"a\":[1]}");
	r = evaluate(
		"assert(read 'V' == '1.0' and json.read('x.json').a[1] == 1) glob 'V'");
	assert_true(has_input(r, "read V") && has_input(r, "read x.json") &&
	            has_input(r, "glob V") && has_input(r, "recipe Imagefile"));
	recipe_free(r);
}

struct lines {
	struct progress progress;
	struct strlist seen;
};

static void collect(struct progress *p, const struct progress_event *ev)
{
	strlist_add(&((struct lines *)p)->seen, ev->what);
}

static void print_goes_to_the_progress(void **state)
{
	(void)state;
	struct lines l = { .progress = { collect } };
	struct eval_options o = in_project();

	o.progress = &l.progress;
	put("Imagefile", "print('a', 1, {}, nil)");
	recipe_free(evaluate_with(&o));
	assert_int_equal(l.seen.len, 1);
	assert_string_equal(l.seen.at[0], "a\t1\ttable\tnil\n");
	strlist_fini(&l.seen);
}

static void git(const char *script)
{
	AUTO_BUF line = BUF_INIT;
	const char *argv[] = { "sh", "-c", NULL, NULL };
	struct process_options o = { .argv = argv, .cwd = project_fd };
	AUTO_BUF out = BUF_INIT;
	struct err e;
	int status;

	buf_addf(&line,
	         "export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a"
	         " GIT_COMMITTER_EMAIL=a@b GIT_CONFIG_GLOBAL=/dev/null; set -e; %s",
	         script);
	argv[2] = line.s;
	o.out = o.err = &out;
	assert_int_equal(process_run(&o, &status, &e), 0);
	if (status)
		fail_msg("%s", out.s);
}

static void git_tells_the_version(void **state)
{
	(void)state;
	recipe_free(
		evaluate("assert(git.version() == '0.0.0-dev' and git.commit() == nil)"));
	git("rm -rf .git; git init -q -b main; git add -A; git commit -q -m one");
	recipe_free(evaluate(
		"assert(git.branch() == 'main' and git.tag() == nil and git.dirty())\n"
		"assert(git.version():find('^0%.0%.0%-dev%.g%x+%.dirty$'))"));
	put("Imagefile",
	    "assert(git.version() == '1.2.3' and git.tag() == 'v1.2.3' and not "
	    "git.dirty())\n"
	    "assert(#git.commit() == 40)\n"
	    "assert(git.annotations()['org.opencontainers.image.source'] =="
	    " 'https://example.com/a/b')");
	git("git add -A; git commit -q -m two; git tag v1.2.3;"
	    "git remote add origin https://user:secret@example.com/a/b.git");
	struct eval_options o = in_project();
	recipe_free(evaluate_with(&o));
	git("git commit -q --allow-empty -m three");
	put("Imagefile",
	    "local v = "
	    "git.version()\nassert(v:find('^1%.2%.4%-dev%.1%.g%x+%.dirty$'), v)");
	recipe_free(evaluate_with(&o));
}

static void repository_configuration_runs_nothing(void **state)
{
	(void)state;
	put("a", "");
	git("rm -rf .git; git init -q; git add -A; git commit -q -m one;"
	    "git config core.fsmonitor 'touch fsmonitor-ran'; git config "
	    "core.hooksPath .");
	recipe_free(evaluate("git.dirty() git.version()"));
	assert_false(file_exists(project_fd, "fsmonitor-ran"));
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, make_project, remove_project)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(the_example_of_the_manual_becomes_plain_data),
		EACH(steps_keep_all_that_was_written),
		EACH(publish_keeps_every_option),
		EACH(variables_come_from_command_line_environment_and_default),
		EACH(imports_name_targets_by_their_directory),
		EACH(errors_name_the_line_of_the_users_own_code),
		EACH(what_is_missing_or_in_a_circle_is_one_line),
		EACH(nothing_outside_of_the_directory_is_read),
		EACH(globs_see_sources_only),
		EACH(everything_read_is_an_input),
		EACH(print_goes_to_the_progress),
		EACH(git_tells_the_version),
		EACH(repository_configuration_runs_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
