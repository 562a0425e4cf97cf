#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "registry_fixture.h"

#include "registry/client.h"

static struct server open_one, locked_one, token_one, tokens;
static struct blobs *store;
static int store_dir = -1;

static struct registry *client(void)
{
	struct registry_options o = { 0 };
	struct registry *r;
	struct err e;

	assert_int_equal(registry_new(&r, &o, &e), 0);
	return r;
}

static struct reference ref_at(const struct server *s, const char *repo, const char *tag)
{
	struct reference ref = { 0 };

	snprintf(ref.host, sizeof(ref.host), "127.0.0.1:%d", s->port);
	snprintf(ref.repo, sizeof(ref.repo), "%s", repo);
	snprintf(ref.tag, sizeof(ref.tag), "%s", tag);
	return ref;
}

/* A blob of `n` bytes that depend on `seed`, in the store. */
static struct descriptor make_blob(unsigned seed, size_t n)
{
	struct descriptor d = { .media_type = MEDIA_OCI_LAYER_GZIP, .size = (int64_t)n };
	char *data = malloc(n + 1);
	struct err e;

	for (size_t i = 0; i < n; i++) {
		seed = seed * 1103515245 + 12345;
		data[i] = (char)(seed >> 16);
	}
	assert_int_equal(blobs_put(store, data, n, &d.digest, &e), 0);
	free(data);
	return d;
}

static struct blobs *another_store(const char *name)
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

#define OK(call)                                                                         \
	do {                                                                             \
		struct err *e_ = &e;                                                     \
		e_->msg[0] = '\0';                                                       \
		if ((call) < 0)                                                          \
			fail_msg("%s", e_->msg);                                         \
	} while (0)

static enum push_outcome push(struct registry *r, const struct reference *ref,
                              const struct descriptor *d, const char *from)
{
	struct strlist list = STRLIST_INIT;
	enum push_outcome how;
	struct err e;

	if (from)
		strlist_add(&list, from);
	OK(push_blob(r, ref, d, &list, NULL, store, &how, &e));
	strlist_fini(&list);
	return how;
}

static struct descriptor make_manifest(const struct descriptor *config,
                                       const struct descriptor *layer, struct buf *body)
{
	struct descriptor d = { .media_type = MEDIA_OCI_MANIFEST };

	buf_addf(body,
	         "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST
	         "\",\"config\":"
	         "{\"mediaType\":\"" MEDIA_OCI_CONFIG
	         "\",\"digest\":\"%s\",\"size\":%lld},"
	         "\"layers\":[{\"mediaType\":\"" MEDIA_OCI_LAYER_GZIP
	         "\",\"digest\":\"%s\","
	         "\"size\":%lld}]}",
	         DIGEST_STR(&config->digest), (long long)config->size,
	         DIGEST_STR(&layer->digest), (long long)layer->size);
	digest_of(&d.digest, body->s, body->len);
	d.size = (int64_t)body->len;
	return d;
}

/* Pushes a small image. */
static struct descriptor push_image(struct registry *r, const struct reference *ref)
{
	struct descriptor config = make_blob(1, 300), layer = make_blob(2, 5000), d;
	struct buf body = BUF_INIT;
	struct err e;

	push(r, ref, &config, NULL);
	push(r, ref, &layer, NULL);
	d = make_manifest(&config, &layer, &body);
	OK(registry_put_manifest(r, ref, &d, body.s, &e));
	buf_fini(&body);
	return d;
}

static void check_round_trip(struct registry *r, const struct server *s, const char *repo)
{
	struct reference ref = ref_at(s, repo, "v1");
	struct descriptor sent = push_image(r, &ref), head, got;
	struct descriptor layer = make_blob(2, 5000);
	struct blobs *other = another_store(repo + strcspn(repo, "/") + 1);
	struct buf body = BUF_INIT;
	struct err e;

	OK(registry_head_manifest(r, &ref, &head, &e));
	assert_true(digest_equal(&head.digest, &sent.digest));
	assert_int_equal(head.size, sent.size);
	assert_string_equal(head.media_type, MEDIA_OCI_MANIFEST);
	OK(registry_get_manifest(r, &ref, &got, &body, &e));
	assert_true(digest_equal(&got.digest, &sent.digest));
	OK(registry_fetch_blob(r, &ref, &layer, other, &e));
	assert_int_equal(blobs_verify(other, &layer.digest, &e), 0);
	buf_fini(&body);
	blobs_close(other);
}

static void an_image_goes_to_an_open_registry_and_back(void **state)
{
	struct registry *r = client();

	(void)state;
	check_round_trip(r, &open_one, "team/round");
	registry_free(r);
}

static void a_blob_that_is_there_is_not_sent_again(void **state)
{
	struct registry *r = client();
	struct reference ref = ref_at(&open_one, "team/twice", "");
	struct descriptor d = make_blob(7, 3000000);
	struct registry_counts before, after;

	(void)state;
	assert_int_equal(push(r, &ref, &d, NULL), PUSH_SENT);
	registry_counts(r, &before);
	assert_int_equal(push(r, &ref, &d, NULL), PUSH_PRESENT);
	registry_counts(r, &after);
	assert_int_equal(after.requests - before.requests, 1);
	assert_int_equal(after.bytes_sent - before.bytes_sent, 0);
	assert_int_equal(before.bytes_sent, 3000000);
	registry_free(r);
}

static void a_blob_of_another_repository_is_mounted(void **state)
{
	struct registry *r = client();
	struct reference a = ref_at(&open_one, "team/source", "");
	struct reference b = ref_at(&open_one, "other/target", "");
	struct descriptor d = make_blob(8, 100000);
	struct registry_counts counts;
	struct err e;

	(void)state;
	assert_int_equal(push(r, &a, &d, NULL), PUSH_SENT);
	assert_int_equal(push(r, &b, &d, "team/source"), PUSH_MOUNTED);
	registry_counts(r, &counts);
	assert_int_equal(counts.bytes_sent, 100000);
	assert_int_equal(registry_has_blob(r, &b, &d, &e), 1);
	registry_free(r);
}

static void a_mount_that_fails_becomes_an_upload(void **state)
{
	struct registry *r = client();
	struct reference ref = ref_at(&open_one, "team/unmounted", "");
	struct descriptor d = make_blob(9, 100000);

	(void)state;
	assert_int_equal(push(r, &ref, &d, "no/such"), PUSH_SENT);
	registry_free(r);
}

static void an_empty_blob_can_be_pushed(void **state)
{
	struct registry *r = client();
	struct reference ref = ref_at(&open_one, "team/empty", "");
	struct descriptor d = make_blob(0, 0);
	struct blobs *other = another_store("empty");
	struct err e;

	(void)state;
	push(r, &ref, &d, NULL);
	OK(registry_fetch_blob(r, &ref, &d, other, &e));
	assert_true(blobs_has(other, &d.digest, NULL));
	blobs_close(other);
	registry_free(r);
}

static void a_blob_the_store_lacks_comes_from_its_origin(void **state)
{
	struct registry *r = client();
	struct reference from = ref_at(&open_one, "team/origin", "");
	struct reference to = ref_at(&locked_one, "team/copied", "");
	struct descriptor d = make_blob(11, 70000);
	struct blobs *empty = another_store("copy");
	struct strlist none = STRLIST_INIT;
	enum push_outcome how;
	struct err e;

	(void)state;
	push(r, &from, &d, NULL);
	OK(push_blob(r, &to, &d, &none, &from, empty, &how, &e));
	assert_int_equal(how, PUSH_SENT);
	assert_int_equal(registry_has_blob(r, &to, &d, &e), 1);
	blobs_close(empty);
	registry_free(r);
}

struct pusher {
	struct registry *r;
	unsigned seed;
};

static void *push_some(void *arg)
{
	struct pusher *p = arg;
	struct reference ref = ref_at(&token_one, "team/many", "");

	for (unsigned i = 0; i < 4; i++) {
		struct descriptor d = make_blob(1000 + p->seed * 4 + i, 200000);

		push(p->r, &ref, &d, NULL);
	}
	return NULL;
}

static void many_threads_share_one_client_and_one_token(void **state)
{
	struct registry *r = client();
	struct pusher p[6];
	pthread_t t[6];

	(void)state;
	fixture_run(": > %s/token.log", fixture_dir);
	for (unsigned i = 0; i < 6; i++) {
		p[i] = (struct pusher){ r, i };
		pthread_create(&t[i], NULL, push_some, &p[i]);
	}
	for (unsigned i = 0; i < 6; i++)
		pthread_join(t[i], NULL);
	fixture_run("test $(wc -l < %s/token.log) -eq 1", fixture_dir);
	registry_free(r);
}

static void tags_are_listed_sorted_over_pages(void **state)
{
	struct registry *r = client();
	struct reference ref = ref_at(&open_one, "team/tags", "b");
	struct reference none = ref_at(&open_one, "team/nothing-here", "");
	struct strlist tags = STRLIST_INIT;
	struct err e;

	(void)state;
	push_image(r, &ref);
	strcpy(ref.tag, "a");
	push_image(r, &ref);
	OK(registry_list_tags(r, &ref, &tags, &e));
	assert_int_equal(tags.len, 2);
	assert_string_equal(tags.at[0], "a");
	assert_string_equal(tags.at[1], "b");
	strlist_fini(&tags);
	OK(registry_list_tags(r, &none, &tags, &e));
	assert_int_equal(tags.len, 0);
	registry_free(r);
}

static void a_head_is_one_request(void **state)
{
	struct registry *r = client();
	struct reference ref = ref_at(&token_one, "team/head", "v1");
	struct registry_counts before, after;
	struct descriptor d;
	struct err e;

	(void)state;
	push_image(r, &ref);
	OK(registry_head_manifest(r, &ref, &d, &e)); /* gets the token for pulling */
	registry_counts(r, &before);
	OK(registry_head_manifest(r, &ref, &d, &e));
	registry_counts(r, &after);
	assert_int_equal(after.requests - before.requests, 1);
	registry_free(r);
}

static void basic_authentication_over_private_tls_works(void **state)
{
	struct registry *r = client();

	(void)state;
	check_round_trip(r, &locked_one, "team/tls");
	registry_free(r);
}

static void bearer_tokens_work(void **state)
{
	struct registry *r = client();

	(void)state;
	check_round_trip(r, &token_one, "team/bearer");
	registry_free(r);
}

/* Credentials for one test: `auths` is the text of the object's members. */
static void log_in(const char *auths)
{
	fixture_write("override.json", "{\"auths\":{%s}}", auths);
	fixture_run("mkdir -p %s/override && mv %s/override.json %s/override/config.json",
	            fixture_dir, fixture_dir, fixture_dir);
	char path[100];
	snprintf(path, sizeof(path), "%s/override", fixture_dir);
	setenv("DOCKER_CONFIG", path, 1);
}

static void log_out(void)
{
	unsetenv("DOCKER_CONFIG");
}

static void log_in_as(const struct server *s, const char *user, const char *password)
{
	char text[300];

	snprintf(text, sizeof(text),
	         "\"127.0.0.1:%d\":{\"username\":\"%s\",\"password\":\"%s\"}", s->port,
	         user, password);
	log_in(text);
}

static void assert_message(const struct err *e, const char *part)
{
	if (!strstr(e->msg, part))
		fail_msg("'%s' does not say '%s'", e->msg, part);
}

static void an_identity_token_is_exchanged(void **state)
{
	struct reference ref = ref_at(&token_one, "team/identity", "v1");
	struct registry *r;
	char text[200];

	(void)state;
	snprintf(text, sizeof(text),
	         "\"127.0.0.1:%d\":{\"identitytoken\":\"identity-of-ci\"}",
	         token_one.port);
	log_in(text);
	r = client();
	push_image(r, &ref);
	registry_free(r);
	log_out();
}

static int try_push(const struct reference *ref, struct err *e)
{
	struct descriptor d = make_blob(12, 1000);
	struct strlist none = STRLIST_INIT;
	struct registry *r = client();
	enum push_outcome how;
	int rc = push_blob(r, ref, &d, &none, NULL, store, &how, e);

	registry_free(r);
	return rc;
}

static void a_wrong_password_is_said_so(void **state)
{
	struct server *both[] = { &locked_one, &token_one };
	struct err e;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct reference ref = ref_at(both[i], "team/wrong", "");

		log_in_as(both[i], "ci", "not-it");
		assert_int_equal(try_push(&ref, &e), -1);
		assert_int_equal(e.code, ERR_DENIED);
		assert_message(&e, "refused the password of \"ci\"");
		assert_null(strstr(e.msg, "not-it"));
	}
	log_out();
}

static void a_missing_right_names_who_and_where(void **state)
{
	struct reference ref = ref_at(&token_one, "team/web", "");
	char want[200];
	struct err e;

	(void)state;
	log_in_as(&token_one, "guest", "guest");
	assert_int_equal(try_push(&ref, &e), -1);
	assert_int_equal(e.code, ERR_DENIED);
	snprintf(want, sizeof(want),
	         "denied: no push right on 127.0.0.1:%d/team/web "
	         "(logged in as \"guest\")",
	         token_one.port);
	assert_message(&e, want);
	log_in("");
	assert_int_equal(try_push(&ref, &e), -1);
	assert_message(&e, "(not logged in)");
	log_out();
}

static void an_unknown_authority_says_where_to_put_it(void **state)
{
	struct reference ref = { .host = "localhost:1", .repo = "x" };
	struct err e;

	(void)state;
	snprintf(ref.host, sizeof(ref.host), "localhost:%d", locked_one.port);
	assert_int_equal(try_push(&ref, &e), -1);
	assert_message(&e, "not trusted");
	assert_message(&e, "/etc/containers/certs.d/localhost:");
}

static void an_unreachable_registry_names_host_and_port(void **state)
{
	struct reference ref = { .repo = "x", .tag = "v1" };
	struct registry *r = client();
	struct descriptor d;
	char want[300];
	struct err e;

	(void)state;
	snprintf(ref.host, sizeof(ref.host), "127.0.0.1:%d", fixture_free_port());
	assert_int_equal(registry_head_manifest(r, &ref, &d, &e), -1);
	assert_int_equal(e.code, ERR_NETWORK);
	snprintf(want, sizeof(want), "%s is unreachable", ref.host);
	assert_message(&e, want);
	registry_free(r);
}

static void what_is_missing_is_not_found(void **state)
{
	struct registry *r = client();
	struct reference ref = ref_at(&open_one, "team/missing", "v9");
	struct descriptor d = { .size = 5 }, got;
	struct buf body = BUF_INIT;
	struct err e;

	(void)state;
	digest_of(&d.digest, "absent", 6);
	assert_int_equal(registry_head_manifest(r, &ref, &got, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_message(&e, "team/missing has no manifest v9");
	assert_int_equal(registry_get_manifest(r, &ref, &got, &body, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(registry_has_blob(r, &ref, &d, &e), 0);
	assert_int_equal(registry_fetch_blob(r, &ref, &d, store, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	registry_free(r);
}

/* Over-writes what the registry keeps of a blob. */
static void spoil(const struct server *s, const struct descriptor *d, const char *how)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(&d->digest, hex);
	fixture_run(
		"f=$(echo %s/data-%d/docker/registry/v2/blobs/sha256/*/%s/data); %s\"$f\"",
		fixture_dir, s->port, hex, how);
}

static void wrong_bytes_are_never_kept(void **state)
{
	struct registry *r = client();
	struct reference ref = ref_at(&open_one, "team/rotten", "");
	struct descriptor d = make_blob(20, 50000);
	struct blobs *other = another_store("rotten-test");
	struct err e;

	(void)state;
	push(r, &ref, &d, NULL);
	spoil(&open_one, &d, "printf x | dd conv=notrunc status=none of=");
	assert_int_equal(registry_fetch_blob(r, &ref, &d, other, &e), -1);
	assert_int_equal(e.code, ERR_CORRUPT);
	assert_false(blobs_has(other, &d.digest, NULL));
	blobs_close(other);
	registry_free(r);
}

static void a_longer_blob_is_cut_off(void **state)
{
	struct registry *r = client();
	struct reference ref = ref_at(&open_one, "team/longer", "");
	struct descriptor d = make_blob(21, 50000), shorter = d;
	struct blobs *other = another_store("longer-test");
	struct err e;

	(void)state;
	push(r, &ref, &d, NULL);
	shorter.size = 40000;
	assert_int_equal(registry_fetch_blob(r, &ref, &shorter, other, &e), -1);
	assert_int_equal(e.code, ERR_CORRUPT);
	assert_message(&e, "larger than 40000");
	blobs_close(other);
	registry_free(r);
}

static void a_cancelled_client_fails_at_once(void **state)
{
	struct registry *r = client();
	struct reference ref = ref_at(&open_one, "team/cancel", "v1");
	struct descriptor d;
	struct err e;

	(void)state;
	registry_cancel(r);
	assert_int_equal(registry_head_manifest(r, &ref, &d, &e), -1);
	assert_int_equal(e.code, ERR_CANCELLED);
	registry_free(r);
}

static void a_mirror_is_asked_first_and_passed_over_when_it_fails(void **state)
{
	struct registry_options o = { 0 };
	struct reference ref = ref_at(&open_one, "team/mirrored", "v1"), hub = ref;
	struct descriptor d = { 0 }, sent;
	struct registry *r = client();
	char dead[100], good[100];
	struct buf body = BUF_INIT;
	struct err e;

	(void)state;
	sent = push_image(r, &ref);
	registry_free(r);
	strcpy(hub.host, "docker.io");
	strcpy(hub.repo, "mirrored");
	snprintf(dead, sizeof(dead), "docker.io=127.0.0.1:%d", fixture_free_port());
	snprintf(good, sizeof(good), "docker.io=127.0.0.1:%d/team", open_one.port);
	strlist_add(&o.mirrors, dead);
	strlist_add(&o.mirrors, good);
	assert_int_equal(registry_new(&r, &o, &e), 0);
	OK(registry_find_manifest(r, &hub, &d, &e));
	assert_true(digest_equal(&d.digest, &sent.digest));
	d = (struct descriptor){ 0 };
	OK(registry_pull_manifest(r, &hub, &d, &body, &e));
	assert_true(digest_equal(&d.digest, &sent.digest));
	buf_fini(&body);
	strlist_fini(&o.mirrors);
	registry_free(r);
}

static void a_url_is_fetched_within_its_limit(void **state)
{
	struct registry *r = client();
	struct reference ref = ref_at(&open_one, "team/url", "");
	struct descriptor d = make_blob(30, 10000);
	struct blobs *other = another_store("url");
	struct digest got;
	char url[300];
	int64_t size;
	struct err e;

	(void)state;
	push(r, &ref, &d, NULL);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/v2/team/url/blobs/%s",
	         open_one.port, DIGEST_STR(&d.digest));
	OK(registry_fetch_url(r, url, 10000, other, &got, &size, &e));
	assert_true(digest_equal(&got, &d.digest));
	assert_int_equal(size, 10000);
	assert_int_equal(registry_fetch_url(r, url, 9999, other, &got, &size, &e), -1);
	assert_int_equal(e.code, ERR_LIMIT);
	blobs_close(other);
	registry_free(r);
}

static int start(void **state)
{
	char tls[300], auth[400];
	struct err e;

	(void)state;
	fixture_begin();
	snprintf(
		tls, sizeof(tls),
		"  tls: { certificate: %s/certs/server.crt, key: %s/certs/server.key }\n",
		fixture_dir, fixture_dir);
	fixture_run("htpasswd -Bbn ci secret > %s/htpasswd", fixture_dir);
	fixture_registry(&open_one, "", "");
	snprintf(auth, sizeof(auth),
	         "auth: { htpasswd: { realm: test, path: %s/htpasswd } }\n", fixture_dir);
	fixture_registry(&locked_one, tls, auth);
	fixture_tokens(&tokens);
	snprintf(
		auth, sizeof(auth),
		"auth: { token: { realm: \"http://127.0.0.1:%d/token\", service: test-registry, "
		"issuer: imgmake-test, rootcertbundle: %s/certs/token.crt } }\n",
		tokens.port, fixture_dir);
	fixture_registry(&token_one, "", auth);
	fixture_run("mkdir -p %s/store %s/.docker "
	            "%s/.config/containers/certs.d/127.0.0.1:%d && cp %s/certs/ca.crt "
	            "%s/.config/containers/certs.d/127.0.0.1:%d/",
	            fixture_dir, fixture_dir, fixture_dir, locked_one.port, fixture_dir,
	            fixture_dir, locked_one.port);
	fixture_write(".docker/config.json",
	              "{\"auths\":{\"127.0.0.1:%d\":{\"auth\":\"Y2k6c2VjcmV0\"},"
	              "\"127.0.0.1:%d\":{\"auth\":\"Y2k6c2VjcmV0\"}}}",
	              locked_one.port, token_one.port);
	char path[100];
	snprintf(path, sizeof(path), "%s/store", fixture_dir);
	store_dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return blobs_open(&store, store_dir, false, &e);
}

static int stop(void **state)
{
	(void)state;
	blobs_close(store);
	close(store_dir);
	fixture_stop(&open_one);
	fixture_stop(&locked_one);
	fixture_stop(&token_one);
	fixture_stop(&tokens);
	fixture_end();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_image_goes_to_an_open_registry_and_back),
		cmocka_unit_test(a_blob_that_is_there_is_not_sent_again),
		cmocka_unit_test(a_blob_of_another_repository_is_mounted),
		cmocka_unit_test(a_mount_that_fails_becomes_an_upload),
		cmocka_unit_test(an_empty_blob_can_be_pushed),
		cmocka_unit_test(a_blob_the_store_lacks_comes_from_its_origin),
		cmocka_unit_test(many_threads_share_one_client_and_one_token),
		cmocka_unit_test(tags_are_listed_sorted_over_pages),
		cmocka_unit_test(a_head_is_one_request),
		cmocka_unit_test(basic_authentication_over_private_tls_works),
		cmocka_unit_test(bearer_tokens_work),
		cmocka_unit_test(an_identity_token_is_exchanged),
		cmocka_unit_test(a_wrong_password_is_said_so),
		cmocka_unit_test(a_missing_right_names_who_and_where),
		cmocka_unit_test(an_unknown_authority_says_where_to_put_it),
		cmocka_unit_test(an_unreachable_registry_names_host_and_port),
		cmocka_unit_test(what_is_missing_is_not_found),
		cmocka_unit_test(wrong_bytes_are_never_kept),
		cmocka_unit_test(a_longer_blob_is_cut_off),
		cmocka_unit_test(a_cancelled_client_fails_at_once),
		cmocka_unit_test(a_mirror_is_asked_first_and_passed_over_when_it_fails),
		cmocka_unit_test(a_url_is_fetched_within_its_limit),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
