/* The client against a registry that misbehaves. Each test has a client of its own, since
 * what is learnt of a host stays. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "registry_fixture.h"

#include "registry/client.h"

static struct server faulty;
static struct blobs *store;

static struct registry *client(void)
{
	struct registry_options o = { 0 };
	struct registry *r;
	struct err e;

	assert_int_equal(registry_new(&r, &o, &e), 0);
	return r;
}

static struct reference at(const char *repo)
{
	struct reference ref = { 0 };

	snprintf(ref.host, sizeof(ref.host), "127.0.0.1:%d", faulty.port);
	snprintf(ref.repo, sizeof(ref.repo), "%s", repo);
	return ref;
}

static struct blobs *fresh_store(const char *name)
{
	struct blobs *b;
	char path[200];
	struct err e;
	int dir;

	snprintf(path, sizeof(path), "%s/%s", fixture_dir, name);
	mkdir(path, 0700);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(blobs_open(&b, dir, false, &e), 0);
	close(dir);
	return b;
}

static struct descriptor make_blob(unsigned seed, size_t n)
{
	struct descriptor d = { .media_type = MEDIA_OCI_LAYER_GZIP, .size = (int64_t)n };
	char *data = malloc(n);
	struct err e;

	for (size_t i = 0; i < n; i++) {
		seed = seed * 1103515245 + 12345;
		data[i] = (char)(seed >> 16);
	}
	assert_int_equal(blobs_put(store, data, n, &d.digest, &e), 0);
	free(data);
	return d;
}

/* The whole way there and back through repository `repo`. */
static void goes_through(const char *repo, unsigned seed, size_t n)
{
	struct registry *r = client();
	struct reference ref = at(repo);
	struct descriptor d = make_blob(seed, n);
	struct blobs *other = fresh_store(repo);
	struct strlist none = STRLIST_INIT;
	enum push_outcome how;
	struct err e;

	if (push_blob(r, &ref, &d, &none, NULL, store, &how, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(how, PUSH_SENT);
	if (registry_fetch_blob(r, &ref, &d, other, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(blobs_verify(other, &d.digest, &e), 0);
	blobs_close(other);
	registry_free(r);
}

static void a_cut_download_is_resumed(void **state)
{
	(void)state;
	goes_through("cut", 1, 3000000);
	fixture_run("grep -q 'GET /v2/cut/blobs/.* 206' %s/faulty.log", fixture_dir);
}

static void a_cut_download_without_ranges_starts_again(void **state)
{
	(void)state;
	goes_through("norange", 2, 3000000);
}

static void a_password_is_not_carried_to_another_host(void **state)
{
	(void)state;
	goes_through("redirect", 3, 1000);
}

static void retry_after_is_heeded(void **state)
{
	(void)state;
	goes_through("busy", 4, 1000);
}

static void a_registry_without_patch_gets_a_put(void **state)
{
	(void)state;
	goes_through("nopatch", 5, 100000);
}

static void a_registry_with_small_bodies_gets_chunks(void **state)
{
	(void)state;
	goes_through("chunks", 6, 20000000);
	fixture_run("test $(grep -c 'PATCH /v2/chunks/.* 202' %s/faulty.log) -eq 3",
	            fixture_dir);
}

static void a_cut_upload_goes_on_where_it_stopped(void **state)
{
	(void)state;
	goes_through("cutup", 7, 4000000);
	fixture_run("test $(grep -c 'POST /v2/cutup/' %s/faulty.log) -eq 1", fixture_dir);
}

static void a_commit_that_fails_after_the_fact_is_done(void **state)
{
	(void)state;
	goes_through("late", 8, 1000);
	fixture_run("test $(grep -c 'PUT /v2/late/' %s/faulty.log) -eq 1", fixture_dir);
}

static void odd_answers_for_missing_blobs_lead_to_an_upload(void **state)
{
	(void)state;
	goes_through("hangup", 9, 1000);
	goes_through("forbidden", 10, 1000);
}

static void a_basic_challenge_among_others_is_answered(void **state)
{
	(void)state;
	goes_through("challenge", 11, 1000);
}

static void tags_come_over_several_pages(void **state)
{
	struct registry *r = client();
	struct reference ref = at("paged");
	struct strlist tags = STRLIST_INIT;
	struct err e;

	(void)state;
	if (registry_list_tags(r, &ref, &tags, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(tags.len, 3);
	strlist_fini(&tags);
	registry_free(r);
}

/* Fewer tags than there are would let a float go back. */
static void a_page_of_tags_that_is_lost_is_an_error(void **state)
{
	struct registry *r = client();
	struct reference ref = at("pagelost");
	struct strlist tags = STRLIST_INIT;
	struct err e;

	(void)state;
	assert_int_equal(registry_list_tags(r, &ref, &tags, &e), -1);
	assert_non_null(strstr(e.msg, "pagelost has no next page of tags"));
	strlist_fini(&tags);
	registry_free(r);
}

static void links_and_redirects_lead_nobody_astray(void **state)
{
	struct registry *r = client();
	struct reference ref = at("evil"), good = at("plain");
	struct descriptor d = make_blob(12, 1000);
	struct blobs *other = fresh_store("evil");
	struct strlist list = STRLIST_INIT;
	enum push_outcome how;
	struct err e;

	(void)state;
	assert_int_equal(registry_list_tags(r, &ref, &list, &e), -1);
	assert_int_equal(e.code, ERR_DENIED);
	strlist_fini(&list);
	assert_int_equal(push_blob(r, &good, &d, &list, NULL, store, &how, &e), 0);
	assert_int_equal(registry_fetch_blob(r, &ref, &d, other, &e), -1);
	assert_non_null(strstr(e.msg, "redirects more than"));
	blobs_close(other);
	registry_free(r);
}

static void a_blob_that_rotted_in_the_store_is_not_sent(void **state)
{
	struct registry *r = client();
	struct reference ref = at("plain");
	struct descriptor d = make_blob(13, 100000);
	struct strlist none = STRLIST_INIT;
	char hex[DIGEST_HEX + 1];
	enum push_outcome how;
	struct err e;

	(void)state;
	fixture_run("f=%s/main/blobs/sha256/%s; chmod 600 $f; printf x | "
	            "dd of=$f conv=notrunc status=none",
	            fixture_dir, digest_hex(&d.digest, hex));
	assert_int_equal(push_blob(r, &ref, &d, &none, NULL, store, &how, &e), -1);
	assert_int_equal(e.code, ERR_CORRUPT);
	assert_false(blobs_has(store, &d.digest, NULL));
	assert_int_equal(registry_has_blob(r, &ref, &d, &e), 0);
	registry_free(r);
}

static size_t logged(const char *pattern)
{
	char command[300];
	unsigned n = 0;
	FILE *f;

	snprintf(command, sizeof(command), "grep -cE '%s' %s/faulty.log", pattern,
	         fixture_dir);
	f = popen(command, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%u", &n), 1);
	pclose(f);
	return n;
}

static void a_location_is_relative_to_where_a_redirect_led(void **state)
{
	struct registry *r = client();
	struct reference ref = at("upmoved/app");
	struct descriptor d = make_blob(14, 100000);
	struct strlist none = STRLIST_INIT;
	enum push_outcome how;
	struct err e;

	(void)state;
	if (push_blob(r, &ref, &d, &none, NULL, store, &how, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(logged("^POST /v2/upmoved/app/blobs/uploads/ 307 "), 1);
	assert_int_equal(logged("^PUT /v2/upmoved/app/elsewhere/blobs/uploads/s[0-9]+"
	                        "[?]_state=a%2Bb%3D100000&x&digest=sha256%3A[^ ]* 201 "),
	                 1);
	registry_free(r);
}

/* Another scheme than before, and back again for what follows. */
static void a_challenge_in_mid_push_is_read_anew(void **state)
{
	struct registry *r = client();
	struct reference ref = at("switch/app");
	struct descriptor d = make_blob(15, 100000);
	struct strlist none = STRLIST_INIT;
	enum push_outcome how;
	struct err e;

	(void)state;
	if (push_blob(r, &ref, &d, &none, NULL, store, &how, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(logged("^POST /v2/switch/.* 202 .* ci:secret$"), 1);
	assert_int_equal(logged("^PATCH /v2/switch/.* 401 .* ci:secret$"), 1);
	assert_int_equal(logged("^PATCH /v2/switch/.* 202 [^ ]+ 100000 - bearer:"), 1);
	assert_int_equal(logged("^PUT /v2/switch/.* 201 .* bearer:"), 1);
	assert_int_equal(registry_has_blob(r, &ref, &d, &e), 1);
	assert_int_equal(logged("^HEAD /v2/switch/.* 200 .* ci:secret$"), 1);
	registry_free(r);
}

struct asking {
	struct registry *r;
	struct err e;
	int rc;
};

static void *ask_late(void *arg)
{
	struct asking *a = arg;
	struct reference ref = at("turn/late");
	struct descriptor d = { .size = 1 };

	a->rc = registry_has_blob(a->r, &ref, &d, &a->e);
	return NULL;
}

/* Each had a token that was made just for it. */
static void a_challenge_that_another_call_has_learnt_before_is_answered(void **state)
{
	struct asking late = { .r = client() };
	struct reference ref = at("turn/app");
	struct descriptor d = { .size = 1 };
	pthread_t thread;
	struct err e;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, ask_late, &late), 0);
	assert_int_equal(registry_has_blob(late.r, &ref, &d, &e), 0);
	pthread_join(thread, NULL);
	if (late.rc < 0)
		fail_msg("%s", late.e.msg);
	assert_int_equal(logged("^HEAD /v2/turn/late/.* 401 .* bearer:"), 1);
	assert_int_equal(logged("^HEAD /v2/turn/late/.* 404 .* ci:secret$"), 1);
	registry_free(late.r);
}

static void what_keeps_failing_is_tried_five_times(void **state)
{
	struct registry *r = client();
	struct reference ref = at("down/app");
	struct registry_counts counts;
	struct buf body = BUF_INIT;
	struct descriptor d;
	struct err e;

	(void)state;
	strcpy(ref.tag, "v1");
	assert_int_equal(registry_get_manifest(r, &ref, &d, &body, &e), -1);
	assert_int_equal(e.code, ERR_NETWORK);
	assert_int_equal(logged("^GET /v2/down/app/manifests/v1 503 "), 5);
	registry_counts(r, &counts);
	assert_int_equal(counts.retries, 4);
	registry_free(r);
}

static int start(void **state)
{
	char port[12], log[100];
	char *argv[] = {
		"tests/servers/scripted_registry.py", "--port", port, "--log", log, NULL
	};

	(void)state;
	fixture_begin();
	faulty.port = fixture_free_port();
	snprintf(port, sizeof(port), "%d", faulty.port);
	snprintf(log, sizeof(log), "%s/faulty.log", fixture_dir);
	fixture_start(&faulty, argv);
	fixture_run("mkdir -p %s/.docker", fixture_dir);
	fixture_write(".docker/config.json",
	              "{\"auths\":{\"127.0.0.1:%d\":{\"auth\":\"Y2k6c2VjcmV0\"}}}",
	              faulty.port);
	store = fresh_store("main");
	return 0;
}

static int stop(void **state)
{
	(void)state;
	blobs_close(store);
	fixture_stop(&faulty);
	fixture_end();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cut_download_is_resumed),
		cmocka_unit_test(a_cut_download_without_ranges_starts_again),
		cmocka_unit_test(a_password_is_not_carried_to_another_host),
		cmocka_unit_test(retry_after_is_heeded),
		cmocka_unit_test(a_registry_without_patch_gets_a_put),
		cmocka_unit_test(a_registry_with_small_bodies_gets_chunks),
		cmocka_unit_test(a_cut_upload_goes_on_where_it_stopped),
		cmocka_unit_test(a_commit_that_fails_after_the_fact_is_done),
		cmocka_unit_test(odd_answers_for_missing_blobs_lead_to_an_upload),
		cmocka_unit_test(a_basic_challenge_among_others_is_answered),
		cmocka_unit_test(tags_come_over_several_pages),
		cmocka_unit_test(a_page_of_tags_that_is_lost_is_an_error),
		cmocka_unit_test(links_and_redirects_lead_nobody_astray),
		cmocka_unit_test(a_blob_that_rotted_in_the_store_is_not_sent),
		cmocka_unit_test(a_location_is_relative_to_where_a_redirect_led),
		cmocka_unit_test(a_challenge_in_mid_push_is_read_anew),
		cmocka_unit_test(
			a_challenge_that_another_call_has_learnt_before_is_answered),
		cmocka_unit_test(what_keeps_failing_is_tried_five_times),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
