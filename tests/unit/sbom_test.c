#include "image/sbom.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "image/sbom_package.h"
#include "image/sqlite_table.h"

static void add(struct sbom *s, enum sbom_kind kind, const char *path, const char *text)
{
	AUTO_BUF content = BUF_INIT;
	struct err e;

	buf_adds(&content, text);
	if (sbom_add(s, kind, path, &content, &e) < 0)
		fail_msg("%s", e.msg);
}

/* The document of what was added; ends it. */
static json_t *document(struct sbom *s, const char *name)
{
	struct digest d = { { 1 } };
	struct sbom_subject of = { .name = name,
		                   .manifest = &d,
		                   .created = "1980-01-02T00:00:00Z" };
	AUTO_BUF out = BUF_INIT;
	json_t *j = NULL;
	struct err e;

	sbom_write(s, &of, &out);
	sbom_free(s);
	if (json_read(&j, out.s, out.len, &e) < 0)
		fail_msg("%s", e.msg);
	return j;
}

/* The member of the nth package behind the image. */
static const char *member(const json_t *doc, size_t n, const char *key)
{
	return json_string_value(json_object_get(
		json_array_get(json_object_get(doc, "packages"), n + 1), key));
}

static size_t count(const json_t *doc)
{
	return json_array_size(json_object_get(doc, "packages")) - 1;
}

static void paths_say_what_a_file_is(void **state)
{
	static const struct {
		const char *path;
		enum sbom_kind kind;
	} cases[] = {
		{ "var/lib/dpkg/status", SBOM_DPKG },
		{ "x/var/lib/dpkg/status", SBOM_NONE },
		{ "var/lib/dpkg/status.d/libc6", SBOM_DPKG_ONE },
		{ "var/lib/dpkg/status.d/libc6.md5sums", SBOM_NONE },
		{ "lib/apk/db/installed", SBOM_APK },
		{ "usr/lib/apk/db/installed", SBOM_APK },
		{ "var/lib/rpm/rpmdb.sqlite", SBOM_RPM },
		{ "usr/lib/sysimage/rpm/Packages.db", SBOM_RPM },
		{ "var/lib/rpm/Packages", SBOM_RPM },
		{ "srv/Packages", SBOM_NONE },
		{ "node_modules/a/package.json", SBOM_NPM },
		{ "app/node_modules/@s/a/package.json", SBOM_NPM },
		{ "app/node_modules/a/node_modules/b/package.json", SBOM_NPM },
		{ "app/node_modules/a/dist/package.json", SBOM_NONE },
		{ "app/node_modules/@s/package.json", SBOM_NONE },
		{ "app/my_node_modules/a/package.json", SBOM_NONE },
		{ "app/node_modules/package.json", SBOM_NONE },
		{ "app/package.json", SBOM_NONE },
		{ "v/site-packages/a-1.dist-info/METADATA", SBOM_PYTHON },
		{ "v/site-packages/a-1.egg-info/PKG-INFO", SBOM_PYTHON },
		{ "v/site-packages/a-1.egg-info", SBOM_PYTHON },
		{ "v/METADATA", SBOM_NONE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (sbom_kind_of(cases[i].path) != cases[i].kind)
			fail_msg("%s is taken for %d", cases[i].path,
			         (int)sbom_kind_of(cases[i].path));
}

static void only_what_is_installed_counts(void **state)
{
	struct sbom *s = sbom_new();
	json_t *j;

	(void)state;
	add(s, SBOM_DPKG, "var/lib/dpkg/status",
	    "Package: kept\nStatus: hold ok installed\nVersion: 1:2-3\nSource: src (1-1)\n"
	    "Description: short\n Package: not this\n\n"
	    "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n"
	    "Package: half\nStatus: install ok half-installed\nVersion: 1\n\n"
	    "Package: last\nStatus: install ok installed\nVersion: 1");
	j = document(s, "x");
	assert_int_equal(count(j), 2);
	assert_string_equal(member(j, 0, "name"), "kept");
	assert_string_equal(member(j, 0, "versionInfo"), "1:2-3");
	assert_string_equal(member(j, 1, "name"), "last");
	json_decref(j);
}

static void order_and_repetition_change_nothing(void **state)
{
	static const char a[] = "Package: a\nVersion: 1\n",
			  b[] = "Package: b\nVersion: 1\n";
	struct sbom *s = sbom_new(), *t = sbom_new();
	json_t *j, *k;

	(void)state;
	add(s, SBOM_DPKG_ONE, "var/lib/dpkg/status.d/a", a);
	add(s, SBOM_DPKG_ONE, "var/lib/dpkg/status.d/b", b);
	add(t, SBOM_DPKG_ONE, "var/lib/dpkg/status.d/b", b);
	add(t, SBOM_DPKG_ONE, "var/lib/dpkg/status.d/a", a);
	add(t, SBOM_DPKG_ONE, "var/lib/dpkg/status.d/a", a);
	j = document(s, "x");
	k = document(t, "x");
	assert_int_equal(count(j), 2);
	assert_true(json_equal(j, k));
	json_decref(j);
	json_decref(k);
}

static void foreign_bytes_are_told_as_text(void **state)
{
	struct sbom *s = sbom_new();
	json_t *j;

	(void)state;
	add(s, SBOM_APK, "lib/apk/db/installed",
	    "P:a\xff\"b\nV:1/2?3#4 5\nm:\xc3\x28\nU:javascript:alert(1)\nL:\n\nP:\nV:1\n");
	j = document(s, "name with \xfe");
	assert_int_equal(count(j), 1);
	assert_string_equal(member(j, 0, "name"), "a\xef\xbf\xbd\"b");
	assert_int_equal(strncmp(member(j, 0, "SPDXID"), "SPDXRef-apk-a--b-", 17), 0);
	assert_null(member(j, 0, "homepage"));
	json_decref(j);
}

static void licenses_are_those_of_the_list(void **state)
{
	static const char *const good[] = {
		"MIT",
		"MIT AND Apache-2.0",
		"(MIT OR GPL-2.0-only WITH Classpath-exception-2.0) AND Zlib",
		" MIT ",
		"((MIT))",
	};
	static const char *const bad[] = {
		"",       "MIT License", "mit",           "MIT AND",         "AND MIT",
		"(MIT",   "MIT)",        "MIT OR OR MIT", "MIT WITH Autumn", "MITX",
		"GPLv2+", "MIT/X11",
	};
	AUTO_BUF deep = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (!sbom_license_valid(good[i]))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (sbom_license_valid(bad[i]))
			fail_msg("accepted: %s", bad[i]);
	for (int i = 0; i < 100000; i++)
		buf_addc(&deep, '(');
	assert_false(sbom_license_valid(deep.s));
}

/* As SQLite itself writes it: small pages, so that there are several levels of them and
 * rows that go on elsewhere. */
static void make_database(int rows, struct buf *out)
{
	static const char program[] =
		"python3 -c 'import os, sqlite3, struct, sys, tempfile\n"
		"f = tempfile.mktemp()\n"
		"db = sqlite3.connect(f)\n"
		"db.execute(\"PRAGMA page_size = 512\")\n"
		"db.execute(\"CREATE TABLE Other (a)\")\n"
		"db.execute(\"CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB)\")\n"
		"for i in range(int(sys.argv[1])):\n"
		"    name = b\"p%03d\\0\" % i\n"
		"    version = b\"1.\" + b\"0\" * (i * 9) + b\"\\0\"\n"
		"    header = struct.pack(\">IIIIIIIIII\", 2, len(name + version), 1000, 6, 0, 1, "
		"1001, 6, len(name), 1)\n"
		"    db.execute(\"INSERT INTO Packages (blob) VALUES (?)\", (header + name + "
		"version,))\n"
		"db.commit()\n"
		"db.close()\n"
		"sys.stdout.buffer.write(open(f, \"rb\").read())\n"
		"os.unlink(f)'";
	AUTO_BUF command = BUF_INIT;
	char part[4096];
	FILE *p;
	size_t n;

	buf_addf(&command, "%s %d", program, rows);
	p = popen(command.s, "r");   // NOLINT(cert-env33-c): words of ours
	assert_non_null(p);
	while ((n = fread(part, 1, sizeof(part), p)) > 0)
		buf_add(out, part, n);
	assert_int_equal(pclose(p), 0);
}

static void databases_of_rpm_are_read_without_it(void **state)
{
	AUTO_BUF db = BUF_INIT;
	struct sbom *s = sbom_new();
	struct err e;
	json_t *j;

	(void)state;
	make_database(120, &db);
	assert_int_equal(sbom_add(s, SBOM_RPM, "var/lib/rpm/rpmdb.sqlite", &db, &e), 0);
	j = document(s, "x");
	assert_int_equal(count(j), 120);
	assert_string_equal(member(j, 119, "name"), "p119");
	assert_int_equal(strlen(member(j, 119, "versionInfo")), 2 + 119 * 9);
	json_decref(j);
}

/* Whatever the bytes: no more than an error, with the sanitizers looking on. */
static void try_database(const struct buf *db)
{
	struct sbom *s = sbom_new();
	struct err e;

	if (sbom_add(s, SBOM_RPM, "var/lib/rpm/rpmdb.sqlite", db, &e) < 0)
		assert_int_equal(e.code == ERR_INVALID || e.code == ERR_NOT_FOUND, 1);
	sbom_free(s);
}

static void damaged_databases_are_refused(void **state)
{
	AUTO_BUF db = BUF_INIT;
	unsigned seed = 1;

	(void)state;
	make_database(120, &db);
	for (size_t n = 0; n < db.len; n += n < 2000 ? 7 : 499) {
		/* Of its own size, so that a byte too far is noticed. */
		struct buf part = { memcpy(mem_alloc(n + 1), db.s, n), n, n + 1 };

		try_database(&part);
		free(part.s);
	}
	for (int round = 0; round < 3000; round++) {
		size_t at[3];
		char old[3];

		for (int i = 0; i < 3; i++) {
			seed = seed * 1103515245 + 12345;
			at[i] = (seed >> 8) % (round % 2 ? db.len : 2048);
			old[i] = db.s[at[i]];
			db.s[at[i]] = (char)(seed >> 20);
		}
		try_database(&db);
		for (int i = 2; i >= 0; i--)
			db.s[at[i]] = old[i];
	}
}

/* As rpm's ndb lays it out: a page of slots, then blocks of 16 bytes. */
static void ndb(struct buf *b, uint32_t block)
{
	static const uint8_t header[] = { 0, 0,    0, 1, 0,   0,   0,   6,   0,   0,
		                          3, 0xe8, 0, 0, 0,   6,   0,   0,   0,   0,
		                          0, 0,    0, 1, 'z', 'y', 'p', 'p', 'r', 0 };

	buf_adds(b, "RpmP");
	buf_add_u32(b, 0);
	buf_add_u32(b, 1);
	buf_add_u32(b, 1); /* pages of slots */
	while (b->len < 32)
		buf_addc(b, '\0');
	buf_adds(b, "Slot");
	buf_add_u32(b, 1);
	buf_add_u32(b, block);
	buf_add_u32(b, 4);
	while (b->len < 4096) {
		buf_adds(b, "Slot");
		buf_add(b, (char[12]){ 0 }, 12);
	}
	buf_adds(b, "BlbS");
	buf_add_u32(b, 1);
	buf_add_u32(b, 1);
	buf_add_u32(b, sizeof(header));
	buf_add(b, header, sizeof(header));
	while (b->len < 4096 + 64)
		buf_addc(b, '\0');
}

static void so_are_those_of_suse(void **state)
{
	AUTO_BUF good = BUF_INIT, bad = BUF_INIT;
	struct sbom *s = sbom_new();
	struct err e;
	json_t *j;

	(void)state;
	ndb(&bad, 1 << 24);
	assert_int_equal(
		sbom_add(s, SBOM_RPM, "usr/lib/sysimage/rpm/Packages.db", &bad, &e), -1);
	ndb(&good, 256);
	if (sbom_add(s, SBOM_RPM, "usr/lib/sysimage/rpm/Packages.db", &good, &e) < 0)
		fail_msg("%s", e.msg);
	j = document(s, "x");
	assert_int_equal(count(j), 1);
	assert_string_equal(member(j, 0, "name"), "zyppr");
	json_decref(j);
}

/* A few bytes would come to as many packages as fill the memory. */
static void one_package_is_not_named_a_thousand_times(void **state)
{
	enum { PAGE = 512, CELLS = 150 };
	AUTO_BUF db = BUF_INIT, suse = BUF_INIT;
	struct sbom *s = sbom_new();
	struct err e;

	(void)state;
	make_database(1, &db);
	assert_int_equal(db.len, 3 * PAGE);
	db.s[2 * PAGE + 4] = (char)CELLS;
	for (size_t i = 1; i < CELLS; i++)
		memcpy(db.s + 2 * PAGE + 8 + 2 * i, db.s + 2 * PAGE + 8, 2);
	assert_int_equal(sbom_add(s, SBOM_RPM, "var/lib/rpm/rpmdb.sqlite", &db, &e), -1);
	assert_int_equal(e.code, ERR_INVALID);

	ndb(&suse, 256);
	for (size_t i = 32 + 16; i < 4096; i += 16)
		memcpy(suse.s + i, suse.s + 32, 16);
	assert_int_equal(
		sbom_add(s, SBOM_RPM, "usr/lib/sysimage/rpm/Packages.db", &suse, &e), -1);
	assert_int_equal(e.code, ERR_INVALID);
	sbom_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_say_what_a_file_is),
		cmocka_unit_test(only_what_is_installed_counts),
		cmocka_unit_test(order_and_repetition_change_nothing),
		cmocka_unit_test(foreign_bytes_are_told_as_text),
		cmocka_unit_test(licenses_are_those_of_the_list),
		cmocka_unit_test(databases_of_rpm_are_read_without_it),
		cmocka_unit_test(damaged_databases_are_refused),
		cmocka_unit_test(so_are_those_of_suse),
		cmocka_unit_test(one_package_is_not_named_a_thousand_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
