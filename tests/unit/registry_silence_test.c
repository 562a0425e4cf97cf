/* The client and a real registry, with a proxy between them that falls silent: at each
 * kind of request, before and after the registry has done it, and in the midst of bodies.
 * The client loses its patience after a second instead of a minute. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "registry_fixture.h"

#include "registry/client.h"

enum { LAYER = 3000000 };

static struct server real, proxy;
static struct blobs *store;

#define OK(call)                                                                         \
	do {                                                                             \
		if ((call) < 0)                                                          \
			fail_msg("%s", e.msg);                                           \
	} while (0)

static struct blobs *fresh_store(const char *name)
{
	struct blobs *b;
	char path[200];
	struct err e;
	int dir;

	snprintf(path, sizeof(path), "%s/%s", fixture_dir, name);
	mkdir(path, 0700);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OK(blobs_open(&b, dir, false, &e));
	close(dir);
	return b;
}

static struct registry *client(void)
{
	struct registry_options o = { .stall_s = 1 };
	struct registry *r;
	struct err e;

	OK(registry_new(&r, &o, &e));
	return r;
}

static struct descriptor make_blob(unsigned seed, size_t n, const char *type)
{
	struct descriptor d = { .size = (int64_t)n };
	AUTO_FREE char *data = mem_alloc(n);
	struct err e;

	strcpy(d.media_type, type);
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1103515245 + 12345;
		data[i] = (char)(seed >> 16);
	}
	OK(blobs_put(store, data, n, &d.digest, &e));
	return d;
}

struct image {
	struct reference ref;
	struct descriptor config, layer, manifest;
	struct buf body;
};

static void make_image(struct image *im, unsigned serial)
{
	*im = (struct image){ .body = BUF_INIT };
	snprintf(im->ref.host, sizeof(im->ref.host), "127.0.0.1:%d", proxy.port);
	snprintf(im->ref.repo, sizeof(im->ref.repo), "t/r%u", serial);
	strcpy(im->ref.tag, "v1");
	im->config = make_blob(2 * serial, 400, MEDIA_OCI_CONFIG);
	im->layer = make_blob(2 * serial + 1, LAYER, MEDIA_OCI_LAYER_GZIP);
	strcpy(im->manifest.media_type, MEDIA_OCI_MANIFEST);
	buf_addf(&im->body,
	         "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST
	         "\",\"config\":{\"mediaType\":\"" MEDIA_OCI_CONFIG
	         "\",\"digest\":\"%s\",\"size\":%lld},\"layers\":[{\"mediaType\":"
	         "\"" MEDIA_OCI_LAYER_GZIP "\",\"digest\":\"%s\",\"size\":%lld}]}",
	         DIGEST_STR(&im->config.digest), (long long)im->config.size,
	         DIGEST_STR(&im->layer.digest), (long long)im->layer.size);
	digest_of(&im->manifest.digest, im->body.s, im->body.len);
	im->manifest.size = (int64_t)im->body.len;
}

static int push(const struct image *im, struct err *e)
{
	struct registry *r = client();
	struct strlist none = STRLIST_INIT;
	enum push_outcome how;
	int rc = push_blob(r, &im->ref, &im->config, &none, NULL, store, &how, e);

	if (rc == 0)
		rc = push_blob(r, &im->ref, &im->layer, &none, NULL, store, &how, e);
	if (rc == 0)
		rc = registry_put_manifest(r, &im->ref, &im->manifest, im->body.s, e);
	registry_free(r);
	return rc;
}

static int pull(const struct image *im, struct blobs *into, struct err *e)
{
	struct registry *r = client();
	AUTO_BUF body = BUF_INIT;
	struct descriptor got;
	int rc = registry_head_manifest(r, &im->ref, &got, e);

	if (rc == 0)
		rc = registry_get_manifest(r, &im->ref, &got, &body, e);
	if (rc == 0)
		assert_true(digest_equal(&got.digest, &im->manifest.digest));
	if (rc == 0)
		rc = registry_fetch_blob(r, &im->ref, &im->layer, into, e);
	if (rc == 0)
		rc = blobs_verify(into, &im->layer.digest, e);
	registry_free(r);
	return rc;
}

struct rule {
	const char *method, *path, *what; /* as the proxy has it */
};

/* One image each, in a repository of its own, all at once. */
struct fault {
	const struct rule *rule;
	bool pulls;
	struct image im;
	struct blobs *into;
	pthread_t thread;
	int rc;
	struct err e;
};

static void *meet(void *arg)
{
	struct fault *f = arg;

	f->rc = f->pulls ? pull(&f->im, f->into, &f->e) : push(&f->im, &f->e);
	return NULL;
}

static void write_rules(const struct fault *faults, size_t n)
{
	AUTO_BUF text = BUF_INIT;

	for (size_t i = 0; i < n; i++)
		buf_addf(&text, "1 %s /%s/.*%s %s\n", faults[i].rule->method,
		         faults[i].im.ref.repo, faults[i].rule->path,
		         faults[i].rule->what);
	fixture_write("rules", "%s", text.s);
}

static void must_have_met(const struct fault *f)
{
	fixture_run("grep -q '^%s /v2/%s/.* %.*s$' %s/proxy.log", f->rule->method,
	            f->im.ref.repo, (int)strcspn(f->rule->what, " "), f->rule->what,
	            fixture_dir);
}

static void meet_all(struct fault *faults, size_t n)
{
	struct err e;

	write_rules(faults, n);
	for (size_t i = 0; i < n; i++)
		pthread_create(&faults[i].thread, NULL, meet, &faults[i]);
	for (size_t i = 0; i < n; i++)
		pthread_join(faults[i].thread, NULL);
	for (size_t i = 0; i < n; i++) {
		struct fault *f = &faults[i];

		if (f->rc < 0)
			fail_msg("%s %s %s: %s", f->rule->method, f->rule->path,
			         f->rule->what, f->e.msg);
		must_have_met(f);
	}
	write_rules(NULL, 0);
	for (size_t i = 0; i < n; i++) {
		if (!faults[i].pulls)
			OK(pull(&faults[i].im, faults[i].into, &e));
		blobs_close(faults[i].into);
		buf_fini(&faults[i].im.body);
	}
}

static void prepare(struct fault *faults, const struct rule *rules, size_t n, bool pulls)
{
	static unsigned serial;
	char name[40];
	struct err e;

	for (size_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "into-%u", ++serial);
		faults[i].rule = &rules[i];
		make_image(&faults[i].im, serial);
		faults[i].into = fresh_store(name);
		faults[i].pulls = pulls;
		if (pulls)
			OK(push(&faults[i].im, &e));
	}
}

static void silence_in_a_push_is_waited_out_and_nothing_is_lost(void **state)
{
	static const struct rule rules[] = {
		{ "HEAD", "blobs", "silence" },
		{ "POST", "uploads", "silence" },
		{ "POST", "uploads", "hang-after" },
		{ "PATCH", "uploads", "silence" },
		{ "PATCH", "uploads", "hang-up 0.5" },
		{ "PATCH", "uploads", "hang-after" },
		{ "PUT", "blobs", "silence" },
		{ "PUT", "blobs", "hang-after" },
		{ "PUT", "manifests", "silence" },
		{ "PUT", "manifests", "hang-after" },
	};
	struct fault faults[ARRAY_LEN(rules)];

	(void)state;
	prepare(faults, rules, ARRAY_LEN(faults), false);
	meet_all(faults, ARRAY_LEN(faults));
}

static void silence_in_a_pull_is_waited_out_and_what_came_is_kept(void **state)
{
	static const struct rule rules[] = {
		{ "HEAD", "manifests", "silence" },
		{ "GET", "manifests", "silence" },
		{ "GET", "manifests", "hang-down 0.5" },
		{ "GET", "blobs", "silence" },
		{ "GET", "blobs", "hang-down 0.1" },
		{ "GET", "blobs", "hang-down 0.9" },
	};
	struct fault faults[ARRAY_LEN(rules)];

	(void)state;
	prepare(faults, rules, ARRAY_LEN(faults), true);
	meet_all(faults, ARRAY_LEN(faults));
	/* The rest, not all of it again. */
	fixture_run("grep -q '^GET /v2/%s/blobs/[^ ]* 0 - 206$' %s/proxy.log",
	            faults[ARRAY_LEN(faults) - 1].im.ref.repo, fixture_dir);
}

/* It answers nothing at all, and not even the handshake of TLS. */
static void a_peer_that_only_accepts_is_given_up_with_one_line(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct reference ref = { .repo = "t/mute", .tag = "v1" };
	struct registry *r = client();
	socklen_t n = sizeof(a);
	struct descriptor d;
	char want[300];
	struct err e;

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	snprintf(ref.host, sizeof(ref.host), "127.0.0.1:%d", ntohs(a.sin_port));
	assert_int_equal(registry_head_manifest(r, &ref, &d, &e), -1);
	assert_int_equal(e.code, ERR_NETWORK);
	snprintf(want, sizeof(want), "%s fell silent", ref.host);
	if (!strstr(e.msg, want))
		fail_msg("%s", e.msg);
	registry_free(r);
	close(fd);
}

/* With the proxy for a mirror of what is behind it. */
static void pull_by_mirror(const struct image *im, const char *into)
{
	struct registry_options o = { .stall_s = 1 };
	struct blobs *other = fresh_store(into);
	struct descriptor got;
	AUTO_BUF body = BUF_INIT;
	struct registry *r;
	char rule[sizeof(im->ref.host) + 32];
	struct err e;

	snprintf(rule, sizeof(rule), "%s=127.0.0.1:%d", im->ref.host, proxy.port);
	strlist_add(&o.mirrors, rule);
	OK(registry_new(&r, &o, &e));
	OK(registry_find_manifest(r, &im->ref, &got, &e));
	OK(registry_pull_manifest(r, &im->ref, &got, &body, &e));
	assert_true(digest_equal(&got.digest, &im->manifest.digest));
	OK(registry_fetch_blob(r, &im->ref, &im->layer, other, &e));
	OK(blobs_verify(other, &im->layer.digest, &e));
	registry_free(r);
	strlist_fini(&o.mirrors);
	blobs_close(other);
}

static void a_mirror_that_falls_silent_is_waited_for_once(void **state)
{
	struct image im;
	struct err e;

	(void)state;
	make_image(&im, 1000);
	snprintf(im.ref.host, sizeof(im.ref.host), "127.0.0.1:%d", real.port);
	OK(push(&im, &e));
	fixture_write("rules", "- GET|HEAD /t/r1000/ silence\n");
	pull_by_mirror(&im, "silent-mirror");
	fixture_run("test $(grep -c '/t/r1000/.* silence$' %s/proxy.log) = 1",
	            fixture_dir);
	fixture_write("rules", "- GET /t/r1000/blobs/ hang-down 0.5\n");
	pull_by_mirror(&im, "hanging-mirror");
	fixture_run("test $(grep -c '/t/r1000/.* hang-down$' %s/proxy.log) = 1",
	            fixture_dir);
	fixture_write("rules", "%s", "");
	buf_fini(&im.body);
}

static int start(void **state)
{
	char to[40], file[100], rules[100], log[100], port[12];
	char *argv[] = { "tests/servers/fault_proxy.py",
		         "--to",
		         to,
		         "--port",
		         port,
		         "--port-file",
		         file,
		         "--rules",
		         rules,
		         "--log",
		         log,
		         NULL };

	(void)state;
	fixture_begin();
	fixture_registry(&real, "", "");
	snprintf(to, sizeof(to), "127.0.0.1:%d", real.port);
	snprintf(file, sizeof(file), "%s/proxy.port", fixture_dir);
	snprintf(rules, sizeof(rules), "%s/rules", fixture_dir);
	snprintf(log, sizeof(log), "%s/proxy.log", fixture_dir);
	proxy.port = fixture_free_port();
	snprintf(port, sizeof(port), "%d", proxy.port);
	fixture_start(&proxy, argv);
	store = fresh_store("main");
	return 0;
}

static int stop(void **state)
{
	(void)state;
	blobs_close(store);
	fixture_stop(&proxy);
	fixture_stop(&real);
	fixture_end();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silence_in_a_push_is_waited_out_and_nothing_is_lost),
		cmocka_unit_test(silence_in_a_pull_is_waited_out_and_what_came_is_kept),
		cmocka_unit_test(a_mirror_that_falls_silent_is_waited_for_once),
		cmocka_unit_test(a_peer_that_only_accepts_is_given_up_with_one_line),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
