/* The file system of an image as a tar file and as a directory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "unit/unpacking.h"

static void upper_layers_replace_and_hide(void **state)
{
	struct fixture *f = *state;

	layer(f,
	      "d:a f:a/gone=1 f:a/kept=2 d:dir f:dir/x=3 f:file=4 d:opq f:opq/old=5 l:link>a");
	layer(f, "w:a/gone f:dir=6 d:file f:file/in=7 o:opq f:opq/new=8 f:link=9");
	layer(f, "w:dir f:a/more=10");
	merges_to(
		f,
		"d:a f:a/kept=2 f:a/more=10 d:file f:file/in=7 f:link=9 d:opq f:opq/new=8");
}

static void a_name_may_change_its_type_in_each_layer(void **state)
{
	struct fixture *f = *state;

	layer(f, "f:a=1 d:b f:b/deep=2 l:c>b");
	layer(f, "d:a f:a/in=3 f:b=4 d:c f:c/own=5");
	layer(f, "f:a=6 d:b f:b/other=7 l:c>a");
	merges_to(f, "f:a=6 d:b f:b/other=7 l:c>a");
}

static void directories_without_an_entry_are_made(void **state)
{
	struct fixture *f = *state;

	layer(f, "f:a/b/c/file=1 f:a/b-c=2 f:a/b/d=3 f:e/f=4");
	merges_to(f, "d:a d:a/b f:a/b-c=2 d:a/b/c f:a/b/c/file=1 f:a/b/d=3 d:e f:e/f=4");
}

static void names_go_through_symlinks_of_lower_layers(void **state)
{
	struct fixture *f = *state;

	layer(f,
	      "l:bin>usr/bin l:lib>/usr/lib d:usr d:usr/bin f:usr/bin/sh=1 d:usr/lib f:usr/lib/old=2 "
	      "l:usr/self>../lib");
	layer(f,
	      "f:bin/env=3 w:lib/old f:lib/sub/new=4 f:usr/self/through=5 h:bin/hard>bin/sh");
	merges_to(
		f,
		"l:bin>usr/bin l:lib>/usr/lib d:usr d:usr/bin f:usr/bin/env=3 f:usr/bin/hard=1 "
		"h:usr/bin/sh>usr/bin/hard d:usr/lib d:usr/lib/sub f:usr/lib/sub/new=4 "
		"f:usr/lib/through=5 l:usr/self>../lib");
}

static void an_opaque_mark_goes_through_a_symlink_too(void **state)
{
	struct fixture *f = *state;

	layer(f, "l:lib>usr/lib d:usr d:usr/lib f:usr/lib/a=1 f:usr/b=2");
	layer(f, "o:lib f:lib/c=3");
	merges_to(f, "l:lib>usr/lib d:usr f:usr/b=2 d:usr/lib f:usr/lib/c=3");
}

static void a_symlink_that_a_layer_takes_away_leads_nowhere(void **state)
{
	struct fixture *f = *state;

	layer(f, "l:lib>usr/lib d:usr d:usr/lib f:usr/lib/a=1");
	layer(f, "w:lib d:lib f:lib/a=2");
	merges_to(f, "d:lib f:lib/a=2 d:usr d:usr/lib f:usr/lib/a=1");
}

static void symlinks_that_moved_are_followed_as_well(void **state)
{
	struct fixture *f = *state;

	layer(f, "l:lib>usr/lib d:usr d:usr/lib");
	layer(f, "l:lib/now>v2 f:lib/now/x=1");
	merges_to(
		f,
		"l:lib>usr/lib d:usr d:usr/lib l:usr/lib/now>v2 d:usr/lib/v2 f:usr/lib/v2/x=1");
}

static void hard_links_are_kept(void **state)
{
	struct fixture *f = *state;

	layer(f, "f:m=one h:z>m h:a>z f:solo=x");
	layer(f, "h:up>solo h:up2>m");
	merges_to(f, "f:a=one h:m>a f:solo=x h:up>solo h:up2>a h:z>a");
}

static void a_replaced_name_leaves_the_other_names_their_content(void **state)
{
	struct fixture *f = *state;

	layer(f, "f:a=old h:b>a h:c>a");
	layer(f, "f:a=new");
	layer(f, "w:b");
	merges_to(f, "f:a=new f:c=old");
}

static void other_things_with_two_names_become_two(void **state)
{
	struct fixture *f = *state;

	layer(f, "l:soft>x h:again>soft p:fifo h:fifo2>fifo");
	merges_to(f, "l:again>x p:fifo p:fifo2 l:soft>x");
}

static void an_image_without_layers_is_empty(void **state)
{
	merges_to(*state, "");
}

static void of_one_name_twice_in_a_layer_the_last_counts(void **state)
{
	struct fixture *f = *state;

	layer(f, "f:a=first f:b=other f:a=second f:a=last!");
	merges_to(f, "f:a=last! f:b=other");
}

/* A tree by real tools, in two layers, compressed each in its way. */
static void real_tree(struct fixture *f)
{
	static const char *const types[] = { MEDIA_OCI_LAYER_GZIP, MEDIA_OCI_LAYER_ZSTD };
	static const char *const names[] = { "1.tar", "2.tar" }, *const packed[] = {
		"1.gz", "2.zst"
	};
	struct err e;

	run(f,
	    "mkdir -p t/etc t/usr/bin t/var/empty t/odd; cp /bin/ls t/usr/bin/; ln t/usr/bin/ls t/usr/bin/dir;"
	    "echo root > t/etc/passwd; ln -s ../etc/passwd t/usr/link; mkfifo t/odd/fifo; printf x > "
	    "\"t/odd/$(printf 'n\\377\\nl')\"; truncate -s 300000 t/odd/sparse; echo y | dd of=t/odd/sparse "
	    "bs=1 seek=200000 conv=notrunc 2>&1; chmod 1777 t/odd; chmod 0500 t/var/empty; chmod 04711 "
	    "t/usr/bin/ls; setfattr -n user.note -v hello t/etc/passwd; touch t/etc/ro; chmod 0444 t/etc/ro;"
	    "find t -exec touch -hd '2001-02-03 04:05:06' {} +;"
	    "tar -C t --xattrs --sort=name --sparse --format=pax -cf 1.tar .; gzip -k -c 1.tar > 1.gz;"
	    "rm t/usr/link; mkdir t/usr/link; touch t/usr/link/in t/usr/.wh.gone;"
	    "tar -C t --sort=name -cf 2.tar usr/link usr/.wh.gone; zstd -q -c 2.tar > 2.zst;"
	    "chmod 700 t/var/empty; rm -rf t");
	for (int i = 0; i < 2; i++) {
		AUTO_BUF plain = BUF_INIT;
		AUTO_BUF blob = BUF_INIT;
		struct digest d;

		assert_int_equal(file_read(f->fd, names[i], &plain, 64 << 20, &e), 0);
		assert_int_equal(file_read(f->fd, packed[i], &blob, 64 << 20, &e), 0);
		digest_of(&d, plain.s, plain.len);
		add_blob(f, blob.s, blob.len, types[i], &d);
	}
	run(f, "rm 1.tar 2.tar 1.gz 2.zst");
}

/* An OCI layout around the store, as others read it. */
static void make_layout(struct fixture *f)
{
	struct manifest *m = &f->image.manifest;
	AUTO_BUF body = BUF_INIT;
	AUTO_BUF index = BUF_INIT;
	struct digest d;
	struct err e;

	config_write(&f->image.config, &body);
	assert_int_equal(blobs_put(f->blobs, body.s, body.len, &m->config.digest, &e), 0);
	strcpy(m->config.media_type, MEDIA_OCI_CONFIG);
	m->config.size = (int64_t)body.len;
	buf_reset(&body);
	manifest_write(m, &body);
	assert_int_equal(blobs_put(f->blobs, body.s, body.len, &d, &e), 0);
	buf_addf(
		&index,
		"{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" MEDIA_OCI_MANIFEST
		"\",\"digest\":\"%s\",\"size\":%zu,\"annotations\":"
		"{\"org.opencontainers.image.ref.name\":\"t\"}}]}",
		DIGEST_STR(&d), body.len);
	assert_int_equal(
		file_replace(f->store_fd, "index.json", index.s, index.len, 0644, &e), 0);
	assert_int_equal(file_replace(f->store_fd, "oci-layout",
	                              "{\"imageLayoutVersion\":\"1.0.0\"}", 30, 0644, &e),
	                 0);
}

static void umoci_agrees(void **state)
{
	AUTO_BUF ours = BUF_INIT;
	AUTO_BUF theirs = BUF_INIT;
	struct fixture *f = *state;
	struct err e;

	if (system("command -v umoci >/dev/null") != 0)
		skip();
	layer(f,
	      "d:etc f:etc/a=1 h:etc/b>etc/a l:lib>usr/lib d:usr d:usr/lib f:usr/lib/x=2 p:usr/fifo");
	layer(f, "d:usr w:usr/fifo w:lib/x f:etc/a=3 d:new f:new/f=4");
	make_layout(f);
	run(f, "umoci unpack --rootless --image store:t bundle");
	assert_int_equal(unpack_dir(f->blobs, &f->image, f->fd, "fs", NULL, &e), 0);
	run(f,
	    "touch -d @0 fs bundle/rootfs; setfattr -x user.rootlesscontainers fs 2>/dev/null || true");
	list_dir(f, "fs", &ours);
	list_dir(f, "bundle/rootfs", &theirs);
	assert_string_equal(ours.s, theirs.s);
}

static void gnu_tar_and_we_extract_the_same(void **state)
{
	AUTO_BUF got = BUF_INIT;
	AUTO_BUF theirs = BUF_INIT;
	struct fixture *f = *state;
	struct err e;

	real_tree(f);
	assert_int_equal(unpack_dir(f->blobs, &f->image, f->fd, "fs", NULL, &e), 0);
	assert_int_equal(unpack_tar(f->blobs, &f->image, f->fd, "fs.tar", &e), 0);
	run(f,
	    "mkdir gnu; tar -C gnu --numeric-owner --xattrs --xattrs-include='*' --delay-directory-restore -pxf fs.tar");
	list_dir(f, "fs", &got);
	list_dir(f, "gnu", &theirs);
	assert_string_equal(got.s, theirs.s);
	run(f,
	    "test $(stat -c %h fs/usr/bin/dir) = 2 && cmp fs/usr/bin/ls /bin/ls && test -p fs/odd/fifo &&"
	    "test $(stat -c %a fs/var/empty) = 500 && test $(stat -c %a fs/usr/bin/ls) = 4711 &&"
	    "test $(stat -c %Y fs/odd) = $(date -d '2001-02-03 04:05:06' +%s) && test -f fs/usr/link/in");
}

static void the_tar_is_the_same_each_time(void **state)
{
	struct fixture *f = *state;
	struct err e;

	real_tree(f);
	assert_int_equal(unpack_tar(f->blobs, &f->image, f->fd, "1", &e), 0);
	run(f, "cp 1 2; echo longer >> 2");
	assert_int_equal(unpack_tar(f->blobs, &f->image, f->fd, "2", &e), 0);
	run(f,
	    "cmp 1 2 && test $(stat -c %a 1) = 644 && rm 1 2 && test \"$(ls | grep -v out.log)\" = store");
}

static void a_directory_in_use_is_left_alone(void **state)
{
	struct fixture *f = *state;
	struct err e;

	layer(f, "f:a=1");
	run(f, "mkdir full empty; touch full/mine file");
	assert_int_equal(unpack_dir(f->blobs, &f->image, f->fd, "full", NULL, &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	assert_int_equal(unpack_dir(f->blobs, &f->image, f->fd, "file", NULL, &e), -1);
	assert_int_equal(e.code, ERR_EXISTS);
	assert_int_equal(unpack_dir(f->blobs, &f->image, f->fd, "no/where", NULL, &e),
	                 -1);
	assert_int_equal(unpack_dir(f->blobs, &f->image, f->fd, "empty/", NULL, &e), 0);
	assert_int_equal(unpack_tar(f->blobs, &f->image, f->fd, "full", &e), -1);
	run(f,
	    "test \"$(ls full)\" = mine && test $(cat empty/a) = 1 && ! ls -d *.tmp.*");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(upper_layers_replace_and_hide),
		TEST(a_name_may_change_its_type_in_each_layer),
		TEST(directories_without_an_entry_are_made),
		TEST(names_go_through_symlinks_of_lower_layers),
		TEST(an_opaque_mark_goes_through_a_symlink_too),
		TEST(a_symlink_that_a_layer_takes_away_leads_nowhere),
		TEST(symlinks_that_moved_are_followed_as_well),
		TEST(hard_links_are_kept),
		TEST(a_replaced_name_leaves_the_other_names_their_content),
		TEST(other_things_with_two_names_become_two),
		TEST(an_image_without_layers_is_empty),
		TEST(of_one_name_twice_in_a_layer_the_last_counts),
		TEST(umoci_agrees),
		TEST(gnu_tar_and_we_extract_the_same),
		TEST(the_tar_is_the_same_each_time),
		TEST(a_directory_in_use_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
