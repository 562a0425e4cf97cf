#include "publish/deploy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include <cmocka.h>

#include "publish/copy.h"
#include "publish/promote.h"
#include "publish/tags.h"
#include "publish_registry.h"
#include "store/sources.h"

/* One registry for all tests, each of which has repositories of its own. */
struct world {
	struct registry_fixture registry, other;
	struct registry *client;
	struct store store;
	char store_path[64];
	struct progress progress;
	size_t log;     /* where a test's requests begin */
	char repo[100]; /* of this test */
	int serial;
	atomic_int events_left; /* of a child that is to die */
};

static struct world w;

static void quiet(struct progress *self, const struct progress_event *ev)
{
	(void)self;
	(void)ev;
}

static int start(void **state)
{
	struct registry_options o = { .insecure = STRLIST_INIT };
	struct err e;

	(void)state;
	registry_fixture_start(&w.registry);
	registry_fixture_start(&w.other);
	strcpy(w.store_path, "/tmp/imgmake-store.XXXXXX");
	assert_non_null(mkdtemp(w.store_path));
	if (registry_new(&w.client, &o, &e) < 0 ||
	    store_open(&w.store, w.store_path, false, &e) < 0)
		fail_msg("%s", e.msg);
	w.progress.emit = quiet;
	return 0;
}

static int stop(void **state)
{
	struct err e;

	(void)state;
	registry_free(w.client);
	store_close(&w.store);
	registry_fixture_stop(&w.registry);
	registry_fixture_stop(&w.other);
	return file_remove_tree(AT_FDCWD, w.store_path, &e);
}

static int begin(void **state)
{
	AUTO_BUF ignored = BUF_INIT;

	(void)state;
	snprintf(w.repo, sizeof(w.repo), "%s/t%d/app", w.registry.host, ++w.serial);
	w.log = registry_fixture_requests(&w.registry, 0, &ignored);
	return 0;
}

static void done(int rc, const struct err *e)
{
	if (rc < 0)
		fail_msg("%s", e->msg);
}

static struct ship_options options(void)
{
	return (struct ship_options){
		.store = &w.store,
		.registry = w.client,
		.progress = &w.progress,
	};
}

/* --- Images
 * -------------------------------------------------------------------------------------
 */

static void put(const void *data, size_t n, struct descriptor *d, const char *type)
{
	struct err e;

	*d = (struct descriptor){ .size = (int64_t)n };
	strcpy(d->media_type, type);
	if (blobs_put(w.store.blobs, data, n, &d->digest, &e) < 0)
		fail_msg("%s", e.msg);
}

static void put_text(const struct buf *b, struct descriptor *d, const char *type)
{
	put(b->s, b->len, d, type);
}

static void add_descriptor(struct buf *out, const struct descriptor *d)
{
	buf_addf(out, "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%lld}",
	         d->media_type, DIGEST_STR(&d->digest), (long long)d->size);
}

/* An image of one layer that holds `content`; `note` becomes the version annotation. */
static struct descriptor image(const char *content, const char *note)
{
	struct descriptor layer, config, manifest;
	AUTO_BUF text = BUF_INIT;
	AUTO_BUF body = BUF_INIT;

	put(content, strlen(content), &layer, MEDIA_OCI_LAYER);
	buf_addf(
		&text,
		"{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\","
		"\"diff_ids\":[\"%s\"]}}",
		DIGEST_STR(&layer.digest));
	put_text(&text, &config, MEDIA_OCI_CONFIG);
	buf_addf(&body, "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":",
	         MEDIA_OCI_MANIFEST);
	add_descriptor(&body, &config);
	buf_adds(&body, ",\"layers\":[");
	add_descriptor(&body, &layer);
	buf_adds(&body, "]");
	if (note)
		buf_addf(&body,
		         ",\"annotations\":{\"org.opencontainers.image.version\":\"%s\"}",
		         note);
	buf_adds(&body, "}");
	put_text(&body, &manifest, MEDIA_OCI_MANIFEST);
	return manifest;
}

static struct descriptor index_of(const struct descriptor *a, const struct descriptor *b)
{
	struct descriptor d;
	AUTO_BUF body = BUF_INIT;

	buf_addf(&body, "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[",
	         MEDIA_OCI_INDEX);
	buf_addf(&body,
	         "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%lld,\"platform\":"
	         "{\"os\":\"linux\",\"architecture\":\"amd64\"}},",
	         a->media_type, DIGEST_STR(&a->digest), (long long)a->size);
	buf_addf(&body,
	         "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%lld,\"platform\":"
	         "{\"os\":\"linux\",\"architecture\":\"arm64\"}}]}",
	         b->media_type, DIGEST_STR(&b->digest), (long long)b->size);
	put_text(&body, &d, MEDIA_OCI_INDEX);
	return d;
}

/* --- Deploying and looking
 * ------------------------------------------------------------------------ */

struct published {
	const char *repos[2];
	struct publish publish;
};

static struct publish *publish(struct published *p, const char *repo, const char *version)
{
	p->repos[0] = repo;
	p->publish = (struct publish){
		.place = { "Imagefile", 1 },
		.repos = { p->repos, 1 },
		.version = version,
		.is_default = true,
		.immutable = true,
	};
	return &p->publish;
}

static int try_deploy(struct deploy_result *out, const char *version,
                      const struct descriptor *root, bool plan_only, struct err *e)
{
	struct published p;
	struct deploy_image di = { .name = "app",
		                   .publish = publish(&p, w.repo, version),
		                   .root = root };
	struct ship_options o = options();

	o.plan_only = plan_only;
	return deploy(out, &di, 1, &o, e);
}

/* Deploys to the test's repository; what was done as "1.2.3+ 1.2> 1= latest!" for create,
 * move, same, keep. */
static void deploys(const char *version, struct descriptor root, const char *tags)
{
	struct deploy_result r;
	AUTO_BUF got = BUF_INIT;
	struct err e;

	if (try_deploy(&r, version, &root, false, &e) < 0)
		fail_msg("%s", e.msg);
	for (size_t i = 0; i < r.at[0].n_tags; i++)
		buf_addf(&got, "%s%s%c", i ? " " : "", r.at[0].tags[i].tag,
		         "+>=!"[r.at[0].tags[i].action]);
	assert_string_equal(got.s, tags);
	deploy_result_fini(&r);
}

static bool tag_digest(const char *repo, const char *tag, struct digest *out)
{
	struct reference ref;
	struct descriptor d;
	struct err e;

	assert_int_equal(reference_parse_repo(&ref, repo, &e), 0);
	strcpy(ref.tag, tag);
	if (registry_head_manifest(w.client, &ref, &d, &e) < 0) {
		if (e.code != ERR_NOT_FOUND)
			fail_msg("%s", e.msg);
		return false;
	}
	*out = d.digest;
	return true;
}

/* Tags, separated by spaces, hold the image. */
static void expect_tags(const char *repo, const char *tags, const struct descriptor *d)
{
	AUTO_FREE char *list = mem_strdup(tags);
	char *save = NULL;

	for (char *t = strtok_r(list, " ", &save); t; t = strtok_r(NULL, " ", &save)) {
		struct digest got;

		if (!tag_digest(repo, t, &got))
			fail_msg("%s:%s is missing", repo, t);
		if (!digest_equal(&got, &d->digest))
			fail_msg("%s:%s is %s", repo, t, DIGEST_STR(&got));
	}
}

static void expect_no_tag(const char *repo, const char *tag)
{
	struct digest d;

	assert_false(tag_digest(repo, tag, &d));
}

/* Requests since the test began, or since forget_requests(). */
static size_t count_requests(const char *part)
{
	AUTO_BUF text = BUF_INIT;
	size_t n = 0;

	registry_fixture_requests(&w.registry, w.log, &text);
	for (const char *at = text.s; (at = strstr(at, part)); at++)
		n++;
	return n;
}

static size_t count_writes(void)
{
	return count_requests("PUT /") + count_requests("POST /") +
	       count_requests("PATCH /") + count_requests("DELETE /");
}

static void forget_requests(void)
{
	AUTO_BUF ignored = BUF_INIT;

	w.log = registry_fixture_requests(&w.registry, 0, &ignored);
}

/* --- Deploy
 * -----------------------------------------------------------------------------------------
 */

static void a_first_deploy_sends_all_and_then_tags_in_order(void **state)
{
	struct descriptor a = image("first", "1.2.3");
	AUTO_BUF text = BUF_INIT;
	const char *last_blob = NULL;

	(void)state;
	deploys("1.2.3", a, "1.2.3+ 1.2+ 1+ latest+");
	expect_tags(w.repo, "1.2.3 1.2 1 latest", &a);
	registry_fixture_requests(&w.registry, w.log, &text);
	for (const char *at = text.s; (at = strstr(at, "blobs/")); at++)
		last_blob = at;
	assert_non_null(last_blob);
	assert_true(strstr(text.s, "PUT /v2/") < last_blob);
	assert_null(strstr(text.s, "/manifests/1.2.3\nPUT /v2/t1/app/blobs"));
	for (const char *const *t =
	             (const char *const[]){ "1.2.3\n", "1.2\n", "1\n", "latest\n", NULL };
	     *t; t++) {
		char line[200];
		const char *at;

		snprintf(line, sizeof(line), "PUT /v2/%s/manifests/%s",
		         strchr(w.repo, '/') + 1, *t);
		at = strstr(last_blob, line);
		if (!at)
			fail_msg("%s does not follow the one before", line);
		last_blob = at;
	}
}

static void nothing_changed_is_one_head_a_tag(void **state)
{
	struct descriptor a = image("unchanged", "1.2.3");

	(void)state;
	deploys("1.2.3", a, "1.2.3+ 1.2+ 1+ latest+");
	forget_requests();
	deploys("1.2.3", a, "1.2.3= 1.2= 1= latest=");
	assert_int_equal(count_requests("HEAD /"), 4);
	assert_int_equal(count_requests("GET /v2/t"), 0);
	assert_int_equal(count_writes(), 0);
}

static void an_older_release_moves_its_own_line_only(void **state)
{
	struct descriptor a = image("1.3.0", "1.3.0"), b = image("1.2.9", "1.2.9");
	struct descriptor c = image("1.2.10", "1.2.10");

	(void)state;
	deploys("1.3.0", a, "1.3.0+ 1.3+ 1+ latest+");
	deploys("1.2.9", b, "1.2.9+ 1.2+ 1! latest!");
	deploys("1.2.10", c, "1.2.10+ 1.2> 1! latest!");
	expect_tags(w.repo, "1.3.0 1.3 1 latest", &a);
	expect_tags(w.repo, "1.2.9", &b);
	expect_tags(w.repo, "1.2.10 1.2", &c);
	/* Kept back tags differ for good: they are looked into, and nothing is written.
	 */
	forget_requests();
	deploys("1.2.10", c, "1.2.10= 1.2= 1! latest!");
	assert_int_equal(count_writes(), 0);
}

static void a_plan_writes_nothing_and_tells_bytes(void **state)
{
	struct descriptor a = image("planned", "1.2.3");
	struct deploy_result r;
	struct err e;

	(void)state;
	deploys("1.2.2", image("planned before", "1.2.2"), "1.2.2+ 1.2+ 1+ latest+");
	forget_requests();
	if (try_deploy(&r, "1.2.3", &a, true, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(count_writes(), 0);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.at[0].sent.blobs, 2);
	assert_int_equal(r.at[0].present.blobs, 0);
	assert_true(r.at[0].sent.bytes > 7);
	assert_int_equal(r.at[0].tags[0].action, TAG_CREATE);
	assert_int_equal(r.at[0].tags[1].action, TAG_MOVE);
	assert_true(r.at[0].tags[1].has_old);
	assert_true(digest_equal(&r.at[0].tags[1].now, &a.digest));
	assert_true(deploy_repo_changed(&r.at[0]));
	deploy_result_fini(&r);
}

static void a_plan_needs_no_built_image(void **state)
{
	struct deploy_result r;
	struct err e;

	(void)state;
	deploys("1.2.3", image("there", "1.2.3"), "1.2.3+ 1.2+ 1+ latest+");
	if (try_deploy(&r, "1.2.4", NULL, true, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(r.at[0].tags[0].action, TAG_CREATE);
	assert_int_equal(r.at[0].tags[3].action, TAG_MOVE);
	assert_false(r.at[0].tags[3].has_now);
	deploy_result_fini(&r);
	if (try_deploy(&r, "1.2.3", NULL, true, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(r.at[0].tags[0].action, TAG_KEEP);
	deploy_result_fini(&r);
	assert_int_equal(try_deploy(&r, "1.2.4", NULL, false, &e), -1);
}

static void a_full_tag_with_another_image_stops_all(void **state)
{
	struct descriptor a = image("mine", "1.2.3"), b = image("yours", "1.2.3");
	struct deploy_result r;
	struct err e;

	(void)state;
	deploys("1.2.3", a, "1.2.3+ 1.2+ 1+ latest+");
	forget_requests();
	assert_int_equal(try_deploy(&r, "1.2.3", &b, false, &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	assert_non_null(strstr(e.msg, "1.2.3 already holds another image"));
	assert_non_null(strstr(e.msg, DIGEST_STR(&a.digest))); /* as registries show it */
	assert_non_null(strstr(e.msg, w.repo));
	assert_int_equal(count_writes(), 0);
	expect_tags(w.repo, "1.2.3 1.2 1 latest", &a);
}

static void the_same_image_in_another_manifest_is_done(void **state)
{
	struct descriptor a = image("same", "1.2.3"), b = image("same", "1.2.3-again");

	(void)state;
	deploys("1.2.3", a, "1.2.3+ 1.2+ 1+ latest+");
	forget_requests();
	deploys("1.2.3", b, "1.2.3= 1.2= 1= latest=");
	assert_int_equal(count_writes(), 0);
	expect_tags(w.repo, "1.2.3 1.2 1 latest", &a);
}

static void the_same_files_as_a_new_version_move_the_floats(void **state)
{
	struct descriptor a = image("files", "1.2.3"), b = image("files", "1.2.4");

	(void)state;
	deploys("1.2.3", a, "1.2.3+ 1.2+ 1+ latest+");
	deploys("1.2.4", b, "1.2.4+ 1.2> 1> latest>");
	expect_tags(w.repo, "1.2.4 1.2 1 latest", &b);
}

static void a_float_tells_of_a_release_whose_full_tag_is_gone(void **state)
{
	struct descriptor a = image("1.2.9 pruned", "1.2.9"),
			  b = image("late 1.2.3", "1.2.3");
	struct ship_options o = options();
	struct deploy_result r;
	char to[120];
	struct err e;

	(void)state;
	snprintf(to, sizeof(to), "%s:1.2", w.repo);
	done(image_push(&r, "a", &a, to, &o, &e), &e);
	deploy_result_fini(&r);
	deploys("1.2.3", b, "1.2.3+ 1.2! 1! latest!");
	expect_tags(w.repo, "1.2", &a);
}

static void an_index_goes_up_with_all_its_platforms(void **state)
{
	struct descriptor a = image("amd64", "2.0.0"), b = image("arm64", "2.0.0");
	struct descriptor ix = index_of(&a, &b);
	struct descriptor swapped = index_of(&b, &a);
	struct deploy_result r;
	struct err e;

	(void)state;
	deploys("2.0.0", ix, "2.0.0+ 2.0+ 2+ latest+");
	expect_tags(w.repo, "2.0.0 latest", &ix);
	assert_int_equal(try_deploy(&r, "2.0.0", &swapped, false, &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
}

static void shared_blobs_go_up_once_and_are_mounted(void **state)
{
	struct descriptor a = image("a large shared layer", "1.0.0");
	char one[120], two[120];
	struct published p, q;
	struct deploy_image images[2];
	struct deploy_result r;
	struct ship_options o = options();
	struct err e;

	(void)state;
	snprintf(one, sizeof(one), "%s/one", w.repo);
	snprintf(two, sizeof(two), "%s/two", w.repo);
	images[0] = (struct deploy_image){ .name = "one",
		                           .publish = publish(&p, one, "1.0.0"),
		                           .root = &a };
	images[1] = (struct deploy_image){ .name = "two",
		                           .publish = publish(&q, two, "1.0.0"),
		                           .root = &a };
	if (deploy(&r, images, 2, &o, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(r.at[0].sent.blobs, 2);
	assert_int_equal(r.at[1].sent.blobs, 0);
	assert_int_equal(r.at[1].mounted.blobs, 2);
	assert_int_equal(count_requests("mount=sha256"), 2);
	deploy_result_fini(&r);
	expect_tags(one, "1.0.0 latest", &a);
	expect_tags(two, "1.0.0 latest", &a);
}

static void a_layer_is_mounted_from_where_an_earlier_deploy_put_it(void **state)
{
	struct descriptor a = image("remembered", "1.0.0");
	struct ship_options o = options();
	struct deploy_result r;
	char to[120];
	struct err e;

	(void)state;
	deploys("1.0.0", a, "1.0.0+ 1.0+ 1+ latest+");
	snprintf(to, sizeof(to), "%s/later:x", w.repo);
	if (image_push(&r, "a", &a, to, &o, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(r.at[0].mounted.blobs, 1); /* the configuration is not remembered
	                                             */
	assert_int_equal(r.at[0].sent.blobs, 1);
	deploy_result_fini(&r);
}

static void versions_of_one_deploy_agree_on_the_floats(void **state)
{
	struct descriptor a = image("3.12", "3.12.1"), b = image("3.11", "3.11.9");
	struct published p, q;
	struct deploy_image images[2];
	struct deploy_result r;
	struct ship_options o = options();
	struct err e;

	(void)state;
	images[0] = (struct deploy_image){ .name = "new",
		                           .publish = publish(&p, w.repo, "3.12.1"),
		                           .root = &a };
	images[1] = (struct deploy_image){ .name = "old",
		                           .publish = publish(&q, w.repo, "3.11.9"),
		                           .root = &b };
	if (deploy(&r, images, 2, &o, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(r.at[1].tags[3].action, TAG_KEEP);
	assert_string_equal(r.at[1].tags[3].reason, "3.12.1 is newer");
	deploy_result_fini(&r);
	expect_tags(w.repo, "3.12.1 3.12 3 latest", &a);
	expect_tags(w.repo, "3.11.9 3.11", &b);
}

static void an_error_in_one_image_tags_none(void **state)
{
	struct descriptor a = image("whole", "1.0.0"),
			  b = image("its layer is lost", "1.0.0");
	struct published p, q;
	char other[120];
	struct deploy_image images[2];
	struct deploy_result r;
	struct ship_options o = options();
	struct digest layer;
	struct err e;

	(void)state;
	digest_of(&layer, "its layer is lost", strlen("its layer is lost"));
	blobs_discard(w.store.blobs, &layer);
	snprintf(other, sizeof(other), "%s/other", w.repo);
	images[0] = (struct deploy_image){ .name = "a",
		                           .publish = publish(&p, w.repo, "1.0.0"),
		                           .root = &a };
	images[1] = (struct deploy_image){ .name = "b",
		                           .publish = publish(&q, other, "1.0.0"),
		                           .root = &b };
	assert_int_equal(deploy(&r, images, 2, &o, &e), -1);
	assert_non_null(strstr(e.msg, "image 'b'"));
	expect_no_tag(w.repo, "1.0.0");
	expect_no_tag(w.repo, "latest");
	expect_no_tag(other, "1.0.0");
}

/* Publishes 1.2.4 from elsewhere just after our 1.2.3 has its full tag. */
static void publish_meanwhile(struct progress *self, const struct progress_event *ev)
{
	struct ship_options o = options();
	struct deploy_result r;
	struct descriptor newer;
	char to[120];
	struct err e;

	(void)self;
	if (ev->kind != PROGRESS_STEP || !strstr(ev->what, ":1.2.3 is "))
		return;
	newer = image("appeared meanwhile", "1.2.4");
	o.progress = NULL;
	snprintf(to, sizeof(to), "%s:1.2.4", w.repo);
	if (image_push(&r, "newer", &newer, to, &o, &e) < 0)
		fail_msg("%s", e.msg);
	deploy_result_fini(&r);
}

static void floats_converge_to_a_release_that_appeared_meanwhile(void **state)
{
	struct descriptor newer = image("appeared meanwhile", "1.2.4");
	struct descriptor a = image("overtaken", "1.2.3");
	struct deploy_result r;
	struct err e;
	int rc;

	(void)state;
	w.progress.emit = publish_meanwhile;
	rc = try_deploy(&r, "1.2.3", &a, false, &e);
	w.progress.emit = quiet;
	if (rc < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(r.at[0].tags[3].reason, "1.2.4 appeared meanwhile");
	assert_true(digest_equal(&r.at[0].tags[3].now, &newer.digest));
	deploy_result_fini(&r);
	expect_tags(w.repo, "1.2.3", &a);
	expect_tags(w.repo, "1.2.4 1.2 1 latest", &newer);
}

static void die_in_time(struct progress *self, const struct progress_event *ev)
{
	(void)self;
	(void)ev;
	if (atomic_fetch_sub(&w.events_left, 1) == 1)
		_exit(0);
}

/* Deploys in a child that dies at the n-th event. False: it had fewer, and is done. */
static bool deploy_and_die(const struct descriptor *d, int n)
{
	struct registry_options ro = { .progress = &w.progress };
	struct deploy_result r;
	struct err e;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		/* A client and a store of its own: neither connections nor LMDB's readers
		 * are shared across a fork, and one that died in a read would keep the
		 * parent's. */
		if (registry_new(&w.client, &ro, &e) < 0 ||
		    store_open(&w.store, w.store_path, false, &e) < 0)
			_exit(1);
		atomic_init(&w.events_left, n);
		w.progress.emit = die_in_time;
		_exit(try_deploy(&r, "1.0.1", d, false, &e) < 0 ? 2 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 3);
	return WEXITSTATUS(status) == 0;
}

static void a_deploy_killed_anywhere_is_finished_by_the_next(void **state)
{
	static const char *const floats[] = { "1.0", "1", "latest" };
	struct descriptor a = image("before", "1.0.0"), b = image("after", "1.0.1");
	struct deploy_result r;
	struct err e;
	char base[80];
	bool died = true;
	int n;

	(void)state;
	memcpy(base, w.repo, sizeof(base));
	for (n = 1; died; n++) {
		snprintf(w.repo, sizeof(w.repo), "%s/%d", base, n);
		deploys("1.0.0", a, "1.0.0+ 1.0+ 1+ latest+");
		died = deploy_and_die(&b, n);
		for (size_t i = 0; i < ARRAY_LEN(floats); i++) {
			struct digest d;

			assert_true(tag_digest(w.repo, floats[i], &d));
			assert_true(digest_equal(&d, &a.digest) ||
			            digest_equal(&d, &b.digest));
		}
		if (try_deploy(&r, "1.0.1", &b, false, &e) < 0)
			fail_msg("%s", e.msg);
		deploy_result_fini(&r);
		expect_tags(w.repo, "1.0.1 1.0 1 latest", &b);
		expect_tags(w.repo, "1.0.0", &a);
	}
	assert_true(n > 5); /* it has died between tags, too */
}

static void a_blob_is_streamed_from_where_it_still_is(void **state)
{
	struct descriptor a = image("streamed", "1.0.0");
	struct ship_options o = options();
	struct deploy_result r;
	struct digest layer;
	char to[200];
	struct err e;

	(void)state;
	snprintf(to, sizeof(to), "%s/streamed:x", w.other.host);
	done(image_push(&r, "a", &a, to, &o, &e), &e);
	deploy_result_fini(&r);
	digest_of(&layer, "streamed", strlen("streamed"));
	snprintf(to, sizeof(to), "%s/gone", w.other.host);
	done(blob_sources_add(w.store.state, &layer, to, &e), &e);
	done(blob_sources_add(w.store.state, &layer, w.repo, &e), &e);
	blobs_discard(w.store.blobs, &layer);
	deploys("1.0.0", a, "1.0.0+ 1.0+ 1+ latest+");
}

static void what_cannot_be_read_under_a_float_is_replaced(void **state)
{
	static const char junk[] = "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX
				   "\",\"manifests\":[],\"annotations\":{\"a\":1}}";
	struct descriptor a = image("readable", "1.0.0"), d;
	struct reference ref;
	struct err e;

	(void)state;
	put(junk, strlen(junk), &d, MEDIA_OCI_INDEX);
	assert_int_equal(reference_parse_repo(&ref, w.repo, &e), 0);
	strcpy(ref.tag, "latest");
	if (registry_put_manifest(w.client, &ref, &d, junk, &e) < 0)
		skip(); /* this registry would not even take it */
	deploys("1.0.0", a, "1.0.0+ 1.0+ 1+ latest>");
}

static void plain_tags_move_without_a_family(void **state)
{
	struct published p;
	const char *edge[] = { "edge" };
	struct descriptor a = image("edge 1", NULL), b = image("edge 2", NULL);
	struct deploy_image di = { .name = "app",
		                   .publish = publish(&p, w.repo, NULL),
		                   .root = &a };
	struct deploy_result r;
	struct ship_options o = options();
	struct err e;

	(void)state;
	p.publish.tags = (struct strings){ edge, 1 };
	done(deploy(&r, &di, 1, &o, &e), &e);
	assert_int_equal(r.at[0].tags[0].action, TAG_CREATE);
	deploy_result_fini(&r);
	di.root = &b;
	done(deploy(&r, &di, 1, &o, &e), &e);
	assert_int_equal(r.at[0].tags[0].action, TAG_MOVE);
	deploy_result_fini(&r);
	expect_tags(w.repo, "edge", &b);
	p.publish.tags = (struct strings){ NULL, 0 };
	done(deploy(&r, &di, 1, &o, &e), &e);
	deploy_result_fini(&r);
	expect_tags(w.repo, "latest", &b);
}

/* --- Promote, copy, push, pull, tags
 * ------------------------------------------------------------------ */

static void promote_gives_a_digest_a_family(void **state)
{
	struct descriptor a = image("candidate", "1.0.0-rc.1"),
			  b = image("candidate arm", NULL);
	struct descriptor ix = index_of(&a, &b);
	struct family_options family = { .version = "1.0.0", .immutable = true };
	struct ship_options o = options();
	struct deploy_result r;
	char from[200], to[120];
	struct err e;

	(void)state;
	snprintf(from, sizeof(from), "%s:candidate", w.repo);
	done(image_push(&r, "ix", &ix, from, &o, &e), &e);
	deploy_result_fini(&r);
	forget_requests();
	if (promote(&r, from, NULL, &family, &o, &e) < 0)
		fail_msg("%s", e.msg);
	deploy_result_fini(&r);
	assert_int_equal(count_requests("/blobs/"), 0);
	expect_tags(w.repo, "1.0.0 1.0 1 latest candidate", &ix);

	snprintf(from, sizeof(from), "%s@%s", w.repo, DIGEST_STR(&ix.digest));
	snprintf(to, sizeof(to), "%s/stable", w.repo);
	if (promote(&r, from, to, &family, &o, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(r.at[0].mounted.blobs, 4);
	deploy_result_fini(&r);
	expect_tags(to, "1.0.0 latest", &ix);

	snprintf(to, sizeof(to), "%s/elsewhere", w.other.host);
	if (promote(&r, from, to, &family, &o, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(r.at[0].sent.blobs, 4);
	deploy_result_fini(&r);
	expect_tags(to, "1.0.0 1.0 1 latest", &ix);
}

static void copy_streams_what_the_store_lacks(void **state)
{
	struct descriptor a = image("copied", NULL), got;
	struct ship_options o = options();
	struct deploy_result r;
	struct digest layer;
	char from[200], to[200];
	struct err e;

	(void)state;
	snprintf(from, sizeof(from), "%s:x", w.repo);
	snprintf(to, sizeof(to), "%s/copy:y", w.other.host);
	done(image_push(&r, "a", &a, from, &o, &e), &e);
	deploy_result_fini(&r);
	digest_of(&layer, "copied", 6);
	blobs_discard(w.store.blobs, &layer);
	if (image_copy(&r, from, to, NULL, &o, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(r.at[0].sent.blobs, 2);
	deploy_result_fini(&r);

	blobs_discard(w.store.blobs, &layer);
	if (image_pull(&got, to, NULL, &o, &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(digest_equal(&got.digest, &a.digest));
	assert_true(blobs_has(w.store.blobs, &layer, NULL));
	assert_int_equal(image_name_get(&w.store, to, &got, &e), 1);
	assert_true(digest_equal(&got.digest, &a.digest));
	assert_int_equal(image_name_get(&w.store, "never/pulled", &got, &e), 0);
	snprintf(to, sizeof(to), "%s/copy@%s", w.other.host, DIGEST_STR(&layer));
	assert_int_equal(image_copy(&r, from, to, NULL, &o, &e), -1);
	assert_int_equal(e.code, ERR_INVALID);
}

static void pull_takes_one_platform_when_asked(void **state)
{
	struct descriptor a = image("pull amd64", NULL), b = image("pull arm64", NULL),
			  got;
	struct descriptor ix = index_of(&a, &b);
	struct platform arm, s390x;
	struct ship_options o = options();
	struct deploy_result r;
	char name[200];
	struct err e;

	(void)state;
	snprintf(name, sizeof(name), "%s:multi", w.repo);
	done(image_push(&r, "ix", &ix, name, &o, &e), &e);
	deploy_result_fini(&r);
	assert_int_equal(platform_parse(&arm, "linux/arm64", &e), 0);
	if (image_pull(&got, name, &arm, &o, &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(digest_equal(&got.digest, &b.digest));
	assert_int_equal(platform_parse(&s390x, "linux/s390x", &e), 0);
	assert_int_equal(image_pull(&got, name, &s390x, &o, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

static void tags_tells_what_floats_point_at(void **state)
{
	struct descriptor a = image("tags a", "1.2.3"), b = image("tags b", "1.3.0");
	struct ship_options o = options();
	struct family_options family = { .version = "1.2.4", .immutable = true };
	struct deploy_result r;
	struct reference repo;
	struct tag_list l;
	AUTO_BUF text = BUF_INIT;
	struct err e;

	(void)state;
	deploys("1.2.3", a, "1.2.3+ 1.2+ 1+ latest+");
	deploys("1.3.0", b, "1.3.0+ 1.3+ 1> latest>");
	assert_int_equal(reference_parse_repo(&repo, w.repo, &e), 0);
	if (tags_list(&l, &repo, NULL, &o, &e) < 0)
		fail_msg("%s", e.msg);
	for (size_t i = 0; i < l.n; i++)
		buf_addf(&text, "%s%s%s ", l.at[i].tag, l.at[i].points_at ? "->" : "",
		         l.at[i].points_at ? l.at[i].points_at : "");
	assert_string_equal(text.s,
	                    "latest->1.3.0 1.3->1.3.0 1.2->1.2.3 1->1.3.0 1.3.0 1.2.3 ");
	tag_list_fini(&l);
	forget_requests();
	assert_int_equal(tags_would_move(&r, &repo, &family, &o, &e), 0);
	assert_int_equal(count_writes(), 0);
	assert_int_equal(r.at[0].tags[1].action, TAG_MOVE);
	assert_int_equal(r.at[0].tags[2].action, TAG_KEEP);
	deploy_result_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_first_deploy_sends_all_and_then_tags_in_order,
		                       begin),
		cmocka_unit_test_setup(nothing_changed_is_one_head_a_tag, begin),
		cmocka_unit_test_setup(an_older_release_moves_its_own_line_only, begin),
		cmocka_unit_test_setup(a_plan_writes_nothing_and_tells_bytes, begin),
		cmocka_unit_test_setup(a_plan_needs_no_built_image, begin),
		cmocka_unit_test_setup(a_full_tag_with_another_image_stops_all, begin),
		cmocka_unit_test_setup(the_same_image_in_another_manifest_is_done, begin),
		cmocka_unit_test_setup(the_same_files_as_a_new_version_move_the_floats,
		                       begin),
		cmocka_unit_test_setup(a_float_tells_of_a_release_whose_full_tag_is_gone,
		                       begin),
		cmocka_unit_test_setup(an_index_goes_up_with_all_its_platforms, begin),
		cmocka_unit_test_setup(shared_blobs_go_up_once_and_are_mounted, begin),
		cmocka_unit_test_setup(
			a_layer_is_mounted_from_where_an_earlier_deploy_put_it, begin),
		cmocka_unit_test_setup(versions_of_one_deploy_agree_on_the_floats, begin),
		cmocka_unit_test_setup(an_error_in_one_image_tags_none, begin),
		cmocka_unit_test_setup(
			floats_converge_to_a_release_that_appeared_meanwhile, begin),
		cmocka_unit_test_setup(a_deploy_killed_anywhere_is_finished_by_the_next,
		                       begin),
		cmocka_unit_test_setup(a_blob_is_streamed_from_where_it_still_is, begin),
		cmocka_unit_test_setup(what_cannot_be_read_under_a_float_is_replaced,
		                       begin),
		cmocka_unit_test_setup(plain_tags_move_without_a_family, begin),
		cmocka_unit_test_setup(promote_gives_a_digest_a_family, begin),
		cmocka_unit_test_setup(copy_streams_what_the_store_lacks, begin),
		cmocka_unit_test_setup(pull_takes_one_platform_when_asked, begin),
		cmocka_unit_test_setup(tags_tells_what_floats_point_at, begin),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
