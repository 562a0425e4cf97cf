#include "build/result.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "os/file.h"
#include "store/state.h"

static const struct digest key = { { 7 } };

static struct layer layer_of(const char *text)
{
	struct layer l = { .blob.media_type = "application/vnd.oci.image.layer.v1.tar" };

	digest_of(&l.diff_id, text, strlen(text));
	digest_of(&l.blob.digest, text, strlen(text));
	l.blob.size = (int64_t)strlen(text);
	return l;
}

/* Two layers, one of a base and one of a remote cache; one manifest is known. */
static void make(struct result *r)
{
	const struct platform p = { "linux", "arm", "v7" };
	struct sealed s = { { { 1 } }, { { 2 } }, 300 };
	struct layer l = layer_of("of a base");

	result_init(r, &p);
	config_set_user(&r->config, "somebody");
	vec_push(&r->layers, l);
	l = layer_of("of a cache");
	l.toc = key;
	l.toc_size = 50;
	l.remote = true;
	vec_push(&r->layers, l);
	r->document = key;
	vec_push(&r->manifests, s);
}

static void check(struct result *r)
{
	struct err e;

	assert_int_equal(r->layers.len, 2);
	assert_string_equal(r->layers.at[0].blob.media_type,
	                    "application/vnd.oci.image.layer.v1.tar");
	assert_int_equal(r->layers.at[0].blob.size, strlen("of a base"));
	assert_false(r->layers.at[0].remote);
	assert_true(r->layers.at[1].remote);
	assert_int_equal(r->layers.at[1].toc_size, 50);
	assert_true(digest_equal(&r->layers.at[1].toc, &key));
	assert_int_equal(result_config(r, &e), 0);
	assert_string_equal(config_user(&r->config), "somebody");
}

static void a_record_holds_all_of_a_result(void **state)
{
	AUTO_BUF record = BUF_INIT;
	struct result r, back, copy;

	(void)state;
	make(&r);
	assert_true(result_encode(&r, &record));
	assert_true(result_is_record(record.s, record.len));
	assert_int_equal(result_decode(&back, &record), 0);
	assert_null(back.config.root);
	assert_int_equal(back.manifests.len, 1);
	assert_int_equal(back.manifests.at[0].size, 300);
	assert_true(digest_equal(&back.document, &key));
	result_copy(&copy, &back);
	check(&back);
	check(&copy);
	assert_int_equal(copy.manifests.len, 0);
	result_fini(&r);
	result_fini(&back);
	result_fini(&copy);
}

static void a_record_that_was_not_read_can_be_written_again(void **state)
{
	AUTO_BUF first = BUF_INIT, second = BUF_INIT, record = BUF_INIT;
	struct result r, back;

	(void)state;
	make(&r);
	assert_true(result_encode(&r, &first));
	buf_add(&record, first.s, first.len);
	assert_int_equal(result_decode(&back, &record), 0);
	assert_true(result_encode(&back, &second));
	assert_int_equal(first.len, second.len);
	assert_memory_equal(first.s, second.s, first.len);
	result_fini(&r);
	result_fini(&back);
}

static void a_cut_or_lengthened_record_is_none(void **state)
{
	AUTO_BUF record = BUF_INIT;
	struct result r, back;

	(void)state;
	make(&r);
	assert_true(result_encode(&r, &record));
	for (size_t n = 0; n <= record.len + 1; n++) {
		AUTO_BUF odd = BUF_INIT;

		if (n == record.len)
			continue;
		buf_add(&odd, record.s, n); /* the NUL behind it is the one byte more */
		assert_int_equal(result_decode(&back, &odd), -1);
	}
	result_fini(&r);
}

/* What was written about documents by another version says nothing of ours. */
static void documents_of_another_version_are_not_known(void **state)
{
	AUTO_BUF record = BUF_INIT;
	struct result r, back;

	(void)state;
	make(&r);
	assert_true(result_encode(&r, &record));
	record.s[1]++;
	assert_int_equal(result_decode(&back, &record), 0);
	assert_int_equal(back.manifests.len, 0);
	check(&back);
	result_fini(&r);
	result_fini(&back);
}

static int setup(void **state)
{
	static char path[40];
	struct store *s = mem_alloc(sizeof(*s));
	struct err e;

	strcpy(path, "/tmp/result_test.XXXXXX");
	if (!mkdtemp(path))
		return -1;
	*state = s;
	return store_open(s, path, false, &e);
}

static int teardown(void **state)
{
	struct store *s = *state;
	AUTO_FREE char *path = mem_strdup(s->path);
	struct err e;

	store_close(s);
	free(s);
	return file_remove_tree(AT_FDCWD, path, &e);
}

static void records_as_they_were_before_are_read(void **state)
{
	struct store *s = *state;
	AUTO_BUF text = BUF_INIT;
	struct result r, back;
	struct err e;

	make(&r);
	result_write(&r, &text);
	assert_int_equal(text.s[0], '{');
	assert_int_equal(state_put(s->state, STATE_RESULTS, key.b, DIGEST_SIZE, text.s,
	                           text.len, &e),
	                 0);
	assert_int_equal(result_load(s, &key, NULL, &back, NULL, &e), 1);
	assert_int_equal(back.manifests.len, 0);
	check(&back);
	result_fini(&back);
	assert_int_equal(
		state_put(s->state, STATE_RESULTS, key.b, DIGEST_SIZE, "\3x", 2, &e), 0);
	assert_int_equal(result_load(s, &key, NULL, &back, NULL, &e), 0);
	result_fini(&r);
}

static void layers_of_below_are_not_looked_at_again(void **state)
{
	struct store *s = *state;
	struct result r, below;
	bool gone;
	struct err e;

	make(&r);
	r.layers.at[1].remote = false; /* then it should be here, and is not */
	assert_int_equal(result_save(s, &key, &r, &e), 0);
	assert_int_equal(result_load(s, &key, NULL, &below, &gone, &e), 0);
	assert_true(gone);
	assert_int_equal(result_load(s, &key, &r, &below, &gone, &e), 1);
	result_fini(&below);
	r.layers.at[1].toc = r.layers.at[1].diff_id;
	assert_int_equal(result_load(s, &key, &r, &below, &gone, &e), 0);
	result_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_holds_all_of_a_result),
		cmocka_unit_test(a_record_that_was_not_read_can_be_written_again),
		cmocka_unit_test(a_cut_or_lengthened_record_is_none),
		cmocka_unit_test(documents_of_another_version_are_not_known),
		cmocka_unit_test_setup_teardown(records_as_they_were_before_are_read,
		                                setup, teardown),
		cmocka_unit_test_setup_teardown(layers_of_below_are_not_looked_at_again,
		                                setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
