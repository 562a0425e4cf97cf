/* imgmake doctor: what this machine has of what builds need, and how to get the rest. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <archive.h>
#include <curl/curl.h>
#include <libdeflate.h>
#include <lmdb.h>
#include <openssl/crypto.h>
#include <seccomp.h>
#include <zlib.h>
#include <zstd.h>
#ifdef HAVE_ISAL
#include <isa-l.h>
#endif

#include "cmd/commands.h"
#include "cmd/table.h"
#include "image/archive_late.h"
#include "os/file.h"
#include "registry/curl_late.h"
#include "sandbox/sandbox.h"

struct store_place {
	const char *path; /* NULL: no store, and `error` says why */
	struct buf file_system;
	int64_t free; /* bytes that we may use; -1: not known */
	struct err error;
};

/* The type of the mount with this id: "36 35 98:0 / /mnt rw shared:1 - ext4 /dev/sda1
 * rw". */
static void find_mount(uint64_t id, const char *mounts, struct buf *out)
{
	for (const char *line = mounts; line && *line;) {
		const char *type = strstr(line, " - ");

		if (strtoull(line, NULL, 10) == id && type) {
			buf_add(out, type + 3, strcspn(type + 3, " \n"));
			return;
		}
		line = strchr(line, '\n');
		line += line != NULL;
	}
}

static void look_at_store(const struct store *s, struct store_place *out)
{
	enum { MOUNTS_MAX = 16 << 20 };
	AUTO_BUF mounts = BUF_INIT;
	struct statvfs fs;
	struct statx st;
	struct err ignored;

	out->path = s->path;
	out->free = fstatvfs(s->dir, &fs) < 0 ? -1 : (int64_t)(fs.f_bavail * fs.f_frsize);
	if (statx(s->dir, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) == 0 &&
	    file_read(AT_FDCWD, "/proc/self/mountinfo", &mounts, MOUNTS_MAX, &ignored) ==
	            0)
		find_mount(st.stx_mnt_id, mounts.s, &out->file_system);
	if (!out->file_system.len)
		buf_adds(&out->file_system, "a file system of unknown type");
}

static void add_version(json_t *all, const char *name, unsigned a, unsigned b, unsigned c)
{
	AUTO_BUF text = BUF_INIT;

	buf_addf(&text, "%u.%u.%u", a, b, c);
	json_object_set_new(all, name, json_string(text.s));
}

static void add_libarchive(json_t *all)
{
	struct err e;
	unsigned v;

	if (archive_late_load(&e) < 0) {
		json_object_set_new(all, "libarchive", json_string(e.msg));
		return;
	}
	v = (unsigned)archive_version_number();
	add_version(all, "libarchive", v / 1000000, v / 1000 % 1000, v % 1000);
}

static void add_libcurl(json_t *all)
{
	struct err e;
	const char *found = curl_late_load(&e) < 0
	                            ? e.msg
	                            : curl_version_info(CURLVERSION_NOW)->version;

	json_object_set_new(all, "libcurl", json_string(found));
}

/* Those that are loaded, which may be others than we were compiled with. */
static json_t *libraries(void)
{
	const struct scmp_version *seccomp = seccomp_version();
	json_t *all = json_object();
	int major, minor, patch;

	add_libarchive(all);
	json_object_set_new(all, "openssl",
	                    json_string(OpenSSL_version(OPENSSL_VERSION_STRING)));
	add_libcurl(all);
	json_object_set_new(all, "zlib", json_string(zlibVersion()));
	json_object_set_new(all, "libdeflate", json_string(LIBDEFLATE_VERSION_STRING));
	json_object_set_new(all, "libzstd", json_string(ZSTD_versionString()));
	json_object_set_new(all, "jansson", json_string(jansson_version_str()));
	mdb_version(&major, &minor, &patch);
	add_version(all, "lmdb", (unsigned)major, (unsigned)minor, (unsigned)patch);
	add_version(all, "libseccomp", seccomp->major, seccomp->minor, seccomp->micro);
#ifdef HAVE_ISAL
	add_version(all, "isa-l", ISAL_MAJOR_VERSION, ISAL_MINOR_VERSION,
	            ISAL_PATCH_VERSION);
#endif
	return all;
}

static bool steps_work(const struct sandbox_probe *p, const struct store_place *store)
{
	for (size_t i = 0; i < p->n_findings; i++)
		if (p->findings[i].needed && !p->findings[i].ok)
			return false;
	return store->path && p->users != SANDBOX_NOBODY &&
	       p->rootfs != SANDBOX_NO_ROOTFS;
}

static json_t *to_json(const struct sandbox_probe *p, const struct store_place *store)
{
	json_t *findings = json_array(), *place = json_object();

	for (size_t i = 0; i < p->n_findings; i++) {
		const struct sandbox_finding *f = &p->findings[i];
		json_t *j = json_pack("{s:s,s:b,s:b,s:s}", "what", f->what, "ok", f->ok,
		                      "needed", f->needed, "found", f->said);

		if (*f->remedy)
			json_object_set_new(j, "remedy", json_string(f->remedy));
		json_array_append_new(findings, j);
	}
	if (store->path) {
		json_object_set_new(place, "path", json_string(store->path));
		json_object_set_new(place, "file_system",
		                    json_string(store->file_system.s));
		json_object_set_new(place, "free", json_integer(store->free));
	} else {
		json_object_set_new(place, "error", json_string(store->error.msg));
	}
	return json_pack("{s:s,s:b,s:o,s:o,s:o}", "version", IMGMAKE_VERSION, "run_steps",
	                 steps_work(p, store), "findings", findings, "store", place,
	                 "libraries", libraries());
}

static void add_store(struct table *table, const struct store_place *store)
{
	AUTO_BUF free_text = BUF_INIT;

	table_add(table, "store");
	table_add(table, store->path ? "ok" : "missing");
	if (!store->path) {
		table_add(table, store->error.msg);
		return;
	}
	human_size(&free_text, store->free);
	table_addf(table, "%s, %s, %s free", store->path, store->file_system.s,
	           free_text.s);
}

static void add_libraries(struct buf *out)
{
	AUTO_JSON *all = libraries();
	const char *name, *between = "";
	json_t *version;

	buf_adds(out, "imgmake " IMGMAKE_VERSION ", with ");
	json_object_foreach(all, name, version)
	{
		buf_addf(out, "%s%s %s", between, name, json_string_value(version));
		between = ", ";
	}
	buf_addc(out, '\n');
}

static void to_text(const struct sandbox_probe *p, const struct store_place *store,
                    struct buf *out)
{
	static const char *const columns[] = { "WHAT", "STATE", "FOUND", NULL };
	struct table *table = table_new(columns);

	for (size_t i = 0; i < p->n_findings; i++) {
		const struct sandbox_finding *f = &p->findings[i];

		table_add(table, f->what);
		table_add(table, f->ok ? "ok" : f->needed ? "missing" : "not here");
		table_add(table, f->said);
	}
	add_store(table, store);
	table_write(table, out);
	table_free(table);
	for (size_t i = 0; i < p->n_findings; i++)
		if (*p->findings[i].remedy)
			buf_addf(out, "\nFor %s:\n  %s\n", p->findings[i].what,
			         p->findings[i].remedy);
	buf_addf(out, "\nRun steps %s here.\n",
	         steps_work(p, store) ? "work" : "do not work");
	add_libraries(out);
}

/* Without a store, what is found in /tmp is worth telling. */
static int probe(struct session *s, const struct store_place *store, struct sandbox **out,
                 struct err *e)
{
	AUTO_BUF dir = BUF_INIT;
	struct sandbox_options o = { 0 };

	if (store->path)
		buf_addf(&dir, "%s/tmp", s->store.path);
	else
		buf_adds(&dir, "/tmp");
	o.dir = dir.s;
	o.try_network = true;
	o.chroot = s->options->isolation == ISOLATION_CHROOT;
	return sandbox_open(out, &o, e);
}

int cmd_doctor(const struct options *o, struct terminal *t)
{
	struct store_place store = { .file_system = BUF_INIT, .free = -1 };
	const struct sandbox_probe *p;
	AUTO_BUF out = BUF_INIT;
	struct sandbox *sandbox;
	struct session s;
	struct err e;
	bool work;

	if (session_open(&s, o, t, SESSION_STORE, &store.error) == 0)
		look_at_store(&s.store, &store);
	if (probe(&s, &store, &sandbox, &e) < 0) {
		buf_fini(&store.file_system);
		return session_fail(&s, &e);
	}
	p = sandbox_probe_get(sandbox);
	work = steps_work(p, &store);
	if (o->json) {
		session_print_json(&s, to_json(p, &store));
	} else {
		to_text(p, &store, &out);
		session_print(&s, &out);
	}
	sandbox_close(sandbox);
	buf_fini(&store.file_system);
	return session_end(&s, work ? 0 : 1);
}
