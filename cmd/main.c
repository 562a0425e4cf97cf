/* imgmake: make for container images. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cmd/commands.h"

enum {
	TAKES_ALL_BUILD =
		TAKES_PROJECT | TAKES_BUILD | TAKES_NETWORK | TAKES_STORE | TAKES_JSON,
	TAKES_LOOK =
		TAKES_PROJECT | TAKES_BUILD | TAKES_NETWORK | TAKES_STORE | TAKES_JSON,
};

static const struct opt deploy_options[] = {
	{ 0, "with-parents", NULL,
	  "also the published images that the named ones stand on", FLAG(with_parents),
	  0 },
	{ 0, "allow-flat-owners", NULL,
	  "deploy files that have one owner for want of others", FLAG(allow_flat_owners),
	  0 },
	{ 0 },
};

/* How a family is spelt, where no recipe says it. */
#define FAMILY_OPTIONS                                                                      \
	{ 0, "prefix", "TEXT", "in front of each numbered tag", TEXT(tag_prefix), 0 },      \
		{ 0, "variant", "NAME", "suffix of this image's tags", TEXT(tag_variant),   \
		  0 },                                                                      \
		{ 0,                                                                        \
		  "alias",                                                                  \
		  "NAME",                                                                   \
		  "another spelling of the variant (may be repeated)",                      \
		  LIST(tag_aliases),                                                        \
		  0 },                                                                      \
		{ 0,                                                                        \
		  "other-variant",                                                          \
		  "NAME",                                                                   \
		  "suffix of other images there (may be repeated)",                         \
		  LIST(tag_variants),                                                       \
		  0 },                                                                      \
		{ 0, "zero-major", NULL, "0.x has a major tag, too", FLAG(zero_major), 0 }, \
	{                                                                                   \
		0, "channels", NULL, "prereleases move 2.0-rc 2-rc rc", FLAG(channels),     \
			0                                                                   \
	}

static const struct opt login_options[] = {
	{ 'u', "username", "NAME", "who to log in as (else it is asked for)",
	  TEXT(username), 0 },
	{ 0, "password-stdin", NULL, "read the password from standard input",
	  FLAG(password_stdin), 0 },
	{ 0 },
};

static const struct opt load_options[] = {
	{ 0, "into", "ENGINE", "docker, podman or containerd", OPT_CHOICE,
	  offsetof(struct options, into), load_engines, 0 },
	{ 0, "name", "NAME[:TAG]", "what it is called there", TEXT(name), 0 },
	{ 0 },
};

static const struct opt init_options[] = {
	{ 0, "type", "TYPE", "what the project is (else it is found out, or asked for)",
	  OPT_CHOICE, offsetof(struct options, init_type), init_kinds, 0 },
	{ 0 },
};

static const char *const graph_formats[] = { "dot", "mermaid", "json", "svg", NULL };
static const struct opt graph_options[] = {
	{ 0, "format", "FORMAT", "how to draw it (default: dot)",
	  CHOICE(format, graph_formats), 0 },
	{ 0 },
};

static const struct opt why_options[] = {
	{ 0, "against", "IMAGE",
	  "compare with a published image: its digest or its reference", TEXT(against),
	  0 },
	{ 0 },
};

static const struct opt lint_options[] = {
	{ 0, "list", NULL, "name the rules", FLAG(list), 0 },
	{ 0, "explain", "RULE", "say why a rule is, and what to write instead",
	  TEXT(explain), 0 },
	{ 0 },
};

static const struct opt convert_options[] = {
	{ 'o', "output", "FILE", "write it there; what is there already stays",
	  TEXT(output), 0 },
	{ 0 },
};

static const struct opt inside_options[] = {
	{ 0, "ssh", NULL, "let the command use your ssh agent", FLAG(ssh), 0 },
	{ 0 },
};

static const struct opt tag_options[] = {
	{ 0, "version", "VERSION", "the version whose family is meant", TEXT(tag_version),
	  0 },
	FAMILY_OPTIONS,
	{ 0 },
};

static const struct opt promote_options[] = {
	{ 0, "version", "VERSION", "what it is to be called, such as 1.2.3",
	  TEXT(tag_version), 0 },
	{ 0, "to", "REPO", "into this repository instead of its own", TEXT(promote_to),
	  0 },
	FAMILY_OPTIONS,
	{ 0 },
};

static const struct opt gc_options[] = {
	{ 0, "max-size", "SIZE", "the store may have so much, such as 20g or none",
	  TEXT(max_size), 0 },
	{ 0, "max-age", "DURATION",
	  "and nothing that was not used for longer, such as 30d or none", TEXT(max_age),
	  0 },
	{ 0, "all", NULL, "remove all that no running build needs", FLAG(all), 0 },
	{ 0 },
};

static const struct opt cache_options[] = {
	{ 0, "max-age", "DURATION", "remove what was brought longer ago, such as 30d",
	  TEXT(max_age), 0 },
	{ 0, "max-size", "SIZE", "then the oldest, until so much is left, such as 20g",
	  TEXT(max_size), 0 },
	{ 0 },
};

static const struct opt fsck_options[] = {
	{ 0, "repair", NULL, "put what is damaged aside, and forget what is known of it",
	  FLAG(repair), 0 },
	{ 0, "state", NULL, "only try whether state.mdb can be read and written",
	  FLAG(state_only), 0 },
	{ 0 },
};

const struct command commands[] = {
	{ "build", "[TARGET...]", "make what is out of date",
	  "Without targets, makes those of `default`, or every image. Says nothing on standard "
	  "output unless --json.",
	  "imgmake\nimgmake build web MODE=debug", NULL,
	  TAKES_ALL_BUILD | TAKES_DRY_RUN | TAKES_QUESTION, 0, -1, cmd_build },
	{ "deploy", "[IMAGE...]", "build, check, push and tag what is published",
	  "Nothing is tagged before everything is up. A deploy that was stopped is finished by "
	  "running it again.",
	  "imgmake deploy VERSION=1.2.3\nimgmake -n deploy VERSION=1.2.3", deploy_options,
	  TAKES_ALL_BUILD | TAKES_DRY_RUN | TAKES_DEPLOY, 0, -1, cmd_deploy },
	{ "check", "[TARGET...]", "run the checks of images", NULL, "imgmake check web",
	  NULL, TAKES_ALL_BUILD | CHANGES, 0, -1, cmd_check },
	{ "clean", "", "remove what host rules made", NULL, "imgmake clean", NULL,
	  TAKES_PROJECT | TAKES_DRY_RUN, 0, 0, cmd_clean },
	{ "plan", "[TARGET...]", "say what a build would make, and why",
	  "The same as imgmake -n. Writes nothing.", "imgmake plan", NULL,
	  TAKES_ALL_BUILD, 0, -1, cmd_plan },
	{ "why", "[TARGET...]", "which input makes a target out of date",
	  "With --against, what the image of a target and a published one do not have alike; the "
	  "target is made first, if it is out of date.",
	  "imgmake why web\nimgmake why web --against registry.example.com/team/web:1.2.3",
	  why_options, TAKES_ALL_BUILD, 0, -1, cmd_why },
	{ "graph", "[TARGET...]",
	  "which target needs which, with what is out of date marked",
	  "Without targets, draws all of them. Solid lines: stands on; dashed ones: copies from, "
	  "checks, or is made from. Writes nothing but the drawing.",
	  "imgmake graph | dot -Tpng >graph.png\nimgmake graph --format=svg web >graph.svg",
	  graph_options, TAKES_LOOK, 0, -1, cmd_graph },
	{ "list", "", "the targets and variables of the Imagefile", NULL, "imgmake list",
	  NULL, TAKES_PROJECT | TAKES_JSON, 0, 0, cmd_list },
	{ "history", "IMAGE", "an image's layers and what made each",
	  "IMAGE is a target, oci:DIR, oci-archive:FILE, docker-archive:FILE, or a reference.",
	  "imgmake history web", NULL, TAKES_LOOK, 1, 1, cmd_history },
	{ "inspect", "IMAGE", "an image's manifest and configuration, as JSON", NULL,
	  "imgmake inspect web", NULL, TAKES_LOOK, 1, 1, cmd_inspect },
	{ "export", "IMAGE PLACE", "write an image into a file or directory",
	  "PLACE is oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME], or of its "
	  "files only: tar:FILE, dir:DIR.",
	  "imgmake export web docker-archive:web.tar", NULL, TAKES_LOOK | CHANGES, 2, 2,
	  cmd_export },
	{ "import", "PLACE", "read an image from a file or directory into the store",
	  NULL, "imgmake import oci-archive:web.tar", NULL,
	  TAKES_STORE | TAKES_JSON | CHANGES, 1, 1, cmd_import },
	{ "pull", "REFERENCE", "bring an image from a registry into the store", NULL,
	  "imgmake pull docker.io/library/debian:12-slim", NULL,
	  TAKES_PLATFORM | TAKES_NETWORK | TAKES_STORE | TAKES_JSON | CHANGES, 1, 1,
	  cmd_pull },
	{ "push", "IMAGE REFERENCE", "bring an image into a registry", NULL,
	  "imgmake push web registry.example.com/team/web:test", NULL,
	  TAKES_LOOK | TAKES_DRY_RUN, 2, 2, cmd_push },
	{ "copy", "FROM TO", "copy an image from registry to registry", NULL,
	  "imgmake copy docker.io/library/debian:12 registry.example.com/base/debian:12",
	  NULL, TAKES_PLATFORM | TAKES_NETWORK | TAKES_STORE | TAKES_JSON | TAKES_DRY_RUN,
	  2, 2, cmd_copy },
	{ "diff", "IMAGE IMAGE", "what two images do not have alike, file by file",
	  "From the first to the second: configuration, annotations, files. Exits 1 if they differ. "
	  "How files are divided into layers, and dates, are no difference.",
	  "imgmake diff registry.example.com/team/web:1.2.3 web", NULL, TAKES_LOOK, 2, 2,
	  cmd_diff },
	{ "size", "IMAGE", "where an image's bytes are, and which of them nobody sees",
	  "Of each layer: compressed, unpacked, and what later layers replace or remove of it; then "
	  "the largest files.",
	  "imgmake size web", NULL, TAKES_LOOK, 1, 1, cmd_size },
	{ "tree", "[IMAGE...]", "images, and the layers that they share",
	  "Without names, all images of the Imagefile.", "imgmake tree", NULL, TAKES_LOOK,
	  0, -1, cmd_tree },
	{ "tags", "REPOSITORY|TARGET", "a tag family, and what a version would move",
	  NULL, "imgmake tags registry.example.com/team/web --version 1.2.4", tag_options,
	  TAKES_LOOK, 1, 1, cmd_tags },
	{ "promote", "REPOSITORY@DIGEST|REPOSITORY:TAG",
	  "give a published image a family of tags", NULL,
	  "imgmake promote registry.example.com/team/web:candidate --version 1.2.3",
	  promote_options, TAKES_NETWORK | TAKES_STORE | TAKES_JSON | TAKES_DRY_RUN, 1, 1,
	  cmd_promote },
	{ "load", "IMAGE", "bring an image into docker, podman or containerd",
	  "Into the first of them that answers, unless --into says which. An image without a "
	  "registry in its name is there as docker.io/library/NAME, in podman as localhost/NAME.",
	  "imgmake load web\nimgmake load web --into podman --name localhost/web:test",
	  load_options, TAKES_LOOK | CHANGES, 1, 1, cmd_load },
	{ "run", "TARGET [-- COMMAND [ARG...]]", "run a command in an image or stage",
	  "TARGET is made first, if it is out of date. Without COMMAND, runs the image's entrypoint "
	  "and command. The exit status is that of the command, or 128 and the signal that ended "
	  "it; 2 also if it could not be started. What it changes is thrown away. It finds "
	  "each --secret ID=FILE as /run/secrets/ID.",
	  "imgmake run web -- ls -l /app\nimgmake run --secret token=token.txt web",
	  inside_options,
	  TAKES_PROJECT | TAKES_BUILD | TAKES_NETWORK | TAKES_STORE | TAKES_REST |
	          CHANGES,
	  1, 1, cmd_run },
	{ "shell", "TARGET", "an interactive shell in an image or stage",
	  "The image's own shell, or /bin/sh. What is done there is thrown away. Each --secret "
	  "ID=FILE is /run/secrets/ID. If TARGET cannot be made because a run step fails, "
	  "--shell-on-fail opens the shell in that step.",
	  "imgmake shell web", inside_options,
	  TAKES_PROJECT | TAKES_BUILD | TAKES_NETWORK | TAKES_STORE | CHANGES, 1, 1,
	  cmd_shell },
	{ "lint", "[TARGET...]", "what recipes and images should not be like",
	  "Of images that are built and up to date, looks also at what their own layers hold. "
	  "Builds and changes nothing. Exits 1 if it found something. A finding is allowed by a "
	  "comment in its line, or above it, or at its target: lint: allow RULE.",
	  "imgmake lint\nimgmake lint -f Dockerfile\nimgmake lint --explain root-user",
	  lint_options, TAKES_PROJECT | TAKES_NETWORK | TAKES_STORE | TAKES_JSON, 0, -1,
	  cmd_lint },
	{ "convert", "[DOCKERFILE]",
	  "write the Imagefile that builds what a Dockerfile does",
	  "The same files and the same configuration. Comments are kept, ARGs become variables; "
	  "what an Imagefile cannot say has a comment that names its line. NAME=VALUE are build "
	  "arguments, of use where one decides what cannot be a variable. Bases are looked at for "
	  "their environment, user and triggers, where they can be had.",
	  "imgmake convert\nimgmake convert docker/web.Dockerfile -o Imagefile",
	  convert_options, TAKES_PROJECT | TAKES_NETWORK | TAKES_STORE, 0, 1,
	  cmd_convert },
	{ "login", "HOST", "check a password of a registry, and keep it",
	  "Where docker and podman look for it, too: in the file that has an entry of HOST, else "
	  "$DOCKER_CONFIG/config.json, $REGISTRY_AUTH_FILE or ~/.docker/config.json, through the "
	  "credential helper that the file names. There is no option for the password itself: "
	  "everybody could read it in the list of processes.",
	  "imgmake login registry.example.com\n"
	  "imgmake login registry.example.com --username ci --password-stdin <token",
	  login_options, TAKES_NETWORK | CHANGES, 1, 1, cmd_login },
	{ "logout", "HOST", "forget the password of a registry", NULL,
	  "imgmake logout registry.example.com", NULL, CHANGES, 1, 1, cmd_logout },
	{ "init", "", "a first Imagefile, and what editors want to know of recipes",
	  "Writes an Imagefile for a Node, Python, Go or Java project or a static site, "
	  ".imgmakeignore, and .luarc.json, with which editors that use LuaLS complete and "
	  "check recipes: what they are told lies in ~/.config/imgmake/meta, and is that of "
	  "this version. Files that are there already are left as they are.",
	  "imgmake init\nimgmake init --type=python", init_options, CHANGES, 0, 0,
	  cmd_init },
	{ "doctor", "", "what this machine lacks for run steps, and how to get it",
	  "Exits 0 if run steps work here, 1 if not.", "imgmake doctor", NULL,
	  TAKES_STORE | TAKES_JSON | TAKES_SANDBOX, 0, 0, cmd_doctor },
	{ "gc", "", "remove from the store what was not used for longest",
	  "Builds do this by themselves at their end, when the store is larger than "
	  "IMGMAKE_MAX_SIZE (20 GB or a tenth of the disk, the smaller) or has what was not used "
	  "for IMGMAKE_MAX_AGE (60d); the options beat these. Images that have a name go last. "
	  "What other running builds use, and what was used in the last hour while there are "
	  "some, stays.",
	  "imgmake gc\nimgmake gc --max-size 5g\nimgmake gc -n --all", gc_options,
	  TAKES_STORE | TAKES_JSON | TAKES_DRY_RUN, 0, 0, cmd_gc },
	{ "cache", "stats|prune [REPOSITORY]",
	  "what a remote cache holds, and less of it",
	  "Without REPOSITORY, of --cache, IMGMAKE_CACHE or the Imagefile. What prune removes can "
	  "be made anew; the registry frees the room when it collects its garbage.",
	  "imgmake cache stats registry.example.com/team/cache\n"
	  "imgmake cache prune --max-age 30d --max-size 20g",
	  cache_options,
	  TAKES_PROJECT | TAKES_NETWORK | TAKES_STORE | TAKES_JSON | TAKES_DRY_RUN |
	          TAKES_CACHE,
	  1, 2, cmd_cache },
	{ "fsck", "", "look for damage in the store, and mend it",
	  "Reads every blob, and looks at the records, at tables of contents and at unpacked "
	  "layers. Exits 1 if it found something, mended or not. What was put aside is made anew "
	  "by the next build that needs it.",
	  "imgmake fsck\nimgmake fsck --repair", fsck_options,
	  TAKES_STORE | TAKES_JSON | CHANGES, 0, 0, cmd_fsck },
	{ "completion", "bash|zsh|fish",
	  "the script with which a shell completes commands",
	  "Commands, options and their values, targets and variables of the Imagefile that is there.",
	  "source <(imgmake completion bash)\nimgmake completion fish "
	  ">~/.config/fish/completions/imgmake.fish",
	  NULL, TAKES_REST, 1, 1, cmd_completion },
	{ "help", "[COMMAND|TOPIC]", "this, or all about a command or a topic",
	  "Topics are what the manual pages have: steps and functions of recipes, options, "
	  "variables, files; \"imgmake help topics\" lists them, and \"imgmake help all\" "
	  "tells of all commands.",
	  "imgmake help deploy\nimgmake help copy\nimgmake help npm.build", NULL, 0, 0, 1,
	  cmd_help },
	{ "version", "", "print the version", NULL, "imgmake version", NULL, 0, 0, 0,
	  cmd_version },
	{ 0 },
};

static atomic_int caught;

/* Signals are waited for on a thread of their own, so that winding down is ordinary code:
 * work stops, children end, nothing half-made stays. The second one ends at once. */
static void *watch_signals(void *arg)
{
	sigset_t *set = arg;
	int sig;

	while (sigwait(set, &sig) == 0) {
		if (atomic_exchange(&caught, sig)) {
			session_give_up();
			_exit(128 + sig);
		}
		session_interrupt();
	}
	return NULL;
}

/* The state is read through a map, and LMDB trusts it: damage can end us anywhere. The
 * fault comes again when this returns, and ends us then. */
static void say_fault(int sig)
{
	static const char text[] =
		"imgmake: ended by a fault of its own; if that happens again, "
		"imgmake fsck --repair mends a damaged store\n";

	(void)sig;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
}

static void watch_faults(void)
{
	static const int faults[] = { SIGSEGV, SIGBUS };
	struct sigaction ours = { .sa_handler = say_fault, .sa_flags = SA_RESETHAND };

	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		struct sigaction was;

		if (sigaction(faults[i], NULL, &was) == 0 &&
		    was.sa_handler == SIG_DFL) /* else a sanitizer's */
			sigaction(faults[i], &ours, NULL);
	}
}

static void start_watching(sigset_t *set)
{
	pthread_t thread;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, set, NULL);
	if (pthread_create(&thread, NULL, watch_signals, set) == 0)
		pthread_detach(thread);
	else
		pthread_sigmask(SIG_UNBLOCK, set, NULL);
}

/* So that the shell sees what ended us. */
static int ended(int status)
{
	int sig = atomic_load(&caught);
	sigset_t set;

	if (!sig)
		return status;
	signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	raise(sig);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	return 128 + sig;
}

static enum terminal_mode mode_of(const struct options *o)
{
	if (o->silent)
		return TERMINAL_SILENT;
	switch (o->progress) {
	case SHOW_TTY: return TERMINAL_TTY;
	case SHOW_PLAIN: return TERMINAL_PLAIN;
	case SHOW_JSON: return TERMINAL_JSON;
	default: return terminal_mode_for(STDERR_FILENO);
	}
}

static int change_directory(const struct options *o, struct err *e)
{
	for (size_t i = 0; i < o->directories.len; i++)
		if (chdir(o->directories.at[i]) < 0)
			return err_sys(e, "-C %s", o->directories.at[i]);
	return 0;
}

static int print_help(const struct options *o, struct terminal *t)
{
	AUTO_BUF out = BUF_INIT;
	struct err e;

	if (o->command_said)
		options_help(&out, o->command);
	else
		options_overview(&out, commands);
	terminal_print(t, out.s, out.len);
	if (terminal_flush(t, &e) == 0)
		return 0;
	terminal_error(t, &e);
	return 2;
}

static int run(const struct options *o, bool asked, struct terminal *t)
{
	struct err e;

	if (o->help)
		return print_help(o, t);
	if (o->version)
		return cmd_version(o, t);
	if (!asked) {
		progress_warning(terminal_progress(t),
		                 "make only says what it would do: imgmake %s not run",
		                 o->command->name);
		return 0;
	}
	if (change_directory(o, &e) < 0) {
		terminal_error(t, &e);
		return 2;
	}
	if ((o->events || o->trace_out) &&
	    terminal_record(t, o->events, o->trace_out, &e) < 0) {
		terminal_error(t, &e);
		return 2;
	}
	return o->command->run(o, t);
}

/* A caller that closed one of the three would have our next file take its place. */
static void open_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

/* Every layer read and every connection is a descriptor; the usual soft limit of 1,024 is
 * historical. */
static void raise_file_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max > 65536 ? 65536 : l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

int main(int argc, char **argv)
{
	static sigset_t set;
	struct options o;
	struct terminal *t;
	struct err e;
	int status;

	(void)argc;
	open_standard_fds();
	raise_file_limit();
	watch_faults();
	start_watching(&set);
	if (options_parse(&o, commands, argv, &e) < 0) {
		t = terminal_new(terminal_mode_for(STDERR_FILENO), STDOUT_FILENO,
		                 STDERR_FILENO);
		terminal_error(t, &e);
		status = 2;
	} else {
		bool asked = options_take_make(&o, getenv("MAKEFLAGS"));

		t = terminal_new(mode_of(&o), STDOUT_FILENO, STDERR_FILENO);
		if (o.output_sync == SYNC_LINE || o.output_sync == SYNC_NONE)
			terminal_output_at_once(t, o.output_sync == SYNC_NONE);
		status = run(&o, asked, t);
		if (terminal_record_end(t, &e) < 0) {
			terminal_error(t, &e);
			status = 2;
		}
	}
	terminal_free(t);
	options_fini(&o);
	return ended(status);
}
