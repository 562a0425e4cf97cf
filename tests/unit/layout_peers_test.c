/* Layouts and archives: written by us and read by skopeo and umoci; written by skopeo and
 * tar and read by us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/images.h"

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
		TEST(skopeo_and_umoci_read_what_we_write),
		TEST(we_read_what_skopeo_writes),
		TEST(old_docker_archives_share_layers_by_links),
		TEST(compressed_layers_of_an_archive_must_be_what_the_configuration_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
