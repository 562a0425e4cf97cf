#ifndef TESTS_UNIT_SANDBOXING_H
#define TESTS_UNIT_SANDBOXING_H

/* Layers unpacked one by one and mounted, by root and by an ordinary user with a range of
 * ids. Included after cmocka.h. */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

#include "image/layer_files.h"
#include "sandbox/layers.h"
#include "unit/unpacking.h"

/* What sandbox_call is for: a process that is root over the ids of a user namespace. */
struct sandbox {
	int userns; /* -1: none; then only a process of its own */
};

static inline int call_inside(struct sandbox *s, int (*fn)(void *, struct err *),
                              void *arg, struct err *e)
{
	struct {
		int rc;
		struct err e;
	} *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status, rc;
	pid_t pid;

	assert_ptr_not_equal(shared, MAP_FAILED);
	pid = fork();
	if (pid == 0) {
		if (s->userns >= 0 && (setns(s->userns, CLONE_NEWUSER) < 0 ||
		                       setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
			_exit(98);
		shared->rc = fn(arg, &shared->e);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	rc = shared->rc;
	*e = shared->e;
	munmap(shared, sizeof(*shared));
	return rc;
}

static inline void write_proc(pid_t pid, const char *name, const char *text)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* A user namespace of `nobody` (of ours, if we are no root) in which 0 is that user, and
 * with `range` 1… are ids of nobody's, as newuidmap would make it; that only root can
 * have. Its fd, or -1. */
static inline int make_userns(bool range)
{
	int ready[2], go[2], fd = -1;
	bool root = geteuid() == 0;
	char path[64], text[64], byte;
	pid_t pid;

	assert_int_equal(pipe(ready) | pipe(go), 0);
	pid = fork();
	if (pid == 0) {
		bool ok = (!root || (setgid(NOBODY) == 0 && setuid(NOBODY) == 0)) &&
		          unshare(CLONE_NEWUSER) == 0;

		byte = ok ? 'y' : 'n';
		_exit(write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	if (byte == 'y') {
		if (!root)
			write_proc(pid, "setgroups", "deny");
		snprintf(text, sizeof(text), "0 %d 1\n%s", root ? NOBODY : (int)geteuid(),
		         range ? "1 300000 65535\n" : "");
		write_proc(pid, "uid_map", text);
		snprintf(text, sizeof(text), "0 %d 1\n%s", root ? NOBODY : (int)getegid(),
		         range ? "1 300000 65535\n" : "");
		write_proc(pid, "gid_map", text);
		snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	assert_int_equal(write(go[1], "x", 1), 1);
	waitpid(pid, NULL, 0);
	close(ready[0]);
	close(ready[1]);
	close(go[0]);
	close(go[1]);
	return fd;
}

struct unpacked {
	struct fixture *f;
	struct store store;
	struct toc *tables;
	struct layers_item *items;
	struct layers_options o;
	struct layers l;
};

static inline void scan_layer(const struct fixture *f, size_t i, struct toc *out,
                              struct digest *diff_id)
{
	struct fd_source in;
	struct err e;
	int fd = blobs_get(f->blobs, &f->layers[i].digest, NULL, &e);
	enum codec codec;

	assert_true(fd >= 0);
	assert_int_equal(media_layer_codec(f->layers[i].media_type, &codec, &e), 0);
	fd_source_init(&in, fd, "layer");
	*out = (struct toc)TOC_INIT;
	if (layer_scan(&in.source, codec, NULL, out, diff_id, &e) < 0)
		fail_msg("%s", e.msg);
	close(fd);
}

/* Of all layers of the fixture. */
static inline void unpacked_init(struct unpacked *u, struct fixture *f, struct sandbox *s)
{
	size_t n = f->image.manifest.n_layers;

	*u = (struct unpacked){ .f = f,
		                .store = { .dir = f->store_fd, .blobs = f->blobs } };
	u->tables = mem_alloc(n * sizeof(*u->tables) + 1);
	u->items = mem_alloc(n * sizeof(*u->items) + 1);
	for (size_t i = 0; i < n; i++) {
		scan_layer(f, i, &u->tables[i], &u->items[i].diff_id);
		u->items[i].blob = f->layers[i];
		u->items[i].toc = &u->tables[i];
	}
	u->o = (struct layers_options){
		.store = &u->store, .items = u->items, .n = n, .map = "root", .threads = 2
	};
	if (s) {
		u->o.map = "range";
		u->o.inside = (struct inside){ call_inside, s };
	}
}

static inline void unpacked_open(struct unpacked *u, struct fixture *f, struct sandbox *s)
{
	struct err e;

	unpacked_init(u, f, s);
	if (layers_open(&u->l, &u->o, &e) < 0)
		fail_msg("%s", e.msg);
}

static inline void unpacked_fini(struct unpacked *u)
{
	layers_close(&u->l);
	for (size_t i = 0; i < u->o.n; i++)
		toc_fini(&u->tables[i]);
	free(u->tables);
	free(u->items);
}

/* Scans layer `i` once more, with its files put beside; end with layer_files_free. */
static inline struct layer_files *scan_beside(struct unpacked *u, size_t i)
{
	const struct descriptor *blob = &u->f->layers[i];
	struct layer_files *files;
	struct digest diff_id;
	struct fd_source in;
	enum codec codec;
	char name[32];
	struct err e;
	int fd = blobs_get(u->f->blobs, &blob->digest, NULL, &e);

	snprintf(name, sizeof(name), "files%zu", i);
	assert_int_equal(media_layer_codec(blob->media_type, &codec, &e), 0);
	assert_int_equal(layer_files_new(&files, u->f->store_fd, name, &e), 0);
	fd_source_init(&in, fd, "layer");
	toc_fini(&u->tables[i]);
	u->tables[i] = (struct toc)TOC_INIT;
	if (layer_scan_files(&in.source, codec, files, &u->tables[i], &diff_id, &e) < 0)
		fail_msg("%s", e.msg);
	close(fd);
	assert_true(digest_equal(&diff_id, &u->items[i].diff_id));
	u->items[i].files = files;
	return files;
}

/* All layers, as builds do it: of the same layer there is one table, with its files. */
static inline void scan_all_beside(struct unpacked *u, struct layer_files **files)
{
	for (size_t i = 0; i < u->o.n; i++) {
		size_t first = 0;

		while (!digest_equal(&u->items[first].diff_id, &u->items[i].diff_id))
			first++;
		files[i] = first == i ? scan_beside(u, i) : NULL;
		if (first < i) {
			u->items[i].toc = u->items[first].toc;
			u->items[i].files = u->items[first].files;
		}
	}
}

struct script {
	const struct fixture *f;
	const char *text;
};

static inline int run_mounted(void *arg, struct err *e)
{
	struct script *s = arg;

	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(e, "unshare");
	run(s->f, s->text);
	return 0;
}

/* Runs `script` with the layers mounted at m/, over up/, in a mount namespace that is
 * gone after. */
static inline void with_mount(struct unpacked *u, const char *script)
{
	struct sandbox none = { -1 };
	bool user = u->o.inside.call;
	AUTO_BUF text = BUF_INIT;
	struct script s = { u->f, NULL };
	struct err e;

	buf_addf(
		&text,
		"mount --make-rprivate / 2>/dev/null; mkdir -p up work m; mount -t overlay overlay -o %supperdir=up,workdir=work,lowerdir=",
		user ? "userxattr," : "");
	for (size_t i = u->l.paths.len; i-- > 0;)
		buf_addf(&text, "%s%s", u->l.paths.at[i], i ? ":" : "");
	buf_addf(&text, " m || exit 1\n%s", script);
	s.text = text.s;
	if (call_inside(user ? u->o.inside.sandbox : &none, run_mounted, &s, &e) < 0)
		fail_msg("%s", e.msg);
}

#endif
