/* What nodes of a plan have to themselves, since they are planned side by side. */
#include "recipes.h"

#include "build/node.h"

/* A base without layers, as a layout in the project. */
static void make_base(void)
{
	static const char script[] =
		"cd '%s' && mkdir -p base/blobs/sha256 && cd base/blobs/sha256 &&"
		"printf '{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{},"
		"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}' >c &&"
		"c=$(sha256sum c) && c=${c%%%% *} && mv c $c &&"
		"t=application/vnd.oci.image && printf '{\"schemaVersion\":2,"
		"\"mediaType\":\"'$t'.manifest.v1+json\",\"layers\":[],\"config\":{"
		"\"mediaType\":\"'$t'.config.v1+json\",\"digest\":\"sha256:'$c'\","
		"\"size\":'$(stat -c %%s $c)'}}' >m &&"
		"m=$(sha256sum m) && m=${m%%%% *} && mv m $m && cd ../.. &&"
		"printf '{\"imageLayoutVersion\":\"1.0.0\"}' >oci-layout &&"
		"printf '{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":"
		"\"'$t'.manifest.v1+json\",\"digest\":\"sha256:'$m'\",\"size\":"
		"'$(stat -c %%s blobs/sha256/$m)',\"annotations\":{"
		"\"org.opencontainers.image.ref.name\":\"1\"}}]}' >index.json";
	AUTO_BUF line = BUF_INIT;

	buf_addf(&line, script, project);
	assert_int_equal(system(line.s), 0);
}

static size_t blocks(const struct arena *a)
{
	size_t n = 0;

	/* The link is the first of a block. */
	for (const void *b = a->head; b; b = *(const void *const *)b)
		n++;
	return n;
}

/* How many blocks of memory the base has, and how much is free in the last. */
static void plan_images(int n, size_t *n_blocks, size_t *left)
{
	struct platform amd64 = { "linux", "amd64", "" };
	struct build_options o = { .jobs = 1, .platforms = &amd64, .n_platforms = 1 };
	AUTO_BUF text = BUF_INIT, store_dir = BUF_INIT;
	struct lockfile lock;
	struct store store;
	struct recipe *r;
	struct build *b;
	struct err e;
	const struct node *base;

	buf_addf(&text,
	         "local b = base \"oci:base:1\"\nfor i = 1, %d do\n"
	         "image(\"x\" .. i) { from = b, env { I = i } } end\n",
	         n);
	r = evaluate(text.s);
	buf_addf(&store_dir, "%s/store%d", project, n);
	if (store_open(&store, store_dir.s, false, &e) < 0 ||
	    lockfile_load(&lock, project_fd, &e) < 0)
		fail_msg("%s", e.msg);
	o.store = &store;
	o.lock = &lock;
	if (build_new(&b, r, &o, &e) < 0 ||
	    build_plan(b, r->targets, r->n_targets, &e) < 0)
		fail_msg("%s", e.msg);
	base = node_get(b, r->targets[0], &amd64);
	assert_non_null(base);
	assert_true(base->has_result);
	*n_blocks = blocks(&base->arena);
	*left = (size_t)(base->arena.end - base->arena.next);
	build_free(b);
	lockfile_fini(&lock);
	store_close(&store);
	recipe_free(r);
}

/* What stands on a base is planned by many threads at once, and its memory has no lock.
 */
static void images_write_nothing_into_their_base(void **state)
{
	size_t blocks_of_one, left_of_one, n, left;

	(void)state;
	make_base();
	plan_images(1, &blocks_of_one, &left_of_one);
	plan_images(20, &n, &left);
	assert_int_equal(n, blocks_of_one);
	assert_int_equal(left, left_of_one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(images_write_nothing_into_their_base),
	};

	return cmocka_run_group_tests(tests, make_project, remove_project);
}
