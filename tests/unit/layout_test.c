/* Layouts and archives: written by us and read by skopeo, umoci and us; written by skopeo
 * and tar and read by us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "image/image.h"
#include "image/layout.h"
#include "unit/packing.h"

static const struct platform amd64 = { "linux", "amd64", "" };
static const struct platform arm64 = { "linux", "arm64", "" };

/* Runs a shell command below the fixture's directory; it must succeed. */
static void sh(struct fixture *f, const char *fmt, ...) PRINTF(2, 3);
static void sh(struct fixture *f, const char *fmt, ...)
{
	AUTO_BUF line = BUF_INIT;
	va_list ap;

	buf_addf(&line, "exec 2>>%s/sh.log; set -e; cd %s; ", f->dir, f->dir);
	va_start(ap, fmt);
	buf_vaddf(&line, fmt, ap);
	va_end(ap);
	if (system(line.s) != 0) {
		AUTO_BUF log = BUF_INIT;
		struct err e;

		if (file_read(f->fd, "sh.log", &log, 1 << 20, &e) == 0)
			print_error("%s\n", log.s);
		fail_msg("failed: %s", line.s);
	}
}

static void ok(int rc, const struct err *e)
{
	if (rc < 0)
		fail_msg("%s", e->msg);
}

static void put(struct fixture *f, struct buf *body, const char *type,
		struct descriptor *d)
{
	struct err e;

	memset(d, 0, sizeof(*d));
	strcpy(d->media_type, type);
	d->size = (int64_t)body->len;
	ok(blobs_put(f->blobs, body->s, body->len, &d->digest, &e), &e);
}

/* Two layers, the first of them twice if `twice`. */
static struct descriptor make_image(struct fixture *f, const struct platform *p,
				    const char *text, enum codec codec, bool twice)
{
	struct item lower[] = { other(TOC_DIR, "etc", NULL), file("etc/hello", text) };
	struct item upper[] = { file("top", text) };
	struct history h = { .created_by = "copy" };
	struct descriptor layers[3], out;
	AUTO_BUF body = BUF_INIT, config_body = BUF_INIT;
	struct manifest m = { .layers = layers };
	struct image_config c;
	struct layer l;
	struct err e;

	config_init(&c, p);
	config_set(&c, "Cmd", json_pack("[s]", "/top"));
	for (int i = 0; i < (twice ? 3 : 2); i++) {
		ok(pack(f, codec, NULL, i == 1 ? upper : lower, i == 1 ? 1 : 2, &l, &e),
		   &e);
		config_add_layer(&c, &l.diff_id, &h, 0);
		layers[m.n_layers++] = l.blob;
	}
	config_write(&c, &config_body);
	config_fini(&c);
	put(f, &config_body, MEDIA_OCI_CONFIG, &m.config);
	manifest_write(&m, &body);
	put(f, &body, MEDIA_OCI_MANIFEST, &out);
	return out;
}

static struct descriptor make_index(struct fixture *f)
{
	struct descriptor d[2] = { make_image(f, &amd64, "amd", CODEC_GZIP, false),
				   make_image(f, &arm64, "arm", CODEC_GZIP, false) };
	struct image_index ix = { .manifests = d, .n = 2 };
	AUTO_BUF body = BUF_INIT;
	struct descriptor out;

	d[0].platform = amd64;
	d[1].platform = arm64;
	index_write(&ix, &body);
	put(f, &body, MEDIA_OCI_INDEX, &out);
	return out;
}

/* A second, empty store. */
static struct blobs *fresh_store(struct fixture *f, const char *name)
{
	struct blobs *b;
	struct err e;
	int fd;

	ok(file_mkdirs(f->fd, name, 0700, &e), &e);
	fd = openat(f->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ok(blobs_open(&b, fd, false, &e), &e);
	close(fd);
	return b;
}

static void export_to(struct fixture *f, enum layout_kind kind, const char *path,
		      const char *name, const struct descriptor *root)
{
	struct err e;

	ok(layout_export(f->blobs, f->fd, kind, path, name, root, &e), &e);
}

/* What import into an empty store gives is whole, and the root known before. */
static void import_from(struct fixture *f, enum layout_kind kind, const char *path,
			const char *tag, const struct platform *p,
			struct descriptor *root)
{
	static int serial;
	struct descriptor told;
	struct blobs *fresh;
	char name[40];
	struct err e;

	snprintf(name, sizeof(name), "store%d", serial++);
	fresh = fresh_store(f, name);
	ok(layout_root(f->fd, kind, path, tag, &told, &e), &e);
	ok(layout_import(fresh, f->fd, kind, path, tag, root, &e), &e);
	assert_true(digest_equal(&told.digest, &root->digest));
	assert_int_equal(told.size, root->size);
	assert_true(image_is_whole(fresh, root, p));
	blobs_close(fresh);
}

static void import_fails(struct fixture *f, enum layout_kind kind, const char *path,
			 const char *tag, enum err_code code, const char *why)
{
	struct descriptor root;
	struct blobs *fresh = fresh_store(f, "failing");
	struct err e;

	if (layout_import(fresh, f->fd, kind, path, tag, &root, &e) == 0)
		fail_msg("%s was accepted", path);
	if (!strstr(e.msg, why) || e.code != code)
		fail_msg("%d: %s", e.code, e.msg);
	blobs_close(fresh);
	assert_int_equal(file_remove_tree(f->fd, "failing", &e), 0);
}

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
	import_from(f, LAYOUT_OCI_DIR, "out", NULL, &amd64,
		    &got); /* one image, two tags */
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

static void skopeo_and_umoci_read_what_we_write(void **state)
{
	struct fixture *f = *state;
	struct descriptor root = make_image(f, &amd64, "hello", CODEC_GZIP, true),
			  all = make_index(f);
	char hex[DIGEST_HEX + 1];

	digest_hex(&root.digest, hex);
	export_to(f, LAYOUT_OCI_DIR, "out", "1.0", &root);
	export_to(f, LAYOUT_OCI_ARCHIVE, "out.tar", "1.0", &root);
	export_to(f, LAYOUT_DOCKER_ARCHIVE, "docker.tar", "r.io/team/app:1.0", &root);
	sh(f, "test $(skopeo inspect --raw oci:out:1.0 | sha256sum | cut -c-64) = %s",
	   hex);
	sh(f,
	   "test $(skopeo inspect --raw oci-archive:out.tar:1.0 | sha256sum | cut -c-64) = %s",
	   hex);
	sh(f,
	   "skopeo inspect docker-archive:docker.tar:r.io/team/app:1.0 | grep -q '\"amd64\"'");
	sh(f,
	   "umoci unpack --rootless --image out:1.0 b1 >&2 && grep -qx hello b1/rootfs/etc/hello");
	sh(f,
	   "skopeo --insecure-policy copy -q docker-archive:docker.tar oci:o2:x && "
	   "umoci unpack --rootless --image o2:x b2 >&2 && diff -r b1/rootfs b2/rootfs");
	export_to(f, LAYOUT_OCI_DIR, "out", "all", &all);
	sh(f, "skopeo --insecure-policy copy -q --all oci:out:all oci:o3:all");
	sh(f, "skopeo --override-arch arm64 inspect oci:out:all | grep -q '\"arm64\"'");
}

static void we_read_what_skopeo_writes(void **state)
{
	struct fixture *f = *state;
	struct descriptor root = make_image(f, &amd64, "hello", CODEC_GZIP, true),
			  all = make_index(f);
	struct descriptor zstd = make_image(f, &amd64, "hello", CODEC_ZSTD, true), got;

	export_to(f, LAYOUT_OCI_DIR, "src", "1.0", &root);
	export_to(f, LAYOUT_OCI_DIR, "src", "zstd", &zstd);
	export_to(f, LAYOUT_OCI_DIR, "src", "all", &all);
	sh(f,
	   "S='skopeo --insecure-policy copy -q'; $S oci:src:1.0 oci-archive:a.tar:latest; "
	   "$S oci:src:1.0 docker-archive:d.tar:app:2; $S oci:src:1.0 oci:out:r.io/x:1; "
	   "$S --all oci:src:all oci:out:all; $S oci:src:zstd oci:out:zstd");
	import_from(f, LAYOUT_OCI_ARCHIVE, "a.tar", "latest", &amd64, &got);
	assert_true(digest_equal(&got.digest, &root.digest));
	import_from(f, LAYOUT_OCI_DIR, "out", "r.io/x:1", &amd64, &got);
	assert_true(digest_equal(&got.digest, &root.digest));
	import_from(f, LAYOUT_OCI_DIR, "out", "zstd", &amd64, &got);
	assert_true(digest_equal(&got.digest, &zstd.digest));
	import_from(f, LAYOUT_OCI_DIR, "out", "all", &arm64, &got);
	assert_true(digest_equal(&got.digest, &all.digest));
	import_from(f, LAYOUT_DOCKER_ARCHIVE, "d.tar", NULL, &amd64, &got);
	import_from(f, LAYOUT_DOCKER_ARCHIVE, "d.tar", "docker.io/library/app:2", &amd64,
		    &got);
	import_fails(f, LAYOUT_DOCKER_ARCHIVE, "d.tar", "app:3", ERR_NOT_FOUND,
		     "library/app:2");
}

/* As Docker wrote them up to version 24: a directory a layer, and links where images
 * share one. */
static void old_docker_archives_share_layers_by_links(void **state)
{
	struct fixture *f = *state;
	struct descriptor root = make_image(f, &amd64, "hello", CODEC_NONE, true), got;

	export_to(f, LAYOUT_DOCKER_ARCHIVE, "d.tar", "a:1", &root);
	sh(f,
	   "mkdir x && cd x && tar -xf ../d.tar && set -- $(jq -r '.[0].Layers[]' manifest.json) && "
	   "mkdir l1 l2 l3 && mv $1 l1/layer.tar && mv $2 l2/layer.tar && "
	   "ln -s ../l1/layer.tar l3/layer.tar && "
	   "jq -c '.[0].Layers = [\"l1/layer.tar\",\"l2/layer.tar\",\"l3/layer.tar\"] | "
	   ".[1] = .[0] | .[1].RepoTags = [\"b:1\"]' manifest.json > m && mv m manifest.json && "
	   "tar -cf ../old.tar *");
	import_from(f, LAYOUT_DOCKER_ARCHIVE, "old.tar", "b:1", &amd64, &got);
	assert_true(digest_equal(&got.digest, &root.digest));
	import_fails(f, LAYOUT_DOCKER_ARCHIVE, "old.tar", NULL, ERR_INVALID, "a:1, b:1");
	sh(f, "cd x && ln -sf ../../../etc/passwd l3/layer.tar && tar -cf ../bad.tar *");
	import_fails(f, LAYOUT_DOCKER_ARCHIVE, "bad.tar", "a:1", ERR_NOT_FOUND,
		     "missing");
	sh(f, "cd x && ln -sf layer.tar l3/layer.tar && tar -cf ../loop.tar *");
	import_fails(f, LAYOUT_DOCKER_ARCHIVE, "loop.tar", "a:1", ERR_INVALID,
		     "chain of links");
	sh(f, "cd x && rm l3/layer.tar && cp l2/layer.tar l3/ && tar -cf ../wrong.tar *");
	import_fails(f, LAYOUT_DOCKER_ARCHIVE, "wrong.tar", "a:1", ERR_CORRUPT,
		     "layer 3");
	sh(f, "cd x && tar -cf ../dup.tar * && tar -rf ../dup.tar manifest.json");
	import_fails(f, LAYOUT_DOCKER_ARCHIVE, "dup.tar", "a:1", ERR_INVALID,
		     "in it twice");
}

static void compressed_layers_of_an_archive_must_be_what_the_configuration_says(
	void **state)
{
	struct fixture *f = *state;
	struct descriptor root = make_image(f, &amd64, "hello", CODEC_GZIP, false);

	export_to(f, LAYOUT_DOCKER_ARCHIVE, "d.tar", "a:1", &root);
	sh(f,
	   "mkdir x && cd x && tar -xf ../d.tar && jq -c '.[0].Layers |= reverse' manifest.json > m "
	   "&& mv m manifest.json && tar -cf ../bad.tar *");
	import_fails(f, LAYOUT_DOCKER_ARCHIVE, "bad.tar", NULL, ERR_CORRUPT, "diff ID");
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
		TEST(skopeo_and_umoci_read_what_we_write),
		TEST(we_read_what_skopeo_writes),
		TEST(old_docker_archives_share_layers_by_links),
		TEST(compressed_layers_of_an_archive_must_be_what_the_configuration_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
