#include "registry/hello.h"

#include <curl/curl.h>
#include <poll.h>
#include <string.h>

#include "base/buf.h"
#include "registry/curl_late.h"

enum { PATIENCE_MS = 250 };

/* A whole ClientHello (RFC 8446, 4.1.2), so that a server of TLS has something to answer:
 * lengths; TLS 1.2; random bytes, which need be none, since nothing is ever said after
 * it; a session, so that servers that wait for a line see one; cipher suites;
 * compression; extensions: groups, point formats, signatures, extended master secret. */
static const unsigned char hello[] = {
	0x16, 0x03, 0x01, 0x00, 0x51, 0x01, 0x00, 0x00, 0x4d, 0x03, 0x03, 1,    2,
	3,    4,    5,    6,    7,    8,    9,    10,   11,   12,   13,   14,   15,
	16,   17,   18,   19,   20,   21,   22,   23,   24,   25,   26,   27,   28,
	29,   30,   31,   32,   2,    '\r', '\n', 0x00, 0x06, 0x13, 0x01, 0xc0, 0x2b,
	0xc0, 0x2f, 0x01, 0x00, 0x00, 0x1c, 0x00, 0x0a, 0x00, 0x04, 0x00, 0x02, 0x00,
	0x1d, 0x00, 0x0b, 0x00, 0x02, 0x01, 0x00, 0x00, 0x0d, 0x00, 0x06, 0x00, 0x04,
	0x04, 0x03, 0x08, 0x04, 0x00, 0x17, 0x00, 0x00,
};

static bool answers_http(CURL *c)
{
	struct pollfd wait = { .events = POLLIN };
	curl_socket_t fd = CURL_SOCKET_BAD;
	char answer[5];
	size_t n;

	if (curl_easy_getinfo(c, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK ||
	    curl_easy_send(c, hello, sizeof(hello), &n) != CURLE_OK || n != sizeof(hello))
		return false;
	wait.fd = fd;
	return poll(&wait, 1, PATIENCE_MS) == 1 &&
	       curl_easy_recv(c, answer, sizeof(answer), &n) == CURLE_OK &&
	       n == sizeof(answer) && !memcmp(answer, "HTTP/", sizeof(answer));
}

bool hello_finds_plain(const char *authority)
{
	AUTO_BUF url = BUF_INIT;
	struct err e;
	bool plain;
	CURL *c = curl_late_load(&e) < 0 ? NULL : curl_easy_init();

	if (!c)
		return false;
	buf_addf(&url, "http://%s/", authority);
	curl_easy_setopt(c, CURLOPT_URL, url.s);
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)PATIENCE_MS);
	plain = curl_easy_perform(c) == CURLE_OK && answers_http(c);
	curl_easy_cleanup(c);
	return plain;
}
