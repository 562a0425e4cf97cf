/* Uploads under way, as the next process finds them. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/clock.h"
#include "os/file.h"
#include "store/state.h"
#include "store/uploads.h"

static char dir[64];
static struct store store;
static struct digest blob;

static int start(void **state)
{
	struct err e;

	(void)state;
	strcpy(dir, "/tmp/imgmake-uploads.XXXXXX");
	assert_non_null(mkdtemp(dir));
	digest_of(&blob, "x", 1);
	return store_open(&store, dir, false, &e);
}

static int stop(void **state)
{
	struct err e;

	(void)state;
	store_close(&store);
	return file_remove_tree(AT_FDCWD, dir, &e);
}

static int find(const char *repo, struct buf *text)
{
	struct upload_note n;
	struct err e;
	int found;

	buf_reset(text);
	upload_note_init(&n, &store, repo, &blob);
	found = upload_note_find(&n, text, &e);
	upload_note_fini(&n);
	return found;
}

static void a_note_is_found_once_its_writer_is_gone(void **state)
{
	AUTO_BUF text = BUF_INIT;
	struct upload_note n;
	struct err e;

	(void)state;
	upload_note_init(&n, &store, "host/app", &blob);
	assert_int_equal(upload_note_find(&n, &text, &e), 0);
	assert_int_equal(upload_note_keep(&n, "0 https://host/a", &e), 0);
	assert_int_equal(upload_note_keep(&n, "0 https://host/b", &e), 0);
	assert_int_equal(find("host/app", &text), 0); /* still at it */
	upload_note_fini(&n);
	assert_int_equal(find("host/app", &text), 1);
	assert_string_equal(text.s, "0 https://host/b");
	assert_int_equal(find("host/other", &text), 0);
}

static void a_killed_process_leaves_its_note(void **state)
{
	AUTO_BUF text = BUF_INIT;
	struct upload_note n;
	struct err e;
	int status;
	pid_t pid;

	(void)state;
	store_close(&store); /* LMDB is not for use across a fork */
	pid = fork();
	if (pid == 0) {
		if (store_open(&store, dir, false, &e) < 0)
			_exit(1);
		upload_note_init(&n, &store, "host/killed", &blob);
		if (upload_note_keep(&n, "2 https://host/c", &e) < 0)
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(store_open(&store, dir, false, &e), 0);
	assert_int_equal(find("host/killed", &text), 1);
	assert_string_equal(text.s, "2 https://host/c");
}

static void who_comes_second_notes_nothing(void **state)
{
	AUTO_BUF text = BUF_INIT;
	struct upload_note first, second;
	struct err e;

	(void)state;
	upload_note_init(&first, &store, "host/two", &blob);
	upload_note_init(&second, &store, "host/two", &blob);
	assert_int_equal(upload_note_keep(&first, "0 https://host/first", &e), 0);
	assert_int_equal(upload_note_keep(&second, "0 https://host/second", &e), 0);
	assert_int_equal(upload_note_drop(&second, &e), 0);
	upload_note_fini(&first);
	upload_note_fini(&second);
	assert_int_equal(find("host/two", &text), 1);
	assert_string_equal(text.s, "0 https://host/first");
}

static void what_is_done_or_old_is_forgotten(void **state)
{
	AUTO_BUF text = BUF_INIT, key = BUF_INIT;
	struct upload_note n;
	struct digest d;
	char old[64];
	struct err e;

	(void)state;
	upload_note_init(&n, &store, "host/done", &blob);
	assert_int_equal(upload_note_keep(&n, "0 https://host/d", &e), 0);
	assert_int_equal(upload_note_drop(&n, &e), 0);
	upload_note_fini(&n);
	assert_int_equal(find("host/done", &text), 0);

	buf_addf(&key, "host/old@%s", DIGEST_STR(&blob));
	digest_of(&d, key.s, key.len);
	snprintf(old, sizeof(old), "%lld 0 https://host/e",
	         (long long)clock_wall_s() - 8 * 24 * 60 * 60);
	assert_int_equal(state_put(store.state, STATE_UPLOADS, d.b, DIGEST_SIZE, old,
	                           strlen(old), &e),
	                 0);
	assert_int_equal(find("host/old", &text), 0);
	upload_note_init(&n, &store, "host/new", &blob);
	assert_int_equal(upload_note_keep(&n, "0 https://host/f", &e), 0);
	upload_note_fini(&n);
	assert_int_equal(upload_notes_expire(store.state, false, &e), 0);
	assert_int_equal(
		state_get(store.state, STATE_UPLOADS, d.b, DIGEST_SIZE, &text, &e), 0);
	assert_int_equal(find("host/new", &text), 1);
	assert_int_equal(upload_notes_expire(store.state, true, &e), 0);
	assert_int_equal(find("host/new", &text), 0);
}

static void without_a_store_nothing_is_noted(void **state)
{
	AUTO_BUF text = BUF_INIT;
	struct upload_note n;
	struct err e;

	(void)state;
	upload_note_init(&n, NULL, "host/app", &blob);
	assert_int_equal(upload_note_keep(&n, "0 https://host/a", &e), 0);
	assert_int_equal(upload_note_find(&n, &text, &e), 0);
	assert_int_equal(upload_note_drop(&n, &e), 0);
	upload_note_fini(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_note_is_found_once_its_writer_is_gone),
		cmocka_unit_test(a_killed_process_leaves_its_note),
		cmocka_unit_test(who_comes_second_notes_nothing),
		cmocka_unit_test(what_is_done_or_old_is_forgotten),
		cmocka_unit_test(without_a_store_nothing_is_noted),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
