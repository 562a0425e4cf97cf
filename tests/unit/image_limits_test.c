#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "image/config.h"
#include "image/limits.h"
#include "image/manifest.h"
#include "image/tar_reader.h"
#include "tars.h"

static void say(const char *text)
{
	struct err e;

	if (image_limits_say(text, &e) < 0)
		fail_msg("%s", e.msg);
}

static int back(void **state)
{
	(void)state;
	image_limits_reset();
	return 0;
}

static void they_are_what_the_design_says(void **state)
{
	const struct image_limits *l = image_limits();

	(void)state;
	assert_int_equal(l->manifest, 4 << 20);
	assert_int_equal(l->config, 8 << 20);
	assert_int_equal(l->json_depth, 64);
	assert_int_equal(l->layers, 1024);
	assert_int_equal(l->unpacked, (int64_t)16 << 30);
	assert_int_equal(l->entries, 2000000);
	assert_int_equal(l->path, 4095);
	assert_int_equal(l->pax, 1 << 20);
	assert_int_equal(l->zstd_window, 128 << 20);
}

static void what_cannot_be_is_refused_by_name(void **state)
{
	static const char *const rows[][2] = {
		{ "manifst=1m", "there is no limit 'manifst', did you mean manifest?" },
		{ "chunks=1m", "there is no limit 'chunks', but: manifest, config, " },
		{ "manifest=-1", "limit manifest: " },
		{ "manifest=0", "limit manifest: " },
		{ "path=4096", "limit path: more than 4095 cannot be had" },
		{ "json-depth=2001", "limit json-depth: more than 2000 cannot be had" },
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(image_limits_say(rows[i][0], &e), -1);
		assert_int_equal(e.code, ERR_INVALID);
		if (strncmp(e.msg, rows[i][1], strlen(rows[i][1])) != 0)
			fail_msg("%s: %s", rows[i][0], e.msg);
	}
}

/* Readers, each of something that needs just what is said of the limit. */
typedef int reader(struct err *e);

static int read_json(struct err *e)
{
	AUTO_JSON *j = NULL;

	return json_read(&j, "[[[{}]]]", 8, e);
}

#define LAYER                                                                            \
	"{\"mediaType\":\"" MEDIA_OCI_LAYER "\",\"size\":1,\"digest\":\"sha256:"         \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}"

static int read_manifest(struct err *e)
{
	static const char text[] = "{\"schemaVersion\":2,\"config\":" LAYER
				   ",\"layers\":[" LAYER "," LAYER "]}";
	struct manifest m;

	if (manifest_read(&m, MEDIA_OCI_MANIFEST, text, strlen(text), e) < 0)
		return -1;
	manifest_fini(&m);
	return 0;
}

static int read_config(struct err *e)
{
	static const char text[] =
		"{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"type\":"
		"\"layers\",\"diff_ids\":[]},\"author\":\"0123456789\"}";
	struct image_config c;

	if (config_read(&c, text, strlen(text), e) < 0)
		return -1;
	config_fini(&c);
	return 0;
}

/* Of seven blocks. */
static int read_tar(struct err *e)
{
	AUTO_BUF tar = BUF_INIT;
	struct tar_reader *r;
	struct toc_entry t;
	struct memory m;
	int got;

	tar_pax(&tar, "comment", "none");
	tar_add(&tar, "dir-of-20-bytes-long", '5', "", 0);
	tar_add(&tar, "dir-of-20-bytes-long/x", '0', "1", 1);
	tar_end(&tar);
	memory_init(&m, &tar, 0);
	r = tar_reader_new(&m.source, true, NULL);
	while ((got = tar_reader_next(r, &t, e)) > 0)
		;
	tar_reader_free(r);
	return got;
}

static void each_can_be_set_lower_and_higher(void **state)
{
	static const struct {
		const char *below, *enough, *says;
		reader *read;
	} rows[] = {
		{ "json-depth=3", "json-depth=4", "deeper than 3", read_json },
		{ "manifest=100", "manifest=1k", "--limit manifest=", read_manifest },
		{ "layers=1", "layers=2", "--limit layers=", read_manifest },
		{ "config=90", "config=1k", "--limit config=", read_config },
		{ "entries=1", "entries=2", "--limit entries=", read_tar },
		{ "pax-header=8", "pax-header=1k", "--limit pax-header=", read_tar },
		{ "unpacked=3k", "unpacked=4k", "--limit unpacked=", read_tar },
		{ "path=21", "path=22", "longer than 21", read_tar },
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		image_limits_reset();
		say(rows[i].below);
		e.msg[0] = '\0';
		if (rows[i].read(&e) == 0 || e.code != ERR_LIMIT ||
		    !strstr(e.msg, rows[i].says))
			fail_msg("%s: %s", rows[i].below, e.msg);
		say(rows[i].enough);
		if (rows[i].read(&e) < 0)
			fail_msg("%s: %s", rows[i].enough, e.msg);
	}
	image_limits_reset();
	say("manifest=1g");
	say("unpacked=100t");
	say("zstd-window=2g");
	assert_int_equal(image_limits()->manifest, 1 << 30);
	assert_int_equal(image_limits()->unpacked, (int64_t)100 << 40);
	assert_int_equal(image_limits()->zstd_window, (int64_t)1 << 31);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(they_are_what_the_design_says, back),
		cmocka_unit_test_teardown(what_cannot_be_is_refused_by_name, back),
		cmocka_unit_test_teardown(each_can_be_set_lower_and_higher, back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
