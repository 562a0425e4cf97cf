/* What a step changed, told alike by overlayfs for root and for an ordinary user, by
 * fuse-overlayfs, and by a copy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "os/fd.h"
#include "sandbox/copy.h"
#include "sandbox/diff.h"
#include "unit/sandboxing.h"

enum { MTIME = 99 };

static struct sandbox range, single;
static struct strlist stubs;

static void tell_file(struct fixture *f, const char *upper, const struct toc_entry *t,
                      struct buf *out)
{
	AUTO_BUF path = BUF_INIT;
	AUTO_BUF data = BUF_INIT;
	struct digest d;
	struct err e;

	buf_addf(&path, "%s/%s", upper, t->path);
	if (file_read(f->fd, path.s, &data, 1 << 20, &e) < 0) /* as the packer will, from
	                                                         outside */
		fail_msg("%s", e.msg);
	digest_of(&d, data.s, data.len);
	assert_true(digest_equal(&d, &t->digest));
	assert_int_equal(t->size, data.len);
	buf_addf(out, "=%s", data.s);
}

/* "-gone d:etc f:etc/x=text l:link>text h:hard>target"; modes other than 644 (of
 * directories 755; those of layer() have 644) and owners other than 0. */
static void tell(struct fixture *f, const char *upper, const struct diff *d,
                 struct buf *out)
{
	for (size_t i = 0; i < d->removed.n; i++)
		buf_addf(out, "%s-%s", out->len ? " " : "", d->removed.at[i].path);
	for (size_t i = 0; i < d->entries.n; i++) {
		const struct toc_entry *t = &d->entries.at[i];

		buf_addf(out, "%s%c:%s", out->len ? " " : "", t->type, t->path);
		assert_int_equal(t->mtime, MTIME);
		if (t->type == TOC_FILE)
			tell_file(f, upper, t, out);
		if (t->link)
			buf_addf(out, ">%s", t->link);
		if (t->type != TOC_HARDLINK && t->type != TOC_SYMLINK &&
		    t->mode != (t->type == TOC_DIR ? 0755 : 0644))
			buf_addf(out, ",%o", t->mode);
		if (t->uid || t->gid)
			buf_addf(out, ",%u:%u", t->uid, t->gid);
		if (t->dev_major || t->dev_minor)
			buf_addf(out, ",%u:%u", t->dev_major, t->dev_minor);
		for (size_t k = 0; k < t->n_xattrs; k++)
			buf_addf(out, ",%s/%zu", t->xattrs[k].name, t->xattrs[k].size);
	}
}

static int diff(struct unpacked *u, const char *upper, enum diff_kind kind,
                struct diff *d, struct err *e)
{
	AUTO_CLOSE int fd = openat(u->f->fd, upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct diff_options o = {
		.upper = fd,
		.lower = layers_view(&u->l),
		.kind = kind,
		.stubs = &stubs,
		.mtime = MTIME,
		.inside = u->o.inside,
		.flat = u->o.inside.sandbox == &single,
		.no_devices = u->l.report.devices_skipped > 0,
	};

	assert_true(fd >= 0);
	return diff_read(d, &o, e);
}

static void told(struct unpacked *u, const char *upper, enum diff_kind kind,
                 const char *want, const char *how)
{
	AUTO_BUF got = BUF_INIT;
	struct diff d;
	struct err e;

	if (diff(u, upper, kind, &d, &e) < 0)
		fail_msg("%s: %s", how, e.msg);
	tell(u->f, upper, &d, &got);
	if (strcmp(got.s, want) != 0)
		fail_msg("%s:\n  got  %s\n  want %s", how, got.s, want);
	assert_int_equal(diff_is_empty(&d), !*want);
	diff_fini(&d);
}

static void clean(struct fixture *f)
{
	run(f,
	    "chmod -R u+rwx store/rootfs up work 2>/dev/null; rm -rf store/rootfs up work m fs copy");
}

static void make_upper(struct unpacked *u)
{
	struct toc_view v = layers_view(&u->l);
	struct err e;
	int fd;

	run(u->f, "mkdir up");
	fd = openat(u->f->fd, "up", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (layers_make_root(fd, &v, &u->o.inside, &e) < 0)
		fail_msg("%s", e.msg);
	close(fd);
}

static void in_overlay(struct fixture *f, struct sandbox *s, const char *script)
{
	AUTO_BUF text = BUF_INIT;
	struct unpacked u;

	unpacked_open(&u, f, s);
	make_upper(&u);
	buf_addf(&text, "cd m\n%s", script);
	with_mount(&u, text.s);
	unpacked_fini(&u);
}

/* After as_nobody. */
static void back_to_us(struct fixture *f)
{
	clean(f);
	if (geteuid() == 0)
		run(f, "chown -R 0:0 .");
}

struct expected {
	const char *script, *want, *flat;
} expected;

static void overlay_tells(struct fixture *f, struct sandbox *s, const char *want,
                          const char *how)
{
	struct unpacked u;

	clean(f);
	in_overlay(f, s, expected.script);
	unpacked_open(&u, f, s);
	told(&u, "up", s ? DIFF_OVERLAY_USER : DIFF_OVERLAY, want, how);
	unpacked_fini(&u);
}

static int copy(void *arg, struct err *e)
{
	return copy_layers(arg, e);
}

static int run_script(void *arg, struct err *e)
{
	const struct script *s = arg;

	(void)e;
	run(s->f, s->text);
	return 0;
}

static void copy_tells(struct fixture *f, struct sandbox *s, const char *want,
                       const char *how)
{
	AUTO_BUF text = BUF_INIT, upper = BUF_INIT;
	struct script script = { f, NULL };
	struct copy_options o;
	struct unpacked u;
	struct err e;

	clean(f);
	unpacked_open(&u, f, s);
	make_upper(&u);
	buf_addf(&upper, "%s/up", f->dir);
	o = (struct copy_options){ .lower = (const char *const *)u.l.paths.at,
		                   .n_lower = u.l.paths.len,
		                   .upper = upper.s };
	buf_addf(&text, "cd up\n%s", expected.script);
	script.text = text.s;
	if (inside_call(&u.o.inside, copy, &o, &e) < 0 ||
	    inside_call(&u.o.inside, run_script, &script, &e) < 0)
		fail_msg("%s: %s", how, e.msg);
	told(&u, "up", DIFF_COPY, want, how);
	unpacked_fini(&u);
}

static void fuse_tells(struct fixture *f)
{
	AUTO_BUF text = BUF_INIT;
	struct unpacked u;

	if (access("/dev/fuse", R_OK | W_OK) < 0 ||
	    system("command -v fuse-overlayfs >/dev/null") != 0)
		return;
	clean(f);
	unpacked_open(&u, f, NULL);
	make_upper(&u);
	buf_adds(&text,
	         "mkdir work m; fuse-overlayfs -o upperdir=up,workdir=work,lowerdir=");
	for (size_t i = u.l.paths.len; i-- > 0;)
		buf_addf(&text, "%s%s", u.l.paths.at[i], i ? ":" : "");
	buf_addf(&text, " m && (cd m\n%s\n); r=$?; umount m; exit $r", expected.script);
	run(f, text.s);
	told(&u, "up", DIFF_FUSE_OVERLAY, expected.want, "fuse-overlayfs");
	unpacked_fini(&u);
}

static void users_tell(struct fixture *f)
{
	if (range.userns >= 0)
		overlay_tells(f, &range, expected.want, "a user with a range");
}

static void users_copy_tells(struct fixture *f)
{
	if (range.userns >= 0)
		copy_tells(f, &range, expected.want, "a user with a range, by a copy");
}

static void single_tells(struct fixture *f)
{
	if (single.userns >= 0)
		overlay_tells(f, &single, expected.flat, "a user with one uid");
	if (single.userns >= 0)
		copy_tells(f, &single, expected.flat, "a user with one uid, by a copy");
}

/* `flat`, if not NULL, is what a user with a single uid gets. */
static void changes(struct fixture *f, const char *script, const char *want,
                    const char *flat)
{
	expected = (struct expected){ script, want, flat };
	if (geteuid() != 0) {
		if (!flat || single.userns < 0)
			skip();
		single_tells(f);
		return;
	}
	overlay_tells(f, NULL, want, "root");
	copy_tells(f, NULL, want, "a copy");
	fuse_tells(f);
	clean(f);
	as_nobody(f, users_tell);
	clean(f);
	as_nobody(f, users_copy_tells);
	clean(f);
	if (flat)
		as_nobody(f, single_tells);
	back_to_us(f);
}

static void same(struct fixture *f, const char *script, const char *want)
{
	changes(f, script, want, want);
}

static void nothing_done_is_no_difference(void **state)
{
	layer(*state, "d:a f:a/x=1");
	same(*state, "true", "");
	same(*state,
	     "touch a/x a; chmod 600 a/x; chmod 644 a/x; echo new >a/x; printf 1 >a/x; touch a/y; rm a/y",
	     "");
}

static void new_changed_and_removed_files(void **state)
{
	layer(*state, "d:a f:a/x=1 f:a/y=2 d:b f:b/z=3 d:c f:c/c=1 f:m=1 l:s>t");
	same(*state,
	     "printf new >a/n; printf 9 >a/x; rm a/y; rm -r b; chmod 600 m; ln -sfn u s; mkdir -p n/e; mkfifo n/p",
	     "-a/y -b f:a/n=new f:a/x=9 f:m=1,600 d:n d:n/e p:n/p l:s>u");
}

static void types_that_change(void **state)
{
	layer(*state, "d:dir f:dir/x=1 f:file=1 l:link>dir d:d2 d:d2/sub f:d2/sub/x=1");
	same(*state,
	     "rm -r dir; printf f >dir; rm file; mkdir file; printf g >file/g; rm link; mkdir link; rm -r d2; ln -s x d2",
	     "-d2 -dir -file -link l:d2>x f:dir=f d:file f:file/g=g d:link");
}

static void a_directory_made_anew_is_compared_with_the_old_one(void **state)
{
	layer(*state,
	      "d:d f:d/same=1 f:d/gone=1 f:d/other=1 d:d/sub f:d/sub/x=1 f:d/sub/y=1 d:d/e f:d/e/f=1 d:w f:w/x=1");
	layer(*state, "f:d/new=1");
	same(*state,
	     "rm -r d w; mkdir -m 644 d d/sub w; printf 1 >d/same; printf 2 >d/other; printf 1 >d/sub/x; printf 2 >d/added",
	     "-d/e -d/gone -d/new -d/sub/y -w/x f:d/added=2 f:d/other=2");
}

static void names_below_a_symlink_of_the_image(void **state)
{
	layer(*state, "d:usr d:usr/lib f:usr/lib/a=1 l:lib>usr/lib");
	layer(*state, "f:lib/b=1 f:lib/c=1");
	same(*state, "rm lib/b; printf 2 >lib/c; printf 1 >usr/lib/a",
	     "-usr/lib/b f:usr/lib/c=2");
}

static void hard_links(void **state)
{
	layer(*state, "d:a f:a/x=1 h:b>a/x f:c=1 h:d>c");
	same(*state,
	     "printf 2 >a/x; printf n >n; ln n a/n; ln n a-n; chmod 600 c; chmod 644 c; rm d; ln c d",
	     "f:a-n=n h:a/n>a-n f:a/x=2 f:c=1 h:d>c h:n>a-n");
}

static void modes_and_owners(void **state)
{
	layer(*state, "d:a f:a/x=1 f:y=1 d:z");
	changes(*state,
	        "chmod 4755 a/x; chown 5:6 y; chmod 1777 z; install -d -m 700 -o 7 -g 8 s; printf x >s/f; chmod 000 s/f",
	        "f:a/x=1,4755 d:s,700,7:8 f:s/f=x,0 f:y=1,5:6 d:z,1777", NULL);
}

static void one_uid_keeps_owners_that_it_could_not_make(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF tar = BUF_INIT;
	char block[512];

	tar_block(block, "s", '0', 1);
	memcpy(block + FIELD_MODE,
	       "0004755\0"
	       "0000005\0"
	       "0000006\0",
	       24);
	tar_put(&tar, block, "1", 1);
	tar_block(block, "t", '0', 1);
	memcpy(block + FIELD_MODE,
	       "0004755\0"
	       "0000005\0"
	       "0000006\0",
	       24);
	tar_put(&tar, block, "1", 1);
	add_layer(f, &tar);
	expected.script = "touch s t; chmod g+w s; chmod g-w s; printf 2 >t; chmod 600 t";
	expected.flat = "f:t=2,600,5:6";
	as_nobody(f, single_tells);
	back_to_us(f);
}

static void attributes_and_capabilities(void **state)
{
	layer(*state, "d:a f:a/x=1 f:y=1");
	same(*state,
	     "setfattr -n user.note -v text a/x; setfattr -n user.dir -v t a; touch ping; setcap cap_net_raw+ep ping",
	     "d:a,644,user.dir/1 f:a/x=1,user.note/4 f:ping=,security.capability/20");
}

static void stubs_are_no_difference(void **state)
{
	layer(*state, "d:etc f:etc/x=1");
	strlist_add(&stubs, "/run");
	strlist_add(&stubs, "/run/secret");
	strlist_add(&stubs, "/etc/resolv.conf");
	strlist_add(&stubs, "/opt");
	strlist_add(&stubs, "/etc/x");
	same(*state,
	     "mkdir run opt opt/mine; touch run/secret etc/resolv.conf; printf 2 >etc/x",
	     "f:etc/x=2 d:opt d:opt/mine");
	strlist_fini(&stubs);
	stubs = (struct strlist)STRLIST_INIT;
}

static void the_root_itself(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF tar = BUF_INIT;
	char block[512];

	tar_block(block, "./", '5', 0);
	memcpy(block + FIELD_MODE, "0000711", 8);
	tar_put(&tar, block, NULL, 0);
	add_layer(f, &tar);
	layer(f, "f:x=1");
	same(f, "touch y", "f:y=");
	same(f, "chmod 700 .", "d:,700");
}

static void sockets_are_left_out(void **state)
{
	layer(*state, "f:x=1 d:d f:d/y=1");
	same(*state,
	     "s() { python3 -c \"import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])\" $1; }\n"
	     "rm x; s x; s new; rm -r d; mkdir -m 644 d; s d/y",
	     "-d/y -x");
}

static void refused(struct fixture *f, const char *script, const char *why)
{
	struct unpacked u;
	struct diff d;
	struct err e;

	if (geteuid() != 0)
		skip();
	clean(f);
	in_overlay(f, NULL, script);
	unpacked_open(&u, f, NULL);
	assert_int_equal(diff(&u, "up", DIFF_OVERLAY, &d, &e), -1);
	if (e.code != ERR_INVALID || !strstr(e.msg, why) || strchr(e.msg, '\n'))
		fail_msg("%d %s", e.code, e.msg);
	diff_fini(&d);
	unpacked_fini(&u);
}

static void names_that_remove_files_are_refused(void **state)
{
	layer(*state, "d:a f:a/x=1");
	refused(*state, "touch a/.wh.x", "the step made /a/.wh.x;");
	refused(*state, "mkdir -p b/.wh..wh..opq", "the step made /b/.wh..wh..opq;");
	refused(*state, "touch \"$(printf '.wh.\\n\\033[2J')\"", "\\");
}

/* Attributes of overlayfs' other dialect are what anyone may set. */
static void marks_that_the_step_made_up_mean_nothing(void **state)
{
	struct fixture *f = *state;

	layer(f, "d:a f:a/x=1 f:e=");
	expected.script =
		"setfattr -n user.overlay.opaque -v y a; : >e; setfattr -n user.overlay.whiteout -v y e";
	if (geteuid() != 0)
		skip();
	overlay_tells(f, NULL, "", "root");
}

static void devices(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF tar = BUF_INIT;

	tar_add(&tar, "dev", '5', NULL, 0);
	tar_device(&tar, '3', 1, 3);
	add_layer(f, &tar);
	expected.script = "mknod null2 c 1 3; chmod 600 null2";
	expected.want = "c:null2,600,1:3";
	if (geteuid() != 0)
		skip();
	overlay_tells(f, NULL, expected.want, "root");
	copy_tells(f, NULL, expected.want, "a copy");
}

static int make_users(void **state)
{
	(void)state;
	range.userns = geteuid() ? -1 : make_userns(true);
	single.userns = make_userns(false);
	stubs = (struct strlist)STRLIST_INIT;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_done_is_no_difference),
		TEST(new_changed_and_removed_files),
		TEST(types_that_change),
		TEST(a_directory_made_anew_is_compared_with_the_old_one),
		TEST(names_below_a_symlink_of_the_image),
		TEST(hard_links),
		TEST(modes_and_owners),
		TEST(one_uid_keeps_owners_that_it_could_not_make),
		TEST(attributes_and_capabilities),
		TEST(stubs_are_no_difference),
		TEST(the_root_itself),
		TEST(sockets_are_left_out),
		TEST(names_that_remove_files_are_refused),
		TEST(marks_that_the_step_made_up_mean_nothing),
		TEST(devices),
	};

	return cmocka_run_group_tests(tests, make_users, NULL);
}
