/* Layers unpacked one by one show, under overlayfs, what applying one after the other
 * gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "sandbox/copy.h"
#include "unit/sandboxing.h"

/* All but directories' times and numbers of links, in which merging takes other
 * liberties. */
#define LISTING                                                                                                                \
	"find . -mindepth 1 \\( -type d -printf '%%P %%y %%m %%U %%G\\n' -o -type f -printf '%%P %%y %%m %%U %%G %%s %%T@\\n'" \
	" -exec sha256sum {} + -o -printf '%%P %%y %%m %%U %%G %%l\\n' \\) | LC_ALL=C sort"

#define LIST_ROOTFS                                                                                          \
	"(cd store/rootfs && { find . ! -name '*.lock' -mindepth 2 -printf '%P %y %m %U %G %n %s %T@ %l\n';" \
	" find . -type f ! -name '*.lock' -exec sha256sum {} +; } | LC_ALL=C sort)"

/* Without a mount, the same. */
static void shows_copied(struct fixture *f, const struct unpacked *u)
{
	struct copy_options o = {
		.lower = (const char *const *)u->l.paths.at,
		.n_lower = u->l.paths.len,
	};
	AUTO_BUF upper = BUF_INIT;
	AUTO_BUF script = BUF_INIT;
	struct err e;

	run(f, "mkdir copy");
	buf_addf(&upper, "%s/copy", f->dir);
	o.upper = upper.s;
	if (copy_layers(&o, &e) < 0)
		fail_msg("%s", e.msg);
	buf_addf(&script,
	         "(cd copy && " LISTING ") >copy.list; diff -u fs.list copy.list");
	run(f, script.s);
}

static void shows(struct fixture *f)
{
	AUTO_BUF script = BUF_INIT;
	struct unpacked u;
	struct err e;

	if (geteuid() != 0)
		skip();
	if (unpack_dir(f->blobs, &f->image, f->fd, "fs", NULL, &e) < 0)
		fail_msg("%s", e.msg);
	unpacked_open(&u, f, NULL);
	buf_addf(&script, "(cd m && " LISTING ") >m.list; (cd fs && " LISTING
	                  ") >fs.list; diff -u fs.list m.list");
	with_mount(&u, script.s);
	shows_copied(f, &u);
	unpacked_fini(&u);
}

static void what_layers_say_replaces_what_is_below(void **state)
{
	layer(*state, "d:etc f:etc/a=1 f:etc/b=2 d:d f:d/x=1 l:s>etc/a");
	layer(*state, "f:etc/a=new l:d>etc f:s=file");
	layer(*state, "w:d d:d2 f:d2/y=1 p:fifo");
	shows(*state);
}

static void whiteouts_and_opaque_directories_hide(void **state)
{
	layer(*state, "d:a f:a/x=1 f:a/y=2 d:b f:b/x=1 d:c f:c/x=1 d:c/d f:c/d/e=1");
	layer(*state, "w:a/x d:b o:b f:b/new=1 o:c w:nothing w:no/such/thing");
	layer(*state, "f:a/x=again");
	shows(*state);
}

static void a_directory_made_anew_hides_the_old_one(void **state)
{
	layer(*state, "d:a f:a/x=1 d:b f:b/x=1 f:c=1");
	layer(*state, "w:a d:a f:a/y=2 w:b f:b/z=3 w:c d:c f:c/x=1");
	shows(*state);
}

/* The one in the middle hides what is below from the one above. */
static void a_directory_made_anew_a_layer_later_hides_the_old_one(void **state)
{
	layer(*state, "d:a f:a/x=1 d:b f:b/x=1 d:c f:c/d/x=1");
	layer(*state, "w:a f:b=file w:c/d");
	layer(*state, "d:a f:a/y=2 d:b f:b/y=2 f:c/d/y=2");
	shows(*state);
}

static void names_go_through_symlinks_of_layers_below(void **state)
{
	layer(*state, "d:usr d:usr/lib f:usr/lib/old=1 f:usr/lib/gone=1 l:lib>usr/lib");
	layer(*state, "f:lib/new=2 w:lib/gone f:lib/old=changed h:lib/hard>lib/new");
	shows(*state);
}

static void a_layer_links_files_of_those_below(void **state)
{
	layer(*state, "d:a f:a/x=content f:a/y=other");
	layer(*state, "h:link>a/x h:a/again>a/x h:b>a/y");
	layer(*state, "f:a/x=changed h:c>b");
	shows(*state);
}

static void directories_without_an_entry_are_as_they_were(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF tar = BUF_INIT;
	char block[512];

	tar_block(block, "tmp/", '5', 0);
	memcpy(block + FIELD_MODE, "0001777", 8);
	tar_put(&tar, block, NULL, 0);
	add_layer(f, &tar);
	layer(f, "f:tmp/x=1 f:var/lib/y=2");
	shows(f);
}

static void a_layer_is_unpacked_once(void **state)
{
	struct fixture *f = *state;
	struct unpacked u, again;
	struct stat st, st2;

	layer(f, "f:a=1");
	layer(f, "f:b=1");
	layer(f, "f:a=1");
	unpacked_open(&u, f, NULL);
	unpacked_open(&again, f, NULL);
	assert_int_equal(u.l.paths.len, 2); /* the third is the first */
	assert_string_equal(u.l.paths.at[0], again.l.paths.at[0]);
	assert_int_equal(stat(u.l.paths.at[1], &st), 0);
	unpacked_fini(&again);
	unpacked_fini(&u);
	unpacked_open(&u, f, NULL);
	assert_int_equal(stat(u.l.paths.at[1], &st2), 0);
	assert_int_equal(st.st_ino, st2.st_ino);
	assert_int_equal(st.st_ctim.tv_nsec, st2.st_ctim.tv_nsec);
	unpacked_fini(&u);
	run(f, "test $(ls store/rootfs | wc -l) = 4");
}

static void a_directory_depends_on_those_below_only_where_it_must(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *plain = NULL, *linked = NULL;
	struct unpacked u;

	layer(f, "d:usr d:usr/lib d:lib");
	layer(f, "f:lib/x=1");
	layer(f, "d:etc f:etc/x=1");
	unpacked_open(&u, f, NULL);
	plain = mem_strdup(u.l.paths.at[2]);
	linked = mem_strdup(u.l.paths.at[1]);
	unpacked_fini(&u);
	f->image.manifest.n_layers = 0;
	layer(f, "d:usr d:usr/lib l:lib>usr/lib");
	layer(f, "f:lib/x=1");
	layer(f, "d:etc f:etc/x=1");
	unpacked_open(&u, f, NULL);
	assert_string_equal(plain, u.l.paths.at[2]);
	assert_string_not_equal(linked, u.l.paths.at[1]);
	unpacked_fini(&u);
}

static void refused(struct unpacked *u, enum err_code code, const char *why)
{
	struct err e;

	assert_int_equal(layers_open(&u->l, &u->o, &e), -1);
	if (e.code != code || !strstr(e.msg, why))
		fail_msg("%d %s", e.code, e.msg);
	run(u->f, "! ls store/rootfs 2>/dev/null | grep -v lock$");
	unpacked_fini(u);
}

static void wrong_diff_ids_tables_and_bytes_are_refused(void **state)
{
	struct fixture *f = *state;
	struct unpacked u;
	struct toc_entry more = {
		.path = "more", .type = TOC_SYMLINK, .link = "x", .mode = 0777
	};
	char hex[DIGEST_HEX + 1];
	AUTO_BUF script = BUF_INIT;

	layer(f, "f:a=1");
	unpacked_init(&u, f, NULL);
	u.items[0].diff_id.b[0] ^= 1;
	refused(&u, ERR_CORRUPT, "instead of");
	unpacked_init(&u, f, NULL);
	toc_add(&u.tables[0], &more);
	toc_sort(&u.tables[0]);
	refused(&u, ERR_CORRUPT, "table of contents");
	unpacked_init(&u, f, NULL);
	buf_addf(
		&script,
		"chmod u+w store/blobs/sha256/*; printf X | dd of=store/blobs/sha256/%s bs=1 seek=512 conv=notrunc",
		digest_hex(&f->layers[0].digest, hex));
	run(f, script.s);
	refused(&u, ERR_CORRUPT, "");
	assert_false(blobs_has(f->blobs, &f->layers[0].digest, NULL));
}

static void marks_of_overlayfs_cannot_be_smuggled_in(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF tar = BUF_INIT;
	struct unpacked u;

	layer(f, "d:d f:d/x=1 f:e=1");
	tar_pax(&tar, "SCHILY.xattr.trusted.overlay.opaque", "y");
	tar_add(&tar, "d", '5', NULL, 0);
	tar_pax(&tar, "SCHILY.xattr.user.overlay.whiteout", "y");
	tar_add(&tar, "e", '0', NULL, 0);
	add_layer(f, &tar);
	if (geteuid() != 0)
		skip();
	unpacked_open(&u, f, NULL);
	with_mount(
		&u,
		"test -e m/d/x && test -e m/e && ! getfattr -dR -m overlay store/rootfs | grep .");
	unpacked_fini(&u);
}

static void a_full_disk_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct rlimit small = { 1 << 20, 0 }, before;
	AUTO_BUF tar = BUF_INIT;
	AUTO_BUF big = BUF_INIT;
	struct unpacked u;
	struct err e;

	for (int i = 0; i < 2 << 20; i++)
		buf_addc(&big, 'x');
	tar_add(&tar, "big", '0', big.s, big.len);
	add_layer(f, &tar);
	layer(f, "f:a=1");
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	unpacked_init(&u, f, NULL);
	assert_int_equal(layers_open(&u.l, &u.o, &e), -1);
	assert_int_equal(e.sys, EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	unpacked_fini(&u);
	run(f, "! test -e store/rootfs/*/big");
	unpacked_open(&u, f, NULL);
	unpacked_fini(&u);
	run(f, "test -e store/rootfs/*/big");
}

static void what_was_not_finished_is_made_anew(void **state)
{
	struct fixture *f = *state;
	struct unpacked u;

	layer(f, "f:a=1");
	unpacked_open(&u, f, NULL);
	unpacked_fini(&u);
	/* As kill -9 would leave it; then as a loss of power would. */
	run(f,
	    "cd store/rootfs && truncate -s0 *.lock && rm *-root/a && mkdir -p $(echo *-root)/junk/deep");
	unpacked_open(&u, f, NULL);
	unpacked_fini(&u);
	run(f, "test $(ls store/rootfs/*-root) = a");
	run(f,
	    "cd store/rootfs && echo boot other >$(ls *.lock) && truncate -s0 *-root/a");
	unpacked_open(&u, f, NULL);
	unpacked_fini(&u);
	run(f, "test $(cat store/rootfs/*-root/a) = 1");
}

/* Only when nobody has much to be written, which is for others to say. */
static void what_is_long_written_back_is_made_durable(void **state)
{
	struct fixture *f = *state;
	struct unpacked u;
	AUTO_BUF text = BUF_INIT;
	struct err e;

	layer(f, "f:a=1");
	unpacked_open(&u, f, NULL);
	unpacked_fini(&u);
	run(f,
	    "grep -q ^boot store/rootfs/*.lock && touch -d '1 hour ago' store/rootfs/*.lock");
	for (int i = 0; i < 20; i++) {
		sync();
		unpacked_open(&u, f, NULL);
		unpacked_fini(&u);
		buf_reset(&text);
		run(f, "cp store/rootfs/*.lock said");
		if (file_read(f->fd, "said", &text, 100, &e) < 0)
			fail_msg("%s", e.msg);
		if (!strcmp(text.s, "durable\n"))
			return;
		assert_memory_equal(text.s, "boot ", 5);
	}
	skip();
}

/* Scanned with its files put beside: of those a part is there when it is unpacked. */
static void unpacks_from(struct fixture *f, struct layer_files **files,
                         const char *meanwhile)
{
	struct unpacked u;
	struct err e;

	unpacked_init(&u, f, NULL);
	*files = scan_beside(&u, 1);
	run(f, meanwhile);
	if (layers_open(&u.l, &u.o, &e) < 0)
		fail_msg("%s", e.msg);
	unpacked_fini(&u);
}

/* The second layer is unpacked without and with what the scan put beside: `meanwhile`
 * runs before that is done, `then` after it. */
static void same_from_the_scan(struct fixture *f, const char *meanwhile, const char *then)
{
	struct layer_files *files;
	struct unpacked u;

	unpacked_open(&u, f, NULL);
	unpacked_fini(&u);
	run(f, LIST_ROOTFS " >plain; rm -r store/rootfs");
	unpacks_from(f, &files, meanwhile);
	run(f, LIST_ROOTFS " | diff plain -");
	run(f, then);
	layer_files_free(files);
	run(f, "test ! -e store/files1 && rm -r store/rootfs");
}

static void files_of_the_scan_need_no_second_reading(void **state)
{
	struct fixture *f = *state;

	layer(f, "d:usr d:usr/lib f:usr/lib/old=1 l:lib>usr/lib");
	layer(f, "f:lib/a=one f:lib/b=two f:c=three f:empty= h:d>lib/a d:x");
	same_from_the_scan(f, "test $(find store/files1 -type f | wc -l) = 4",
	                   "test -z \"$(find store/files1 -type f)\"");
	same_from_the_scan(f, "rm store/files1/c store/files1/lib/a", "true");
	same_from_the_scan(f, "rm -r store/files1/*", "true");
}

/* "b" sorts before the file that it is a link to; "new" has no entry of its own. */
static void a_layer_of_nothing_odd_is_moved_whole(void **state)
{
	struct fixture *f = *state;

	layer(f, "d:usr d:usr/lib f:usr/lib/old=1 d:etc f:etc/a=1");
	layer(f,
	      "d:usr d:usr/lib f:usr/lib/a=one w:usr/gone f:z=2 h:b>z h:usr/c>usr/lib/a "
	      "f:new/deep/file=3 l:s>z");
	same_from_the_scan(f, "stat -c %i store/files1/usr/lib >inode",
	                   "test -z \"$(ls store/files1)\" &&"
	                   " stat -c %i store/rootfs/*/usr/lib | grep -qx $(cat inode)");
	same_from_the_scan(f, "rm -r store/files1/*", "true");
}

/* Only the layer itself says which one counts. */
static void names_that_come_twice_are_read_once_more(void **state)
{
	static const char *const odd[] = {
		"f:c=gone f:c=three", "f:a=1 h:b>a f:b=2", "f:c=1 d:c f:c/x=2",
		"d:c l:c>x",          "f:a=1 f:c=1 h:c>a",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		AUTO_BUF spec = BUF_INIT;

		f->image.manifest.n_layers = 0;
		layer(f, "f:below=1");
		buf_addf(&spec, "%s f:other=2", odd[i]);
		layer(f, spec.s);
		same_from_the_scan(f, "true", "true");
	}
}

/* The lower one, whose whiteout hides nothing, has a directory of its own. Both want the
 * same files, at once. */
static void a_layer_that_is_there_twice_gets_its_files_twice(void **state)
{
	struct fixture *f = *state;
	struct layer_files *files[LAYERS_MAX];
	AUTO_BUF twice = BUF_INIT;
	struct unpacked u;
	struct err e;

	for (int i = 0; i < 300; i++)
		buf_addf(&twice, "f:a%d=%d ", i, i);
	buf_adds(&twice, "w:y");
	layer(f, twice.s);
	layer(f, "f:y=1");
	layer(f, twice.s);
	for (int i = 0; i < 10; i++) {
		unpacked_init(&u, f, NULL);
		scan_all_beside(&u, files);
		if (layers_open(&u.l, &u.o, &e) < 0)
			fail_msg("%s", e.msg);
		unpacked_fini(&u);
		for (size_t k = 0; k < 3; k++)
			layer_files_free(files[k]);
		run(f, "test $(find store/rootfs -type f -name 'a*' | wc -l) = 600 &&"
		       " rm -r store/rootfs");
	}
}

/* Beside, on a disk that has room for two more names. */
static int scan_on_full_disk(void *arg, struct err *e)
{
	struct fixture *f = arg;
	struct layer_files *files;
	struct toc table = TOC_INIT;
	struct digest diff_id;
	struct fd_source in;
	AUTO_BUF path = BUF_INIT;
	int dir, rc;

	run(f, "mkdir small");
	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(e, "unshare");
	run(f, "mount --make-rprivate / 2>/dev/null; "
	       "mount -t tmpfs -o nr_inodes=4 tmpfs $PWD/small");
	buf_addf(&path, "%s/small", f->dir); /* the fd is of the other namespace */
	dir = open(path.s, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd_source_init(&in, blobs_get(f->blobs, &f->layers[0].digest, NULL, e), "layer");
	if (layer_files_new(&files, dir, "files", e) < 0)
		return -1;
	rc = layer_scan_files(&in.source, CODEC_NONE, files, &table, &diff_id, e);
	layer_files_free(files);
	return rc;
}

static void a_scan_on_a_full_disk_says_so(void **state)
{
	struct sandbox none = { -1 };
	struct err e;

	if (geteuid() != 0)
		skip();
	layer(*state, "f:a/b/c/d=1");
	assert_int_equal(call_inside(&none, scan_on_full_disk, *state, &e), -1);
	if (!strstr(e.msg, "create a file in files: No space left"))
		fail_msg("%s", e.msg);
}

static void files_of_the_scan_get_owners_modes_and_times_as_others_do(void **state)
{
	struct fixture *f = *state;
	struct layer_files *files;
	AUTO_BUF tar = BUF_INIT;
	struct unpacked u;
	struct err e;

	run(f,
	    "mkdir t && cd t && for m in 0 444 600 644 755 1755 2711 4755; do"
	    " echo $m >m$m; echo $m >o$m; chmod $m m$m;"
	    " [ $(id -u) != 0 ] || chown 5:6 o$m; chmod $m o$m; touch -d @$m m$m; done;"
	    " tar --numeric-owner -cf ../t.tar * && cd .. && rm -r t");
	if (file_read(f->fd, "t.tar", &tar, 1 << 20, &e) < 0)
		fail_msg("%s", e.msg);
	layer(f, "f:below=1");
	add_layer(f, &tar);
	unpacked_open(&u, f, NULL);
	unpacked_fini(&u);
	run(f, LIST_ROOTFS " >plain; rm -r store/rootfs");
	unpacks_from(f, &files,
	             "cd store/files1 && test $(find . -type f -perm 755 | wc -l) = 2 &&"
	             " test $(find . -type f -perm 600 | wc -l) = 8");
	run(f, LIST_ROOTFS " | diff plain - && test -z \"$(find store/files1 -type f)\"");
	layer_files_free(files);
}

/* As a chain of steps opens them: each time one more. */
static void what_is_remembered_of_layers_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct layers_memory *m = layers_memory_new();
	struct unpacked u[3], again;
	struct err e;

	layer(f, "d:usr d:usr/lib f:usr/lib/old=1 l:lib>usr/lib");
	layer(f, "f:lib/new=2 h:lib/hard>lib/old w:lib/nothing");
	layer(f, "o:lib f:lib/last=3");
	for (size_t i = 0; i < 3; i++) {
		unpacked_init(&u[i], f, NULL);
		u[i].o.n = i + 1;
		u[i].o.memory = m;
		if (layers_open(&u[i].l, &u[i].o, &e) < 0)
			fail_msg("%s", e.msg);
		layers_close(&u[i].l);
	}
	run(f, "rm -rf known && cp -a store/rootfs known && rm -r store/rootfs");
	unpacked_init(&again, f, NULL);
	again.o.memory = m;
	if (layers_open(&again.l, &again.o, &e) < 0)
		fail_msg("%s", e.msg);
	unpacked_fini(&again);
	layers_memory_free(m);
	run(f, "diff -r known store/rootfs && rm -r store/rootfs");
	unpacked_open(&again, f, NULL);
	unpacked_fini(&again);
	run(f, "diff -r known store/rootfs && test -e store/rootfs/*/usr/lib/last");
	for (size_t i = 0; i < 3; i++) {
		u[i].o.n = 3;
		unpacked_fini(&u[i]);
	}
}

static void layers_in_use_are_not_swept(void **state)
{
	struct fixture *f = *state;
	struct inside ourselves = { 0 };
	struct unpacked u;
	size_t removed = 7;
	struct err e;

	layer(f, "f:a=1");
	unpacked_open(&u, f, NULL);
	assert_int_equal(
		layers_sweep(&u.store,
	                     &(struct layers_choice){ .before = time(NULL) - (-10),
	                                              .inside = &ourselves },
	                     &removed, &e),
		0);
	assert_int_equal(removed, 0);
	layers_close(&u.l);
	assert_int_equal(
		layers_sweep(&u.store,
	                     &(struct layers_choice){ .before = time(NULL) - (3600),
	                                              .inside = &ourselves },
	                     &removed, &e),
		0);
	assert_int_equal(removed, 0);
	assert_int_equal(
		layers_sweep(&u.store,
	                     &(struct layers_choice){ .before = time(NULL) - (-10),
	                                              .inside = &ourselves },
	                     &removed, &e),
		0);
	assert_int_equal(removed, 1);
	run(f, "test -z \"$(ls store/rootfs)\"");
	unpacked_fini(&u);
}

static void eight_at_once_make_it_once(void **state)
{
	struct fixture *f = *state;
	pid_t pids[8];
	int status;

	layer(f, "f:a=1");
	layer(f, "f:b=1");
	for (int i = 0; i < 8; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			struct unpacked u;

			unpacked_open(&u, f, NULL);
			run(f, "test $(ls store/rootfs/*-root | grep -c '^[ab]$') = 2");
			unpacked_fini(&u);
			_exit(0);
		}
	}
	for (int i = 0; i < 8; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
}

static struct sandbox user;

static void as_user(struct fixture *f)
{
	struct inside inside = { call_inside, &user };
	struct unpacked u;
	size_t removed;
	struct err e;

	unpacked_open(&u, f, &user);
	assert_int_equal(u.l.report.owners_skipped, 0);
	assert_int_equal(u.l.report.xattrs_skipped, 0);
	with_mount(
		&u,
		"test $(stat -c %u:%g:%a m/shut/in) = 1000:1000:4711 && test \"$(ls m/d)\" = new && ! test -e m/x &&"
		"getcap m/ping | grep cap_net_raw && ! ls m/d/gone");
	assert_int_equal(
		layers_sweep(&u.store,
	                     &(struct layers_choice){ .before = time(NULL) - (-10),
	                                              .inside = &inside },
	                     &removed, &e),
		0);
	assert_int_equal(removed, 0);
	layers_close(&u.l);
	if (layers_sweep(&u.store,
	                 &(struct layers_choice){ .before = time(NULL) - (-10),
	                                          .inside = &inside },
	                 &removed, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(removed, u.o.n);
	unpacked_fini(&u);
}

static void an_ordinary_user_unpacks_inside_a_user_namespace(void **state)
{
	static const char cap[] = "\1\0\0\2\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
	struct fixture *f = *state;
	AUTO_BUF tar = BUF_INIT;
	AUTO_BUF pax = BUF_INIT;
	char block[512];

	if (geteuid() != 0)
		skip();
	user.userns = make_userns(true);
	if (user.userns < 0)
		skip();
	tar_block(block, "shut/", '5', 0);
	memcpy(block + FIELD_MODE, "0000000", 8);
	tar_put(&tar, block, NULL, 0);
	tar_block(block, "shut/in", '0', 0);
	memcpy(block + FIELD_MODE,
	       "0004711\0"
	       "0001750\0"
	       "0001750\0",
	       24);
	tar_put(&tar, block, NULL, 0);
	add_layer(f, &tar);
	layer(f, "d:d f:d/gone=1 f:d/gone2=2 f:x=1");
	layer(f, "w:x o:d f:d/new=1");
	buf_reset(&tar);
	pax_record(&pax, "SCHILY.xattr.security.capability", cap, 20);
	tar_add(&tar, "pax", 'x', pax.s, pax.len);
	tar_add(&tar, "ping", '0', "x", 1);
	add_layer(f, &tar);
	as_nobody(f, as_user);
	close(user.userns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_layers_say_replaces_what_is_below),
		TEST(whiteouts_and_opaque_directories_hide),
		TEST(a_directory_made_anew_hides_the_old_one),
		TEST(a_directory_made_anew_a_layer_later_hides_the_old_one),
		TEST(names_go_through_symlinks_of_layers_below),
		TEST(a_layer_links_files_of_those_below),
		TEST(directories_without_an_entry_are_as_they_were),
		TEST(a_layer_is_unpacked_once),
		TEST(a_directory_depends_on_those_below_only_where_it_must),
		TEST(wrong_diff_ids_tables_and_bytes_are_refused),
		TEST(marks_of_overlayfs_cannot_be_smuggled_in),
		TEST(a_full_disk_leaves_nothing),
		TEST(what_was_not_finished_is_made_anew),
		TEST(what_is_long_written_back_is_made_durable),
		TEST(files_of_the_scan_need_no_second_reading),
		TEST(a_layer_of_nothing_odd_is_moved_whole),
		TEST(names_that_come_twice_are_read_once_more),
		TEST(a_layer_that_is_there_twice_gets_its_files_twice),
		TEST(a_scan_on_a_full_disk_says_so),
		TEST(files_of_the_scan_get_owners_modes_and_times_as_others_do),
		TEST(what_is_remembered_of_layers_changes_nothing),
		TEST(layers_in_use_are_not_swept),
		TEST(eight_at_once_make_it_once),
		TEST(an_ordinary_user_unpacks_inside_a_user_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
