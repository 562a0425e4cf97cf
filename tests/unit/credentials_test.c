#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "registry/auth.h"
#include "registry/base64.h"
#include "registry/token.h"

static char dir[64];

static void put(const char *name, const char *text, mode_t mode)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
}

static int find(const char *host, const char *repo, struct credential *out, struct err *e)
{
	struct credentials *c = credentials_new(NULL);
	int rc = credentials_find(c, host, repo, out, e);

	credentials_free(c);
	return rc;
}

static void expect(const char *host, const char *repo, const char *user,
                   const char *secret)
{
	struct credential got;
	struct err e;
	int rc = find(host, repo, &got, &e);

	if (rc < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(rc, user != NULL);
	if (user) {
		assert_string_equal(got.user, user);
		assert_string_equal(got.secret, secret);
	}
	credential_fini(&got);
}

static void the_longest_repository_path_wins(void **state)
{
	(void)state;
	put("config.json",
	    "{\"auths\":{\"r.example\":{\"username\":\"all\",\"password\":\"1\"},"
	    "\"r.example/team\":{\"username\":\"team\",\"password\":\"2\"},"
	    "\"r.example/team/app\":{\"username\":\"app\",\"password\":\"3\"},"
	    "\"r.example:5000\":{\"username\":\"port\",\"password\":\"4\"}}}",
	    0600);
	expect("r.example", "team/app", "app", "3");
	expect("r.example", "team/app/deep", "app", "3");
	expect("r.example", "team/apple", "team", "2");
	expect("r.example", "other", "all", "1");
	expect("r.example:5000", "team/app", "port", "4");
	expect("elsewhere.example", "team/app", NULL, NULL);
}

static void docker_s_spellings_of_hosts_are_known(void **state)
{
	(void)state;
	put("config.json",
	    "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"aHViOmE6Yg==\"},"
	    "\"https://r.example/v2/\":{\"auth\":\"dTpw\"},\"empty.example\":{}}}",
	    0600);
	expect("docker.io", "library/x", "hub", "a:b");
	expect("r.example", "x", "u", "p");
	expect("empty.example", "x", NULL, NULL);
}

static void helpers_come_before_stores_and_files(void **state)
{
	(void)state;
	put("docker-credential-one",
	    "#!/bin/sh\nread server\n"
	    "printf '{\"ServerURL\":\"%s\",\"Username\":\"one\",\"Secret\":\"%s\"}' \"$server\" "
	    "\"$server\"\n",
	    0700);
	put("docker-credential-two",
	    "#!/bin/sh\n"
	    "echo 'credentials not found in native keychain'; exit 1\n",
	    0700);
	put("config.json",
	    "{\"credHelpers\":{\"h.example\":\"one\"},\"credsStore\":\"two\","
	    "\"auths\":{\"h.example\":{\"auth\":\"dTpw\"},\"f.example\":{\"auth\":\"dTpw\"}}}",
	    0600);
	expect("h.example", "x", "one", "h.example");
	expect("f.example", "x", "u", "p"); /* the store knows nobody */
	expect("n.example", "x", NULL, NULL);
}

static void a_helper_s_token_is_an_identity_token(void **state)
{
	struct credential got;
	struct err e;

	(void)state;
	put("docker-credential-tok",
	    "#!/bin/sh\n"
	    "echo '{\"Username\":\"<token>\",\"Secret\":\"refresh\"}'\n",
	    0700);
	assert_int_equal(credentials_from_helper("tok", "s", &got, &e), 1);
	assert_true(got.identity);
	assert_string_equal(got.secret, "refresh");
	credential_fini(&got);
}

static void bad_helpers_are_errors_that_do_not_stop_us(void **state)
{
	struct credential got;
	struct err e;

	(void)state;
	assert_int_equal(credentials_from_helper("../evil", "s", &got, &e), -1);
	assert_int_equal(credentials_from_helper("Up", "s", &got, &e), -1);
	assert_int_equal(credentials_from_helper("not-there-at-all", "s", &got, &e), -1);
	put("docker-credential-bad", "#!/bin/sh\necho nonsense\n", 0700);
	assert_int_equal(credentials_from_helper("bad", "s", &got, &e), -1);
	put("config.json",
	    "{\"credsStore\":\"bad\",\"auths\":{\"f.example\":{\"auth\":\"dTpw\"}}}",
	    0600);
	expect("f.example", "x", "u", "p");
}

static void a_broken_file_is_named_without_its_secrets(void **state)
{
	struct credential got;
	struct err e;

	(void)state;
	put("config.json", "{\"auths\":{\"r.example\":{\"auth\":\"!hush!\"}}}", 0600);
	assert_int_equal(find("r.example", "x", &got, &e), -1);
	assert_non_null(strstr(e.msg, "config.json"));
	assert_null(strstr(e.msg, "hush"));
	put("config.json", "{\"auths\":", 0600);
	assert_int_equal(find("r.example", "x", &got, &e), -1);
	assert_non_null(strstr(e.msg, "config.json"));
	put("config.json", "{\"auths\":{\"r.example\":{\"auth\" \"hush\"}}}", 0600);
	assert_int_equal(find("r.example", "x", &got, &e), -1);
	assert_non_null(strstr(e.msg, "config.json: not valid JSON: line 1, column"));
	assert_null(strstr(e.msg, "hush"));
}

static void base64_goes_there_and_back(void **state)
{
	static const char *const rows[][2] = {
		{ "", "" },        { "f", "Zg==" },          { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foobar", "Zm9vYmFy" }, { "\xff\xfe", "//4=" }
	};
	struct buf out = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		buf_reset(&out);
		base64_encode(&out, rows[i][0], strlen(rows[i][0]));
		assert_string_equal(out.s, rows[i][1]);
		buf_reset(&out);
		assert_int_equal(base64_decode(&out, rows[i][1]), 0);
		assert_string_equal(out.s, rows[i][0]);
	}
	buf_reset(&out);
	assert_int_equal(base64_decode(&out, "__4"), 0);
	assert_string_equal(out.s, "\xff\xfe");
	assert_int_equal(base64_decode(&out, "Z"), -1);
	assert_int_equal(base64_decode(&out, "Zg=x"), -1);
	buf_fini(&out);
}

static void a_realm_must_be_as_safe_as_its_registry(void **state)
{
	static const struct {
		const char *realm, *registry;
		int want;
	} rows[] = {
		{ "https://auth.example/t", "https://r.example/v2/", 0 },
		{ "http://auth.example/t", "https://r.example/v2/", -1 },
		{ "http://auth.example/t", "http://r.example/v2/", 0 },
		{ "https://10.0.0.1/t", "https://r.example/v2/", -1 },
		{ "https://169.254.169.254/t", "https://r.example/v2/", -1 },
		{ "https://[::1]/t", "https://r.example/v2/", -1 },
		{ "https://localhost/t", "https://r.example/v2/", -1 },
		{ "https://10.0.0.1:1/t", "https://10.0.0.1/v2/", 0 },
		{ "http://127.0.0.1:5001/t", "http://localhost:5000/v2/", 0 },
		{ "file:///etc/passwd", "https://r.example/v2/", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e;

		assert_int_equal(token_realm_check(rows[i].realm, rows[i].registry, &e),
		                 rows[i].want);
	}
}

static void tokens_are_read_and_hostile_ones_refused(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "{\"token\":\"abc\"}", "abc" },
		{ "{\"access_token\":\"abc\",\"expires_in\":1}", "abc" },
		{ "{\"token\":\"\",\"access_token\":\"x\"}", "x" },
		{ "{\"token\":\"a\",\"access_token\":\"b\"}", "a" },
		{ "{\"token\":\"a\\r\\nEvil: 1\"}", NULL },
		{ "{\"token\":\"a b\"}", NULL },
		{ "{\"token\":7}", NULL },
		{ "{}", NULL },
		{ "[]", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct token *t = NULL;
		struct err e;
		int rc = token_read(rows[i].text, strlen(rows[i].text), 0, &t, &e);

		assert_int_equal(rc, rows[i].want ? 0 : -1);
		if (rc == 0)
			assert_string_equal(t->value, rows[i].want);
		token_free(t);
	}
}

static void a_token_lives_a_minute_unless_it_says_more(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} rows[] = {
		{ "{\"token\":\"a\"}", 60 },
		{ "{\"token\":\"a\",\"expires_in\":0}", 60 },
		{ "{\"token\":\"a\",\"expires_in\":300}", 300 },
		{ "{\"token\":\"a\",\"expires_in\":9999999999}", 86400 },
		{ "{\"token\":\"a\",\"expires_in\":-5}", 60 },
		{ "{\"token\":\"a\",\"expires_in\":\"300\"}", 300 },
		{ "{\"token\":\"a\",\"expires_in\":300.5}", 300 },
		{ "{\"token\":\"a\",\"expires_in\":1e300}", 86400 },
		{ "{\"token\":\"a\",\"expires_in\":\"soon\"}", 60 },
		{ "{\"token\":\"a\",\"expires_in\":\"nan\"}", 60 },
		{ "{\"token\":\"a\",\"expires_in\":-1e300}", 60 },
		{ "{\"token\":\"a\",\"expires_in\":null}", 60 },
		{ "{\"token\":\"a\",\"expires_in\":{}}", 60 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct token *t = NULL;
		struct err e;

		assert_int_equal(
			token_read(rows[i].text, strlen(rows[i].text), 7, &t, &e), 0);
		/* A tenth less: it has to reach the registry alive. */
		assert_int_equal(t->expires, 7 + rows[i].seconds * 900000000);
		token_free(t);
	}
}

static void scopes_cover_their_parts(void **state)
{
	(void)state;
	assert_true(auth_scope_covers("repository:a/b:pull,push", "repository:a/b:pull"));
	assert_true(auth_scope_covers("repository:a/b:pull,push",
	                              "repository:a/b:push,pull"));
	assert_false(
		auth_scope_covers("repository:a/b:pull", "repository:a/b:pull,push"));
	assert_false(auth_scope_covers("repository:a/b:pull", "repository:a:pull"));
	assert_false(auth_scope_covers("repository:a/b:pull", "repository:a/c:pull"));
	assert_true(auth_scope_covers("odd", "odd"));
}

static int start(void **state)
{
	char path[300];

	(void)state;
	strcpy(dir, "/tmp/imgmake-credentials-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s:%s", dir, getenv("PATH"));
	setenv("PATH", path, 1);
	setenv("DOCKER_CONFIG", dir, 1);
	setenv("HOME", dir, 1);
	unsetenv("REGISTRY_AUTH_FILE");
	unsetenv("XDG_RUNTIME_DIR");
	unsetenv("XDG_CONFIG_HOME");
	return 0;
}

static int stop(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

/* --- What stays in memory --------------------------------------------------------------
 */

/* Of memory that was freed the first bytes are written over: the end is looked for. */
enum { SECRET = 120, END = 24, MASK = 0x55 };

/* A secret of this run's own, masked: its text must be nowhere but where it is kept. */
static void make_secret(unsigned char masked[SECRET])
{
	FILE *f = fopen("/dev/urandom", "r");

	assert_non_null(f);
	assert_int_equal(fread(masked, 1, SECRET, f), SECRET);
	fclose(f);
	for (size_t i = 0; i < SECRET; i++)
		masked[i] = (unsigned char)(('a' + masked[i] % 26) ^ MASK);
}

/* Looks at memory where it is, so that looking makes no copies. */
static bool in_region(const volatile unsigned char *from,
                      const volatile unsigned char *to,
                      const unsigned char masked[SECRET])
{
	const unsigned char *end = masked + SECRET - END;

	for (; to - from >= END; from++) {
		size_t n = 0;

		while (n < END && (from[n] ^ MASK) == end[n])
			n++;
		if (n == END)
			return true;
	}
	return false;
}

static bool in_memory(const unsigned char masked[SECRET])
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long from, to;
	char line[500], rights[8];
	bool found = false;

	assert_non_null(f);
	while (!found && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) == 3 &&
		    !strncmp(rights, "rw", 2))
			found = in_region((void *)from, (void *)to, masked);
	fclose(f);
	return found;
}

/* Appends the secret to `text`, which the caller wipes. */
static void add_secret(char *text, const unsigned char masked[SECRET])
{
	size_t n = strlen(text);

	for (size_t i = 0; i < SECRET; i++)
		text[n + i] = (char)(masked[i] ^ MASK);
	text[n + SECRET] = '\0';
}

static void check_token(const unsigned char masked[SECRET])
{
	char text[300] = "{\"expires_in\":300,\"token\":\"";
	struct token *t;
	struct err e;

	add_secret(text, masked);
	strcat(text, "\"}");
	assert_int_equal(token_read(text, strlen(text), 0, &t, &e), 0);
	explicit_bzero(text, sizeof(text));
	assert_true(in_memory(masked)); /* it is kept, and would be found */
	token_free(t);
	assert_false(in_memory(masked));
}

static void check_password(const unsigned char masked[SECRET])
{
	struct credentials *c = credentials_new(NULL);
	char text[300] = "{\"auths\":{\"s.example\":{\"username\":\"u\",\"password\":\"";
	struct credential got;
	char path[200];
	struct err e;
	int fd;

	add_secret(text, masked);
	strcat(text, "\"}}}");
	snprintf(path, sizeof(path), "%s/config.json", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	explicit_bzero(text, sizeof(text));
	assert_false(in_memory(masked));
	assert_int_equal(credentials_find(c, "s.example", "x", &got, &e), 1);
	assert_true(in_memory(masked));
	credential_fini(&got);
	credentials_free(c);
	assert_false(in_memory(masked));
}

static void secrets_do_not_stay_in_memory(void **state)
{
	unsigned char masked[SECRET];

	(void)state;
#ifdef __SANITIZE_ADDRESS__
	skip(); /* most of what is mapped then is not memory */
#endif
	make_secret(masked);
	check_token(masked);
	make_secret(masked);
	check_password(masked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_longest_repository_path_wins),
		cmocka_unit_test(docker_s_spellings_of_hosts_are_known),
		cmocka_unit_test(helpers_come_before_stores_and_files),
		cmocka_unit_test(a_helper_s_token_is_an_identity_token),
		cmocka_unit_test(bad_helpers_are_errors_that_do_not_stop_us),
		cmocka_unit_test(a_broken_file_is_named_without_its_secrets),
		cmocka_unit_test(base64_goes_there_and_back),
		cmocka_unit_test(a_realm_must_be_as_safe_as_its_registry),
		cmocka_unit_test(tokens_are_read_and_hostile_ones_refused),
		cmocka_unit_test(a_token_lives_a_minute_unless_it_says_more),
		cmocka_unit_test(scopes_cover_their_parts),
		cmocka_unit_test(secrets_do_not_stay_in_memory),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
