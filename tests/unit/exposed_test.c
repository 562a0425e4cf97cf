#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/file.h"
#include "sandbox/exposed.h"

/* All but what cmocka asks for its form of output at each test. */
static void clear_environment(void)
{
	const char *said = getenv("CMOCKA_MESSAGE_OUTPUT");
	char *form = said ? strdup(said) : NULL;

	clearenv();
	if (form)
		setenv("CMOCKA_MESSAGE_OUTPUT", form, 1);
	free(form);
}

/* An empty home, and no other variable. */
static int nothing_exposed(void **state)
{
	char dir[] = "/tmp/exposed-test-XXXXXX";
	struct err e;

	if (!mkdtemp(dir))
		return -1;
	*state = strdup(dir);
	clear_environment();
	setenv("HOME", dir, 1);
	setenv("PATH", "/bin", 1);
	/* What this machine exposes is no matter of ours. */
	return exposed_refuse(&e) == 0 ? 0 : -1;
}

static int remove_home(void **state)
{
	struct err e;
	int rc = file_remove_tree(AT_FDCWD, *state, &e);

	free(*state);
	return rc;
}

static const char *below(const char *home, const char *name)
{
	static char path[100]; /* of a socket, too */

	if (snprintf(path, sizeof(path), "%s/%s", home, name) >= (int)sizeof(path))
		fail_msg("%s is too long", name);
	return path;
}

static void put(const char *home, const char *name, const char *text)
{
	struct err e;
	const char *slash = strrchr(name, '/');
	char dir[32];

	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - name) : 0, name);
	if (slash && mkdir(below(home, dir), 0700) < 0)
		fail_msg("%s", dir);
	if (file_replace(AT_FDCWD, below(home, name), text, strlen(text), 0600, &e) < 0)
		fail_msg("%s", e.msg);
}

static void is_refused(const char *what)
{
	struct err e;

	assert_int_equal(exposed_refuse(&e), -1);
	assert_int_equal(e.code, ERR_DENIED);
	if (!strstr(e.msg, what) || !strstr(e.msg, "can be read here"))
		fail_msg("%s: %s", what, e.msg);
}

static void is_fine(const char *what)
{
	struct err e;

	if (exposed_refuse(&e) < 0)
		fail_msg("%s: %s", what, e.msg);
}

static void variables_that_hold_secrets(void **state)
{
	static const char *const secret[] = {
		"CI_JOB_TOKEN",          "npm_token",
		"DB_PASSWORD",           "DOCKER_AUTH_CONFIG",
		"AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY",
		"SIGNING_PRIVATE_KEY",
	};
	static const char *const harmless[] = { "TOKENS_PER_RUN", "PASSWORD_FILE", "KEY",
		                                "SECRETARY" };

	for (size_t i = 0; i < ARRAY_LEN(secret); i++) {
		AUTO_BUF remedy = BUF_INIT;

		setenv(secret[i], "", 1);
		is_fine(secret[i]);
		setenv(secret[i], "x", 1);
		buf_addf(&remedy, "env -u %s imgmake", secret[i]);
		is_refused(remedy.s);
		unsetenv(secret[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
		setenv(harmless[i], "x", 1);
	is_fine("harmless");
}

static void a_name_cannot_write_on_the_terminal(void **state)
{
	struct err e;

	setenv("\033[2J_TOKEN", "x", 1);
	assert_int_equal(exposed_refuse(&e), -1);
	assert_null(strchr(e.msg, '\033'));
}

static void files_with_credentials(void **state)
{
	const char *home = *state;
	static const struct {
		const char *name, *with, *without;
	} files[] = {
		{ ".docker/config.json", "{\"auths\":{\"r\":{\"auth\":\"YTpi\"}}}",
		  "{\"auths\":{}}" },
		{ ".netrc", "machine m login l password p", "machine m" },
		{ ".npmrc", "//r/:_authToken=x", "registry=https://r/" },
		{ ".pypirc", "password = x", "[pypi]" },
		{ ".git-credentials", "https://a:b@c", NULL },
		{ ".aws/credentials", "[default]", NULL },
		{ ".kube/config", "a: b", NULL },
		{ ".ssh/id_ed25519", "-----BEGIN", NULL },
		{ ".cargo/credentials.toml", "[registry]", NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct err e;

		put(home, files[i].name, files[i].with);
		is_refused(files[i].name);
		if (files[i].without &&
		    file_replace(AT_FDCWD, below(home, files[i].name), files[i].without,
		                 strlen(files[i].without), 0600, &e) < 0)
			fail_msg("%s", e.msg);
		else if (!files[i].without)
			unlink(below(home, files[i].name));
		is_fine(files[i].name);
	}
}

static void files_that_variables_name(void **state)
{
	const char *home = *state;

	put(home, "auth.json", "{\"auths\":{\"r\":{\"auth\":\"YTpi\"}}}");
	is_fine("nobody names it");
	setenv("REGISTRY_AUTH_FILE", below(home, "auth.json"), 1);
	is_refused("auth.json");
	setenv("REGISTRY_AUTH_FILE", "", 1);
	is_fine("an empty name");
	put(home, "docker/config.json", "{\"auth\":\"x\"}");
	setenv("DOCKER_CONFIG", below(home, "docker"), 1);
	is_refused("docker/config.json");
}

static void an_agent(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", below(*state, "agent"));
	setenv("SSH_AUTH_SOCK", a.sun_path, 1);
	is_fine("an agent that is not there");
	assert_int_equal(bind(s, (struct sockaddr *)&a, sizeof(a)), 0);
	is_refused("agent");
	close(s);
}

#define EXPOSED_TEST(f) cmocka_unit_test_setup_teardown(f, nothing_exposed, remove_home)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		EXPOSED_TEST(variables_that_hold_secrets),
		EXPOSED_TEST(a_name_cannot_write_on_the_terminal),
		EXPOSED_TEST(files_with_credentials),
		EXPOSED_TEST(files_that_variables_name),
		EXPOSED_TEST(an_agent),
	};

	if (access("/run/docker.sock", R_OK) == 0 ||
	    access("/run/containers/0/auth.json", R_OK) == 0) {
		printf("ok 1 - exposed # SKIP this machine exposes credentials itself\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
