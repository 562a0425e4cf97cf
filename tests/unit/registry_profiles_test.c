/* The client against what is told of the registries that people use, and of the
 * distribution-spec's newer parts. The scripted registry's log says what was sent, to
 * whom, and with which credentials. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "registry_fixture.h"

#include "registry/client.h"
#include "registry/host.h"

enum { LARGE = 70000 };

static struct server scripted;
static struct blobs *store;

#define OK(call)                                                                         \
	do {                                                                             \
		if ((call) < 0)                                                          \
			fail_msg("%s", e.msg);                                           \
	} while (0)

/* --- What is told to the user ----------------------------------------------------------
 */

struct told {
	struct progress progress;
	pthread_mutex_t lock;
	struct strlist lines; /* warnings and steps */
};

static void take_event(struct progress *self, const struct progress_event *ev)
{
	struct told *t = (struct told *)self;

	if (ev->kind != PROGRESS_WARNING && ev->kind != PROGRESS_STEP)
		return;
	pthread_mutex_lock(&t->lock);
	strlist_add(&t->lines, ev->what);
	pthread_mutex_unlock(&t->lock);
}

static struct told told = { { take_event }, PTHREAD_MUTEX_INITIALIZER, STRLIST_INIT };

static size_t times_told(const char *part)
{
	size_t n = 0;

	for (size_t i = 0; i < told.lines.len; i++)
		n += strstr(told.lines.at[i], part) != NULL;
	return n;
}

/* --- Images ----------------------------------------------------------------------------
 */

static struct registry *client(void)
{
	struct registry_options o = { .progress = &told.progress, .stall_s = 1 };
	struct registry *r;
	struct err e;

	strlist_fini(&told.lines);
	OK(registry_new(&r, &o, &e));
	return r;
}

static struct reference at(const char *repo, const char *tag)
{
	struct reference ref = { 0 };

	snprintf(ref.host, sizeof(ref.host), "127.0.0.1:%d", scripted.port);
	snprintf(ref.repo, sizeof(ref.repo), "%s", repo);
	snprintf(ref.tag, sizeof(ref.tag), "%s", tag);
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
	OK(blobs_open(&b, dir, false, &e));
	close(dir);
	return b;
}

static struct descriptor make_blob(const char *text, const char *type)
{
	struct descriptor d = { .size = (int64_t)strlen(text) };
	struct err e;

	strcpy(d.media_type, type);
	OK(blobs_put(store, text, strlen(text), &d.digest, &e));
	return d;
}

/* Too large to be sent with its commit. */
static struct descriptor make_layer(void)
{
	char text[LARGE + 1];

	memset(text, 'l', LARGE);
	text[LARGE] = '\0';
	return make_blob(text, MEDIA_OCI_LAYER_GZIP);
}

static struct descriptor make_manifest(const struct descriptor *config,
                                       const struct descriptor *layer, const char *more,
                                       struct buf *body)
{
	struct descriptor d = { .media_type = MEDIA_OCI_MANIFEST };

	buf_addf(body,
	         "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST "\",%s"
	         "\"config\":{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%lld},"
	         "\"layers\":[{\"mediaType\":\"" MEDIA_OCI_LAYER_GZIP
	         "\",\"digest\":\"%s\",\"size\":%lld}]}",
	         more, config->media_type, DIGEST_STR(&config->digest),
	         (long long)config->size, DIGEST_STR(&layer->digest),
	         (long long)layer->size);
	digest_of(&d.digest, body->s, body->len);
	d.size = (int64_t)body->len;
	return d;
}

static enum push_outcome push(struct registry *r, const struct reference *ref,
                              const struct descriptor *d, const char *from)
{
	AUTO_STRLIST list = STRLIST_INIT;
	enum push_outcome how = PUSH_PRESENT;
	struct err e;

	if (from)
		strlist_add(&list, from);
	OK(push_blob(r, ref, d, &list, NULL, store, &how, &e));
	return how;
}

/* A manifest of its own for each `text`, its blobs pushed. */
static struct descriptor prepare(struct registry *r, const struct reference *ref,
                                 const char *text, const char *more, struct buf *body)
{
	struct descriptor config = make_blob(text, MEDIA_OCI_CONFIG);
	struct descriptor layer = make_layer();

	push(r, ref, &config, NULL);
	push(r, ref, &layer, NULL);
	return make_manifest(&config, &layer, more, body);
}

/* --- The log ---------------------------------------------------------------------------
 */

static size_t logged(const char *repo, const char *pattern)
{
	AUTO_BUF command = BUF_INIT;
	unsigned n = 0;
	FILE *f;

	buf_addf(&command,
	         "grep -E '^[A-Z]+ [^ ]*/%s[/? ]' %s/scripted.log | grep -cE '%s'", repo,
	         fixture_dir, pattern);
	f = popen(command.s, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%u", &n), 1);
	pclose(f);
	return n;
}

static void must_have_logged(const char *repo, const char *pattern)
{
	if (!logged(repo, pattern))
		fail_msg("nothing of %s in the log is like %s", repo, pattern);
}

/* --- Registries ------------------------------------------------------------------------
 */

static const struct profile {
	const char *name;
	bool immutable;
	enum push_outcome mounted; /* what becomes of a mount */
	const char *wants[8];
} profiles[] = {
	{ "hub",
	  false,
	  PUSH_MOUNTED,
	  { "^PUT .*/uploads/s[0-9]+[?]_state=a%2Bb%3D[0-9]+&x&digest=sha256%3A[0-9a-f]{64} 201 "
	    ".* bearer:hub-[0-9]+$",
	    "^GET /v2/hub/app/blobs/.* 307 .* bearer:",
	    "^POST .*mount=sha256%3A.* 201 " } },
	{ "ghcr",
	  false,
	  PUSH_SENT,
	  { "^PATCH /v2/ghcr/app/blobs/upload/s[0-9]+[?]_state[^ ]* 202 [^ ]+ 70000 - ",
	    "^POST .*mount=.* 202 " } },
	{ "ecr",
	  true,
	  PUSH_SENT,
	  { "^HEAD .*/blobs/.* 400 .* ci:secret$", "^POST .*mount=.* 405 ",
	    "^PATCH .* 202 .* ci:secret$" } },
	{ "acr",
	  false,
	  PUSH_MOUNTED,
	  { "^GET .*/tags/list[?]n=2&at=2 200 .* bearer:acr-" } },
	{ "google", true, PUSH_SENT, { "^PUT .*/blobs/uploads/.* 201 " } },
	{ "harbor", true, PUSH_MOUNTED, { "^POST .*mount=.* 201 " } },
	{ "gitlab", false, PUSH_MOUNTED, { "^POST .*mount=.* 201 " } },
	{ "artifactory",
	  false,
	  PUSH_MOUNTED,
	  { "^HEAD .*/blobs/.* 403 .* bearer:artifactory-",
	    "^GET .*/manifests/v1 200 ", /* HEAD has no digest */
	    "^GET .*/tags/list[?]n=1&at=2 200 " } },
	{ "quay",
	  true,
	  PUSH_SENT,
	  { "^POST .*mount=.* 202 ", "^GET .*/tags/list[?]n=2&at=2 200 " } },
	{ "nexus",
	  false,
	  PUSH_SENT,
	  { "^POST .*mount=.* 404 .* ci:secret$",
	    "^PUT .*/uploads/s[0-9]+[?]digest=sha256%3A[0-9a-f]{64} 201 " } },
};

static void pull_again(struct registry *r, const struct reference *ref,
                       const struct descriptor *sent)
{
	struct descriptor layer = make_layer(), head, got;
	struct blobs *other = fresh_store(ref->repo + strcspn(ref->repo, "/"));
	AUTO_BUF body = BUF_INIT;
	struct err e;

	OK(registry_head_manifest(r, ref, &head, &e));
	assert_true(digest_equal(&head.digest, &sent->digest));
	OK(registry_get_manifest(r, ref, &got, &body, &e));
	assert_true(digest_equal(&got.digest, &sent->digest));
	OK(registry_fetch_blob(r, ref, &layer, other, &e));
	OK(blobs_verify(other, &layer.digest, &e));
	blobs_close(other);
	fixture_run("rm -rf %s/app", fixture_dir);
}

static void check_mount(struct registry *r, const struct profile *p)
{
	struct descriptor layer = make_layer();
	char from[64], to[64];
	struct reference ref;

	snprintf(from, sizeof(from), "%s/app", p->name);
	snprintf(to, sizeof(to), "%s/mounted", p->name);
	ref = at(to, "");
	assert_int_equal(push(r, &ref, &layer, from), p->mounted);
	/* A session that the mount has opened is gone on with. */
	assert_int_equal(logged(to, "^POST .* 202 "), p->mounted == PUSH_MOUNTED ? 0 : 1);
	/* Rights on both, the destination's first. */
	if (logged(to, " bearer:"))
		assert_int_equal(
			logged(p->name,
		               "^GET /token/.*scope=repository%3A[a-z]+%2Fmounted%3Apull"
		               "%2Cpush&scope=repository%3A[a-z]+%2Fapp%3Apull"),
			1);
}

static void put_tags(struct registry *r, const struct reference *ref,
                     const struct descriptor *d, const char *body, const char *names)
{
	AUTO_STRLIST tags = STRLIST_INIT;
	struct err e;

	for (; *names; names += strspn(names, " ")) {
		size_t n = strcspn(names, " ");

		strlist_take(&tags, mem_strndup(names, n));
		names += n;
	}
	OK(registry_put_tags(r, ref, d, body, &tags, &e));
}

static void check_tags(struct registry *r, const struct reference *ref,
                       const struct descriptor *d, const char *body)
{
	AUTO_STRLIST tags = STRLIST_INIT;
	struct err e;

	put_tags(r, ref, d, body, "v2 v3");
	OK(registry_list_tags(r, ref, &tags, &e));
	assert_int_equal(tags.len, 3);
	assert_string_equal(tags.at[2], "v3");
}

static void check_other_image(struct registry *r, const struct profile *p,
                              const struct reference *ref)
{
	AUTO_BUF body = BUF_INIT;
	struct descriptor d = prepare(r, ref, "another", "", &body);
	struct err e;
	int rc = registry_put_manifest(r, ref, &d, body.s, &e);

	if (!p->immutable) {
		assert_int_equal(rc, 0);
		return;
	}
	assert_int_equal(rc, -1);
	assert_int_equal(e.code, ERR_EXISTS);
	assert_non_null(strstr(e.msg, "tag v1 is immutable and names another image"));
}

static void check_profile(const struct profile *p)
{
	struct registry *r = client();
	AUTO_BUF body = BUF_INIT;
	struct descriptor d;
	struct reference ref;
	char repo[64];
	struct err e;

	snprintf(repo, sizeof(repo), "%s/app", p->name);
	ref = at(repo, "v1");
	d = prepare(r, &ref, "a config", "", &body);
	OK(registry_put_manifest(r, &ref, &d, body.s, &e));
	OK(registry_put_manifest(r, &ref, &d, body.s, &e)); /* the same is no error */
	pull_again(r, &ref, &d);
	check_mount(r, p);
	check_tags(r, &ref, &d, body.s);
	check_other_image(r, p, &ref);
	for (size_t i = 0; i < ARRAY_LEN(p->wants) && p->wants[i]; i++)
		must_have_logged(p->name, p->wants[i]);
	registry_free(r);
}

static void every_registry_is_got_along_with(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(profiles); i++) {
		print_message("%s\n", profiles[i].name);
		check_profile(&profiles[i]);
	}
	/* Blobs that are elsewhere are fetched by their signed URL as it is, and nobody
	 * there is told who we are. */
	must_have_logged("storage", "[?]signature=a%2Bb%3D&x 200 localhost:.* -$");
	assert_int_equal(logged("storage", "(bearer:|ci:secret)"), 0);
	/* Nothing but the token server gets the password where tokens are used. */
	assert_int_equal(logged("hub", " ci:secret$"), logged("token/hub", ""));
}

static void an_identity_token_gets_a_token_by_post_or_else_by_get(void **state)
{
	struct descriptor layer = make_layer();
	struct reference to;
	struct registry *r;
	struct err e;

	(void)state;
	fixture_write(
		".docker/config.json",
		"{\"auths\":{\"127.0.0.1:%d\":{\"identitytoken\":\"identity-of-ci\"}}}",
		scripted.port);
	for (int i = 0; i < 2; i++) {
		struct reference ref = at(i ? "gitlab/identity" : "acr/identity", "");

		r = client();
		OK(registry_has_blob(r, &ref, &layer, &e));
		registry_free(r);
	}
	assert_int_equal(logged("token/acr", "^POST .* 200 "), 1);
	r = client();
	to = at("acr/identity-mounted", "");
	push(r, &to, &layer, "acr/app");
	registry_free(r);
	/* One scope, of two parts. */
	must_have_logged("token/acr",
	                 "^POST /token/acr[?]scope=repository%3Aacr%2Fidentity-mounted"
	                 "%3Apull%2Cpush%20repository%3Aacr%2Fapp%3Apull 200 ");
	assert_int_equal(logged("token/gitlab", "^POST .* 404 "), 1);
	must_have_logged("token/gitlab", "^GET .* 200 .* <token>:identity-of-ci$");
}

static void a_low_quota_and_warnings_are_said_once(void **state)
{
	struct reference hub = at("hub/app", "v1"), warned = at("warned/app", "");
	struct registry *r = client();
	struct descriptor d;
	struct err e;

	(void)state;
	OK(registry_head_manifest(r, &hub, &d, &e));
	OK(registry_head_manifest(r, &hub, &d, &e));
	assert_int_equal(times_told("allows only 5 more requests"), 1);
	/* Asked by HEAD: a GET would count. */
	d = make_blob("warned", MEDIA_OCI_LAYER_GZIP);
	push(r, &warned, &d, NULL);
	assert_int_equal(times_told("this registry will close"), 1);
	assert_int_equal(times_told("of no interest"), 0);
	registry_free(r);
}

static void body_header_and_digest_of_a_manifest_have_to_agree(void **state)
{
	static const struct {
		const char *repo, *says;
	} rows[] = {
		{ "type/app", "it is served as application/vnd.oci.image.index.v1+json" },
		{ "digest/app", "it is announced as sha256:0000" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct reference ref = at(rows[i].repo, "v1");
		struct registry *r = client();
		AUTO_BUF body = BUF_INIT, got = BUF_INIT;
		struct descriptor d = prepare(r, &ref, "agree", "", &body), out;
		struct err e;

		OK(registry_put_manifest(r, &ref, &d, body.s, &e));
		assert_int_equal(registry_get_manifest(r, &ref, &out, &got, &e), -1);
		assert_int_equal(e.code, ERR_CORRUPT);
		assert_non_null(strstr(e.msg, rows[i].says));
		assert_int_equal(got.len, 0);
		registry_free(r);
	}
}

/* The time is not let pass: not_before is put back, as if it had. */
static void one_host_makes_us_wait_five_minutes_at_most(void **state)
{
	struct http_answer a = HTTP_ANSWER_INIT;
	struct registry *r = client();
	struct host *h = host_get(r, "busy.example"), *other = host_get(r, "b.example");
	struct err e;

	(void)state;
	a.status = 429;
	strlist_add(&a.names, "retry-after");
	strlist_add(&a.values, "200");
	OK(host_note(r, h, &a, &e));
	OK(host_note(r, h, &a, &e)); /* another thread's: they wait together */
	h->not_before = 0;
	assert_int_equal(host_note(r, h, &a, &e), -1);
	assert_int_equal(e.code, ERR_NETWORK);
	assert_non_null(strstr(e.msg, "busy.example asks us to wait 200 s, more than the "
	                              "300 s we wait for a registry in all"));
	OK(host_note(r, other, &a, &e));
	http_answer_fini(&a);
	registry_free(r);
}

/* --- Faults ----------------------------------------------------------------------------
 */

static void waiting_is_told_and_counted(void **state)
{
	struct descriptor d = make_blob("late", MEDIA_OCI_LAYER_GZIP);
	struct reference busy = at("busy/app", ""), dated = at("dated/app", "");
	struct registry *r = client();
	struct registry_counts counts;

	(void)state;
	push(r, &busy, &d, NULL);
	registry_counts(r, &counts);
	assert_int_equal(counts.retries, 2);
	assert_true(counts.waited_ns >= 2000000000);
	assert_true(times_told("asks us to wait: 1 s") >= 2);
	push(r, &dated, &d, NULL);
	registry_counts(r, &counts);
	assert_int_equal(counts.retries, 4);
	assert_true(counts.waited_ns >= 3000000000);
	registry_free(r);
}

static void silence_is_a_stall_and_asked_again(void **state)
{
	struct reference ref = at("silent/app", "v1");
	struct registry *r = client();
	AUTO_BUF body = BUF_INIT, got = BUF_INIT;
	struct descriptor d = prepare(r, &ref, "silent", "", &body), out;
	struct err e;

	(void)state;
	OK(registry_put_manifest(r, &ref, &d, body.s, &e));
	OK(registry_get_manifest(r, &ref, &out, &got, &e));
	assert_int_equal(logged("silent", "^GET .*/manifests/v1 silence"), 1);
	assert_int_equal(logged("silent", "^GET .*/manifests/v1 200"), 1);
	registry_free(r);
}

static void a_stalled_upload_goes_on_in_chunks(void **state)
{
	struct reference ref = at("hold/app", "");
	AUTO_FREE char *text = mem_alloc(6000001);
	struct registry *r = client();
	struct descriptor d;

	(void)state;
	memset(text, 'x', 6000000);
	d = make_blob(text, MEDIA_OCI_LAYER_GZIP);
	assert_int_equal(push(r, &ref, &d, NULL), PUSH_SENT);
	assert_int_equal(logged("hold", "^PATCH .* held "), 1);
	assert_int_equal(logged("hold", "^PATCH .* 202 [^ ]+ 3000000 3000000-5999999 "),
	                 1);
	assert_int_equal(logged("hold", "^POST "), 1);
	registry_free(r);
}

static void small_bodies_are_found_to_be_wanted(void **state)
{
	struct reference ref = at("small/app", "");
	AUTO_FREE char *text = mem_alloc(3000001);
	struct registry *r = client();
	struct descriptor d;

	(void)state;
	memset(text, 'x', 3000000);
	d = make_blob(text, MEDIA_OCI_LAYER_GZIP);
	assert_int_equal(push(r, &ref, &d, NULL), PUSH_SENT);
	text[0] = 'y';
	d = make_blob(text, MEDIA_OCI_LAYER_GZIP);
	fixture_run(": >%s/scripted.log", fixture_dir);
	assert_int_equal(push(r, &ref, &d, NULL), PUSH_SENT);
	/* What it learnt holds for the next blob. */
	assert_int_equal(logged("small", " 413 "), 0);
	registry_free(r);
}

static void a_small_blob_goes_with_its_commit_unless_that_is_refused(void **state)
{
	struct descriptor d = make_blob("little", MEDIA_OCI_LAYER_GZIP);
	struct descriptor other = make_blob("fickle", MEDIA_OCI_LAYER_GZIP);
	struct reference takes = at("plain/small", ""), refuses = at("noput/app", "");
	struct registry *r = client();

	(void)state;
	assert_int_equal(push(r, &takes, &d, NULL), PUSH_SENT);
	assert_int_equal(logged("plain/small", "^PATCH "), 0);
	assert_int_equal(logged("plain/small", "^PUT .* 201 [^ ]+ 6 - "), 1);
	assert_int_equal(push(r, &refuses, &d, NULL), PUSH_SENT);
	assert_int_equal(logged("noput", "^PUT .* 405 [^ ]+ 6 "), 1);
	assert_int_equal(push(r, &refuses, &other, NULL), PUSH_SENT); /* it is known now
	                                                               */
	assert_int_equal(logged("noput", "^PUT .* 405 "), 1);
	assert_int_equal(logged("noput", "^PATCH .* 202 [^ ]+ 6 - "), 2);
	registry_free(r);
}

static enum push_outcome push_known(struct registry *r, const struct reference *ref,
                                    const struct descriptor *d, enum push_known known,
                                    const char *from)
{
	AUTO_STRLIST list = STRLIST_INIT;
	struct push_blob b = { d, known, &list, NULL, store };
	enum push_outcome how = PUSH_PRESENT;
	struct err e;

	strlist_add(&list, from);
	OK(registry_push_blob(r, ref, &b, &how, &e));
	return how;
}

static void what_is_known_of_a_blob_is_not_asked_for(void **state)
{
	struct descriptor d = make_blob("known", MEDIA_OCI_LAYER_GZIP);
	struct descriptor other = make_blob("gone", MEDIA_OCI_LAYER_GZIP);
	struct reference first = at("plain/first", ""), second = at("plain/second", "");
	struct registry *r = client();

	(void)state;
	assert_int_equal(push_known(r, &first, &d, PUSH_ABSENT, "plain/none"), PUSH_SENT);
	assert_int_equal(push_known(r, &second, &d, PUSH_MOUNTABLE, "plain/first"),
	                 PUSH_MOUNTED);
	assert_int_equal(logged("plain/first", "^HEAD "), 0);
	assert_int_equal(logged("plain/second", "^HEAD "), 0);
	/* It was wrong: then all is as ever, and of this host nothing more is believed.
	 */
	assert_int_equal(push_known(r, &second, &other, PUSH_MOUNTABLE, "plain/first"),
	                 PUSH_SENT);
	assert_int_equal(logged("plain/second", "^HEAD "), 1);
	assert_int_equal(push_known(r, &second, &other, PUSH_MOUNTABLE, "plain/first"),
	                 PUSH_PRESENT);
	registry_free(r);
}

static void a_token_that_ends_in_mid_push_is_renewed(void **state)
{
	struct descriptor d = make_layer();
	struct reference ref = at("renew/app", "v1");
	struct registry *r = client();

	(void)state;
	assert_int_equal(push(r, &ref, &d, NULL), PUSH_SENT);
	assert_int_equal(logged("renew", "^PATCH .* 202 [^ ]+ 70000 - "), 1);
	assert_int_equal(logged("renew", "^PUT .* 401 "), 1);
	assert_int_equal(logged("renew", "^PUT .* 201 "), 1);
	registry_free(r);
}

/* --- The newer parts of the specification
 * ----------------------------------------------- */

static void several_tags_go_in_one_request_where_that_is_known(void **state)
{
	static const char *const names[] = { "1.2.3", "1.2", "1", "latest" };
	struct reference ref = at("tagging/app", "");
	struct registry *r = client();
	AUTO_BUF body = BUF_INIT;
	struct descriptor d = prepare(r, &ref, "tagged", "", &body), got;
	struct err e;

	(void)state;
	put_tags(r, &ref, &d, body.s, "1.2.3 1.2 1 latest");
	must_have_logged("tagging",
	                 "^PUT .*/manifests/sha256:[0-9a-f]{64}[?]tag=1.2.3&tag=1.2&tag=1"
	                 "&tag=latest 201 ");
	/* It takes three at once: what is left goes alone. */
	assert_int_equal(logged("tagging", "^PUT .*/manifests/"), 2);
	must_have_logged("tagging", "^PUT .*/manifests/latest 201 ");
	for (int i = 0; i < 4; i++) {
		ref = at("tagging/app", names[i]);
		OK(registry_head_manifest(r, &ref, &got, &e));
		assert_true(digest_equal(&got.digest, &d.digest));
	}
	registry_free(r);
}

static void elsewhere_tags_go_one_by_one_in_their_order(void **state)
{
	struct reference ref = at("plain/app", "");
	struct registry *r = client();
	AUTO_BUF body = BUF_INIT;
	struct descriptor d = prepare(r, &ref, "tagged", "", &body);

	(void)state;
	put_tags(r, &ref, &d, body.s, "1.2.3 1.2 1");
	assert_int_equal(logged("plain", "^PUT .*/manifests/"), 4);
	put_tags(r, &ref, &d, body.s, "1.2.3 1.2 1"); /* it is known now */
	assert_int_equal(logged("plain", "^PUT .*/manifests/"), 7);
	put_tags(r, &ref, &d, body.s, "1.2.3");
	assert_int_equal(logged("plain", "^PUT .*/manifests/"), 8);
	fixture_run("test \"$(grep -oE '^PUT /v2/plain/app/manifests/[^ s]+' "
	            "%s/scripted.log | head -3 | cut -d/ -f6 | tr '\\n' ' ')\" = "
	            "'1.2.3 1.2 1 '",
	            fixture_dir);
	registry_free(r);
}

static struct descriptor attach(struct registry *r, const char *repo, const char *text,
                                const struct descriptor *subject, struct err *e, int *rc)
{
	struct reference ref = at(repo, "");
	AUTO_BUF body = BUF_INIT, more = BUF_INIT;
	struct descriptor d;

	buf_addf(
		&more,
		"\"artifactType\":\"application/x-%s\",\"annotations\":{\"what\":\"%s\"},"
		"\"subject\":{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%lld},",
		text, text, subject->media_type, DIGEST_STR(&subject->digest),
		(long long)subject->size);
	d = prepare(r, &ref, text, more.s, &body);
	*rc = registry_put_manifest(r, &ref, &d, body.s, e);
	return d;
}

static struct descriptor subject_in(struct registry *r, const char *repo)
{
	struct reference ref = at(repo, "v1");
	AUTO_BUF body = BUF_INIT;
	struct descriptor d = prepare(r, &ref, "the subject", "", &body);
	struct err e;

	OK(registry_put_manifest(r, &ref, &d, body.s, &e));
	return d;
}

static struct reference index_of(const char *repo, const struct descriptor *subject)
{
	char tag[80], hex[DIGEST_HEX + 1];

	snprintf(tag, sizeof(tag), "sha256-%s", digest_hex(&subject->digest, hex));
	return at(repo, tag);
}

static void referrers_are_kept_in_an_index_where_the_registry_does_not(void **state)
{
	struct registry *r = client();
	struct descriptor subject = subject_in(r, "plain/refer"), one, two, got;
	struct reference index = index_of("plain/refer", &subject);
	AUTO_BUF body = BUF_INIT;
	AUTO_JSON *root = NULL;
	json_t *list, *first;
	struct err e;
	int rc;

	(void)state;
	one = attach(r, "plain/refer", "sbom", &subject, &e, &rc);
	OK(rc);
	two = attach(r, "plain/refer", "signature", &subject, &e, &rc);
	OK(rc);
	attach(r, "plain/refer", "sbom", &subject, &e, &rc); /* is in it already */
	OK(rc);
	OK(registry_get_manifest(r, &index, &got, &body, &e));
	assert_string_equal(got.media_type, MEDIA_OCI_INDEX);
	OK(json_read(&root, body.s, body.len, &e));
	list = json_object_get(root, "manifests");
	assert_int_equal(json_array_size(list), 2);
	first = json_array_get(list, 0);
	assert_string_equal(json_string_value(json_object_get(first, "digest")),
	                    DIGEST_STR(&one.digest));
	assert_string_equal(json_string_value(json_object_get(first, "artifactType")),
	                    "application/x-sbom");
	assert_string_equal(json_string_value(json_object_get(
				    json_object_get(first, "annotations"), "what")),
	                    "sbom");
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(list, 1), "digest")),
		DIGEST_STR(&two.digest));
	registry_free(r);
}

static void a_registry_that_knows_subjects_needs_no_index(void **state)
{
	struct registry *r = client();
	struct descriptor subject = subject_in(r, "subjects/app"), got;
	struct reference index = index_of("subjects/app", &subject);
	struct err e;
	int rc;

	(void)state;
	attach(r, "subjects/app", "sbom", &subject, &e, &rc);
	OK(rc);
	assert_int_equal(registry_head_manifest(r, &index, &got, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	registry_free(r);
}

static void a_throttled_answer_is_not_taken_for_no_referrers(void **state)
{
	struct registry *r = client();
	struct descriptor subject = subject_in(r, "throttled/app");
	struct err e;
	int rc;

	(void)state;
	attach(r, "throttled/app", "sbom", &subject, &e, &rc);
	assert_int_equal(rc, -1);
	assert_int_equal(e.code, ERR_NETWORK);
	assert_non_null(strstr(e.msg, "among the referrers of sha256:"));
	assert_int_equal(logged("throttled", "^PUT .*/manifests/sha256-"), 0);
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
	scripted.port = fixture_free_port();
	snprintf(port, sizeof(port), "%d", scripted.port);
	snprintf(log, sizeof(log), "%s/scripted.log", fixture_dir);
	fixture_start(&scripted, argv);
	fixture_run("mkdir -p %s/.docker", fixture_dir);
	fixture_write(".docker/config.json",
	              "{\"auths\":{\"127.0.0.1:%d\":{\"auth\":\"Y2k6c2VjcmV0\"}}}",
	              scripted.port);
	store = fresh_store("main");
	return 0;
}

static int stop(void **state)
{
	(void)state;
	blobs_close(store);
	strlist_fini(&told.lines);
	fixture_stop(&scripted);
	fixture_end();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_registry_is_got_along_with),
		cmocka_unit_test(a_low_quota_and_warnings_are_said_once),
		cmocka_unit_test(body_header_and_digest_of_a_manifest_have_to_agree),
		cmocka_unit_test(one_host_makes_us_wait_five_minutes_at_most),
		cmocka_unit_test(waiting_is_told_and_counted),
		cmocka_unit_test(silence_is_a_stall_and_asked_again),
		cmocka_unit_test(a_stalled_upload_goes_on_in_chunks),
		cmocka_unit_test(small_bodies_are_found_to_be_wanted),
		cmocka_unit_test(
			a_small_blob_goes_with_its_commit_unless_that_is_refused),
		cmocka_unit_test(what_is_known_of_a_blob_is_not_asked_for),
		cmocka_unit_test(a_token_that_ends_in_mid_push_is_renewed),
		cmocka_unit_test(several_tags_go_in_one_request_where_that_is_known),
		cmocka_unit_test(elsewhere_tags_go_one_by_one_in_their_order),
		cmocka_unit_test(
			referrers_are_kept_in_an_index_where_the_registry_does_not),
		cmocka_unit_test(a_registry_that_knows_subjects_needs_no_index),
		cmocka_unit_test(a_throttled_answer_is_not_taken_for_no_referrers),
		cmocka_unit_test(an_identity_token_gets_a_token_by_post_or_else_by_get),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
