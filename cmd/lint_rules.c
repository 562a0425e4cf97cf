/* What lint looks for, and what to write instead. */
#include <string.h>

#include "cmd/lint.h"

const struct lint_rule lint_rules[] = {
	{ "build-tools", "compilers in an image that is run",
	  "They are most of its bytes, and what an intruder would like to find.",
	  "Build in a stage, and copy what came of it: copy { \"/out/app\", from = build, to = "
	  "… }." },
	{ "cache-left", "what a package manager downloaded, in a layer",
	  "Nobody reads it again, and everybody downloads it.",
	  "Keep it between builds and out of the layer: run { …, cache = { \"/root/.cache/pip\" "
	  "} }." },
	{ "code-before-deps", "code copied before dependencies are installed",
	  "Every change of the code installs all of them again.",
	  "Copy the manifest and its lock, install, and then copy the rest." },
	{ "duplicate-files", "the same large file twice",
	  "It is stored and downloaded twice.",
	  "Copy it once, and make the other a link: symlink { \"/b\", target = \"/a\" }." },
	{ "git-directory", "a .git directory in the image",
	  "It holds the whole history, with all that was ever removed from it.",
	  "Name .git in .imgmakeignore or .dockerignore." },
	{ "huge-file", "a file of 100 MB or more",
	  "Every change of its layer sends all of it again.",
	  "Fetch it when the container starts, or give it a step, and so a layer, of its own "
	  "and allow it there." },
	{ "latest", "a base without a release in its name",
	  "Who updates the lock gets another release without having asked for one.",
	  "base \"docker.io/library/debian:12-slim\"." },
	{ "no-ignore-file", "all of the project copied, and no ignore file",
	  "What was built here, .git, and files with secrets get into the image, and each of "
	  "them changes it.",
	  "Write a .imgmakeignore (or .dockerignore) with .git and what is built." },
	{ "package-lists", "lists of packages in a layer",
	  "They are tens of megabytes, differ every day, and nothing reads them.",
	  "apt.install { … }, which keeps them in a cache; or remove them in the same step." },
	{ "root-user", "an image that is run as root",
	  "Who breaks out of the program is root in the container.",
	  "End its steps with user \"65534:65534\", or an account of its own." },
	{ "secret-env", "a secret in the environment of the image",
	  "Whoever can pull the image can read it, and so can every process in it.",
	  "Give it when the container starts; to a step, as run { …, secret = { … } }." },
	{ "secret-file", "a private key or a file of passwords in a layer",
	  "Whoever can pull the image can read it, also where a later layer removes it.",
	  "run { …, secret = { … } } or run { …, ssh = true } shows it to the step alone." },
	{ "secret-text", "a token or a private key in the text of the recipe",
	  "It is in the repository, and in the image's history or files.",
	  "Take it out, revoke it, and give the new one as a secret." },
	{ "unpinned", "a base that the lock does not have",
	  "Two machines may build on two different images.",
	  "Build once, and commit Imagefile.lock; or name the digest." },
	{ "unused-base", "a base that nothing stands on", "It misleads who reads.",
	  "Remove it." },
	{ "unused-stage", "a stage that nothing needs", "It is never built, so it rots.",
	  "Remove it, or make it an image." },
	{ "unused-variable", "a variable that nothing reads",
	  "Who gives it a value believes that this does something.", "Remove it." },
	{ "wasted", "files that a later layer removes or replaces",
	  "They are in the image's layers all the same, and everybody downloads them.",
	  "Remove them in the step that makes them, or put the steps into one layer { … }." },
	{ 0 },
};

const struct lint_rule *lint_rule_find(const char *id, size_t n)
{
	for (const struct lint_rule *r = lint_rules; r->id; r++)
		if (strlen(r->id) == n && !strncmp(r->id, id, n))
			return r;
	return NULL;
}
