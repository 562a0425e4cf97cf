/* Layouts and archives, written and read by us, honest and hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/images.h"

static void sources_are_told_by_their_prefix(void **state)
{
	enum layout_kind kind;
	char *path, *tag;

	(void)state;
	assert_int_equal(layout_parse("ubuntu:24.04", &kind, &path, &tag), 0);
	assert_int_equal(layout_parse("oci:dir", &kind, &path, &tag), 1);
	assert_string_equal(path, "dir");
	assert_null(tag);
	free(path);
	assert_int_equal(
		layout_parse("docker-archive:a/b.tar:r.io:5000/x:1", &kind, &path, &tag),
		1);
	assert_int_equal(kind, LAYOUT_DOCKER_ARCHIVE);
	assert_string_equal(path, "a/b.tar");
	assert_string_equal(tag, "r.io:5000/x:1");
	free(path);
	free(tag);
}

static void an_image_goes_out_and_comes_back_the_same(void **state)
{
	struct fixture *f = *state;
	struct descriptor root = make_image(f, &amd64, "x", CODEC_GZIP, true), got;

	export_to(f, LAYOUT_OCI_DIR, "out", "1.0", &root);
	import_from(f, LAYOUT_OCI_DIR, "out", "1.0", &amd64, &got);
	assert_true(digest_equal(&root.digest, &got.digest));
	export_to(f, LAYOUT_OCI_ARCHIVE, "out.tar", "r.io/a:1.0", &root);
	import_from(f, LAYOUT_OCI_ARCHIVE, "out.tar", NULL, &amd64, &got);
	assert_true(digest_equal(&root.digest, &got.digest));
	export_to(f, LAYOUT_DOCKER_ARCHIVE, "docker.tar", "r.io/a:1.0", &root);
	import_from(f, LAYOUT_DOCKER_ARCHIVE, "docker.tar", "r.io/a:1.0", &amd64, &got);
	assert_true(digest_equal(&root.digest, &got.digest));
	sh(f, "test -z \"$(ls | grep tmp.)\"");
}

static void archives_are_the_same_each_time(void **state)
{
	struct fixture *f = *state;
	struct descriptor root = make_index(f);

	export_to(f, LAYOUT_OCI_ARCHIVE, "a.tar", "x", &root);
	export_to(f, LAYOUT_OCI_ARCHIVE, "b.tar", "x", &root);
	sh(f, "cmp a.tar b.tar");
	sh(f, "tar -tf a.tar | LC_ALL=C sort -c");
}

static void an_index_keeps_all_platforms(void **state)
{
	struct fixture *f = *state;
	struct descriptor root = make_index(f), got;
	struct platform *p;
	struct err e;
	size_t n;

	export_to(f, LAYOUT_OCI_DIR, "out", "x", &root);
	import_from(f, LAYOUT_OCI_DIR, "out", NULL, &arm64, &got);
	assert_true(digest_equal(&root.digest, &got.digest));
	ok(image_list_platforms(f->blobs, &root, &p, &n, &e), &e);
	assert_int_equal(n, 2);
	assert_true(platform_equal(&p[1], &arm64));
	free(p);
	assert_int_equal(layout_export(f->blobs, f->fd, LAYOUT_DOCKER_ARCHIVE, "d.tar",
	                               "x", &root, &e),
	                 -1);
	assert_non_null(strstr(e.msg, "--platform"));
	sh(f, "test ! -e d.tar");
}

static void an_image_opens_for_a_platform(void **state)
{
	struct platform s390x = { "linux", "s390x", "" }, v3 = { "linux", "amd64", "v3" };
	struct fixture *f = *state;
	struct descriptor root = make_index(f),
			  one = make_image(f, &amd64, "amd", CODEC_GZIP, false);
	struct descriptor peeked;
	struct image im;
	struct err e;

	ok(image_open(&im, f->blobs, &root, &v3, &e), &e);
	assert_true(digest_equal(&im.manifest_desc.digest, &one.digest));
	image_fini(&im);
	assert_int_equal(image_open(&im, f->blobs, &root, &s390x, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_non_null(strstr(e.msg, "only for linux/amd64, linux/arm64"));
	assert_int_equal(image_open(&im, f->blobs, &one, &arm64, &e), -1);
	assert_non_null(strstr(e.msg, "only for linux/amd64"));
	assert_int_equal(image_open(&im, f->blobs, &root, NULL, &e), -1);
	assert_non_null(strstr(e.msg, "--platform"));
	ok(image_peek(f->blobs, &root.digest, &peeked, &e), &e);
	assert_string_equal(peeked.media_type, MEDIA_OCI_INDEX);
	assert_int_equal(peeked.size, root.size);

	ok(image_open(&im, f->blobs, &one, NULL, &e), &e);
	blobs_discard(f->blobs, &im.manifest.layers[0].digest);
	image_fini(&im);
	assert_true(image_can_open(f->blobs, &one, &amd64));
	assert_false(image_is_whole(f->blobs, &one, &amd64));
}

static void a_manifest_that_disagrees_with_its_configuration_is_no_image(void **state)
{
	struct fixture *f = *state;
	struct descriptor one = make_image(f, &amd64, "x", CODEC_GZIP, false), bad;
	AUTO_BUF body = BUF_INIT;
	struct image im;
	struct err e;

	ok(image_open(&im, f->blobs, &one, NULL, &e), &e);
	im.manifest.n_layers--;
	manifest_write(&im.manifest, &body);
	image_fini(&im);
	put(f, &body, MEDIA_OCI_MANIFEST, &bad);
	assert_int_equal(image_open(&im, f->blobs, &bad, NULL, &e), -1);
	assert_non_null(strstr(e.msg, "1 layers, but the configuration has 2"));
	bad.size++;
	assert_int_equal(image_open(&im, f->blobs, &bad, NULL, &e), -1);
	assert_int_equal(e.code, ERR_CORRUPT);
}

static void a_tag_names_its_newest_image(void **state)
{
	struct fixture *f = *state;
	struct descriptor a = make_image(f, &amd64, "a", CODEC_GZIP, false);
	struct descriptor b = make_image(f, &amd64, "b", CODEC_GZIP, false), got;

	export_to(f, LAYOUT_OCI_DIR, "out", "one", &a);
	export_to(f, LAYOUT_OCI_DIR, "out", "two", &a);
	import_from(f, LAYOUT_OCI_DIR, "out", NULL, &amd64, &got); /* one image, two tags
	                                                            */
	export_to(f, LAYOUT_OCI_DIR, "out", "one", &b);
	import_from(f, LAYOUT_OCI_DIR, "out", "one", &amd64, &got);
	assert_true(digest_equal(&got.digest, &b.digest));
	import_from(f, LAYOUT_OCI_DIR, "out", "two", &amd64, &got);
	assert_true(digest_equal(&got.digest, &a.digest));
	import_fails(f, LAYOUT_OCI_DIR, "out", NULL, ERR_INVALID,
	             "name one of: two, one");
	import_fails(f, LAYOUT_OCI_DIR, "out", "three", ERR_NOT_FOUND,
	             "there is: two, one");
	sh(f, "test $(jq '.manifests | length' out/index.json) = 2");
}

static void another_directory_is_left_alone(void **state)
{
	struct fixture *f = *state;
	struct descriptor root = make_image(f, &amd64, "a", CODEC_GZIP, false);
	struct err e;

	sh(f, "mkdir out && echo mine > out/index.json");
	assert_int_equal(
		layout_export(f->blobs, f->fd, LAYOUT_OCI_DIR, "out", "x", &root, &e),
		-1);
	assert_int_equal(e.code, ERR_EXISTS);
	sh(f, "test \"$(ls out)\" = index.json");
}

static void a_damaged_file_of_a_layout_is_written_anew(void **state)
{
	struct fixture *f = *state;
	struct descriptor root = make_image(f, &amd64, "a", CODEC_GZIP, false), got;

	export_to(f, LAYOUT_OCI_DIR, "out", "x", &root);
	sh(f,
	   "for b in out/blobs/sha256/*; do printf X | dd of=$b bs=1 seek=3 conv=notrunc; done");
	import_fails(f, LAYOUT_OCI_DIR, "out", "x", ERR_CORRUPT,
	             "not what its name says");
	export_to(f, LAYOUT_OCI_DIR, "out", "x", &root);
	import_from(f, LAYOUT_OCI_DIR, "out", "x", &amd64, &got);
}

static void hostile_directories_are_refused(void **state)
{
	struct fixture *f = *state;
	struct descriptor root = make_image(f, &amd64, "a", CODEC_GZIP, false);
	char hex[DIGEST_HEX + 1];

	export_to(f, LAYOUT_OCI_DIR, "out", "x", &root);
	digest_hex(&root.digest, hex);
	sh(f,
	   "mv out/blobs/sha256/%s secret && ln -s ../../../secret out/blobs/sha256/%s",
	   hex, hex);
	import_fails(f, LAYOUT_OCI_DIR, "out", "x", ERR_INVALID, "symbolic link");
	sh(f, "rm out/blobs/sha256/%s && mkfifo out/blobs/sha256/%s", hex, hex);
	import_fails(f, LAYOUT_OCI_DIR, "out", "x", ERR_INVALID, "not a regular file");
	sh(f, "rm out/blobs/sha256/%s", hex);
	import_fails(f, LAYOUT_OCI_DIR, "out", "x", ERR_NOT_FOUND, "missing");
	sh(f,
	   "cp secret out/blobs/sha256/%s && mv out/blobs real && ln -s ../real out/blobs",
	   hex);
	import_fails(f, LAYOUT_OCI_DIR, "out", "x", ERR_INVALID, "symbolic link");
	sh(f, "rm out/blobs && mv real out/blobs && echo x >> out/blobs/sha256/%s", hex);
	import_fails(f, LAYOUT_OCI_DIR, "out", "x", ERR_CORRUPT,
	             "not what its name says");
	import_fails(f, LAYOUT_OCI_DIR, "absent", "x", ERR_NOT_FOUND,
	             "no such directory");
	import_fails(f, LAYOUT_OCI_DIR, ".", NULL, ERR_INVALID,
	             "not an OCI image layout");
	import_fails(f, LAYOUT_DOCKER_ARCHIVE, "secret", NULL, ERR_CORRUPT,
	             "secret: tar header");
}

static void a_damaged_blob_does_not_leave_the_store(void **state)
{
	struct fixture *f = *state;
	struct descriptor root = make_image(f, &amd64, "a", CODEC_GZIP, false);
	struct image im;
	char hex[DIGEST_HEX + 1];
	struct err e;

	ok(image_open(&im, f->blobs, &root, NULL, &e), &e);
	sh(f,
	   "chmod u+w blobs/sha256/* && printf X | dd of=blobs/sha256/%s bs=1 seek=30 conv=notrunc",
	   digest_hex(&im.manifest.layers[1].digest, hex));
	image_fini(&im);
	assert_int_equal(layout_export(f->blobs, f->fd, LAYOUT_OCI_ARCHIVE, "a.tar", "x",
	                               &root, &e),
	                 -1);
	assert_int_equal(e.code, ERR_CORRUPT);
	sh(f, "test -z \"$(ls | grep a.tar)\" && test ! -e blobs/sha256/%s", hex);
	assert_int_equal(
		layout_export(f->blobs, f->fd, LAYOUT_OCI_DIR, "out", "x", &root, &e),
		-1);
	sh(f,
	   "test ! -e out/index.json && test -z \"$(ls -A out/blobs/sha256 | grep tmp)\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sources_are_told_by_their_prefix),
		TEST(an_image_goes_out_and_comes_back_the_same),
		TEST(archives_are_the_same_each_time),
		TEST(an_index_keeps_all_platforms),
		TEST(an_image_opens_for_a_platform),
		TEST(a_manifest_that_disagrees_with_its_configuration_is_no_image),
		TEST(a_tag_names_its_newest_image),
		TEST(another_directory_is_left_alone),
		TEST(a_damaged_file_of_a_layout_is_written_anew),
		TEST(hostile_directories_are_refused),
		TEST(a_damaged_blob_does_not_leave_the_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
