/* Telling plain http from TLS by one hello. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "registry/curl_late.h"
#include "registry/hello.h"

/* Answers one hello with `answer`, and keeps what it was told. */
struct server {
	int fd;
	char authority[32];
	const char *answer;
	char told[256];
	ssize_t n;
	pthread_t thread;
};

static void *serve(void *arg)
{
	struct server *s = arg;
	int c = accept(s->fd, NULL, NULL);
	char rest[16];

	s->n = read(c, s->told, sizeof(s->told));
	if (*s->answer)
		(void)!write(c, s->answer, strlen(s->answer));
	while (read(c, rest, sizeof(rest)) > 0) /* until the other has enough */
		;
	close(c);
	return NULL;
}

static bool finds_plain(struct server *s, const char *answer)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		                  .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t n = sizeof(at);
	bool found;

	*s = (struct server){ .answer = answer };
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->fd, (void *)&at, sizeof(at)), 0);
	assert_int_equal(listen(s->fd, 1), 0);
	assert_int_equal(getsockname(s->fd, (void *)&at, &n), 0);
	snprintf(s->authority, sizeof(s->authority), "localhost:%d", ntohs(at.sin_port));
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
	found = hello_finds_plain(s->authority);
	pthread_join(s->thread, NULL);
	close(s->fd);
	return found;
}

static void an_answer_in_http_is_plain(void **state)
{
	struct server s;

	(void)state;
	assert_true(finds_plain(&s, "HTTP/1.1 400 Bad Request\r\n\r\n"));
}

static void a_client_hello_is_what_it_says(void **state)
{
	struct server s;
	const unsigned char *b = (const unsigned char *)s.told;

	(void)state;
	finds_plain(&s, "HTTP/1.1 400 Bad Request\r\n\r\n");
	assert_true(s.n > 9 && memchr(s.told, '\n', (size_t)s.n));
	assert_int_equal(b[0], 0x16);
	assert_int_equal(b[3] << 8 | b[4], s.n - 5);
	assert_int_equal(b[5], 1);
	assert_int_equal(b[6] << 16 | b[7] << 8 | b[8], s.n - 9);
}

static void anything_else_is_left_to_a_handshake(void **state)
{
	struct server s;

	(void)state;
	assert_false(finds_plain(&s, "\x15\x03\x01\x01\x02\x02\x28"));
	assert_false(finds_plain(&s, "SSH-2.0-OpenSSH\r\n"));
	assert_false(finds_plain(&s, ""));            /* silent */
	assert_false(hello_finds_plain(s.authority)); /* nobody listens any more */
}

static int load(void **state)
{
	struct err e;

	(void)state;
	return curl_late_load(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_in_http_is_plain),
		cmocka_unit_test(a_client_hello_is_what_it_says),
		cmocka_unit_test(anything_else_is_left_to_a_handshake),
	};

	return cmocka_run_group_tests(tests, load, NULL);
}
