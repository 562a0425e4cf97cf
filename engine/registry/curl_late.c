#include "registry/curl_late.h"

#include <curl/curl.h>
#include <openssl/ssl.h>
#include <stdarg.h>

#include "os/late.h"

#define CURL_FUNCTIONS(X)                                                                \
	X(CURLcode, curl_global_init, (long flags), (flags))                             \
	X(curl_version_info_data *, curl_version_info, (CURLversion v), (v))             \
	X(time_t, curl_getdate, (const char *text, const time_t *unused),                \
	  (text, unused))                                                                \
	X(CURL *, curl_easy_init, (void), ())                                            \
	X(CURLcode, curl_easy_perform, (CURL * easy), (easy))                            \
	X(CURLcode, curl_easy_send,                                                      \
	  (CURL * easy, const void *data, size_t n, size_t *sent),                       \
	  (easy, data, n, sent))                                                         \
	X(CURLcode, curl_easy_recv, (CURL * easy, void *data, size_t n, size_t *got),    \
	  (easy, data, n, got))                                                          \
	X(void, curl_easy_reset, (CURL * easy), (easy))                                  \
	X(void, curl_easy_cleanup, (CURL * easy), (easy))                                \
	X(CURLSH *, curl_share_init, (void), ())                                         \
	X(CURLSHcode, curl_share_cleanup, (CURLSH * share), (share))                     \
	X(struct curl_slist *, curl_slist_append,                                        \
	  (struct curl_slist * list, const char *text), (list, text))                    \
	X(void, curl_slist_free_all, (struct curl_slist * list), (list))

/* Written out below: their last argument has no name. */
#define DOTTED(X)                                                                        \
	X(CURLcode, curl_easy_setopt, , )                                                \
	X(CURLcode, curl_easy_getinfo, , )                                               \
	X(CURLSHcode, curl_share_setopt, , )

#define SSL_FUNCTIONS(X)                                                                 \
	X(int, SSL_CTX_load_verify_file, (SSL_CTX * ctx, const char *file), (ctx, file))

CURL_FUNCTIONS(LATE_POINTER)
SSL_FUNCTIONS(LATE_POINTER)
DOTTED(LATE_POINTER)

CURL_FUNCTIONS(LATE_FUNCTION)
SSL_FUNCTIONS(LATE_FUNCTION)

/* What comes in place of the dots is told by the option, as curl.h defines it. */
CURLcode(curl_easy_setopt)(CURL *easy, CURLoption option, ...)
{
	int type = (int)option / 10000 * 10000;
	CURLcode rc;
	va_list ap;

	va_start(ap, option);
	if (type == CURLOPTTYPE_LONG)
		rc = late_curl_easy_setopt(easy, option, va_arg(ap, long));
	else if (type == CURLOPTTYPE_OFF_T)
		rc = late_curl_easy_setopt(easy, option, va_arg(ap, curl_off_t));
	else
		rc = late_curl_easy_setopt(easy, option, va_arg(ap, void *));
	va_end(ap);
	return rc;
}

CURLcode(curl_easy_getinfo)(CURL *easy, CURLINFO info, ...)
{
	CURLcode rc;
	va_list ap;

	va_start(ap, info);
	rc = late_curl_easy_getinfo(easy, info, va_arg(ap, void *));
	va_end(ap);
	return rc;
}

/* What is shared is given as an int, all else as a pointer. */
CURLSHcode(curl_share_setopt)(CURLSH *share, CURLSHoption option, ...)
{
	CURLSHcode rc;
	va_list ap;

	va_start(ap, option);
	if (option == CURLSHOPT_SHARE || option == CURLSHOPT_UNSHARE)
		rc = late_curl_share_setopt(share, option, va_arg(ap, int));
	else
		rc = late_curl_share_setopt(share, option, va_arg(ap, void *));
	va_end(ap);
	return rc;
}

static void start(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

int curl_late_load(struct err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	static const struct late_name curl_names[] = { CURL_FUNCTIONS(LATE_NAME)
		                                               DOTTED(LATE_NAME) };
	static const struct late_name ssl_names[] = { SSL_FUNCTIONS(LATE_NAME) };
	static struct late curl = { .soname = "libcurl.so.4",
		                    .package = "libcurl",
		                    .names = curl_names,
		                    .n = ARRAY_LEN(curl_names),
		                    .lock = PTHREAD_MUTEX_INITIALIZER };
	static struct late ssl = { .soname = "libssl.so.3",
		                   .package = "OpenSSL 3",
		                   .names = ssl_names,
		                   .n = ARRAY_LEN(ssl_names),
		                   .lock = PTHREAD_MUTEX_INITIALIZER };

	if (late_load(&curl, e) < 0 || late_load(&ssl, e) < 0)
		return -1;
	pthread_once(&once, start);
	return 0;
}
