#include "cmd/ask.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "cmd/session.h"
#include "os/fd.h"

enum { LINE_MAX_BYTES = 64 << 10, PATIENCE = 5000 /* ms */ };

/* As the terminal would have: but only when it shows what is typed again. */
static int interrupted(struct err *e)
{
	static const struct timespec moment = { .tv_nsec = 1000000 };

	kill(getpid(), SIGINT);
	/* Another thread takes it: before it has, we would end with an error's status. */
	for (int i = 0; i < PATIENCE && !atomic_load(session_interrupted()); i++)
		nanosleep(&moment, NULL);
	return err_set(e, ERR_CANCELLED, "interrupted");
}

int ask_line(struct buf *out, const char *what, struct err *e)
{
	char c;

	buf_reserve(out, LINE_MAX_BYTES);
	for (;;) {
		ssize_t n = fd_read(STDIN_FILENO, &c, 1, "standard input", e);

		if (n < 0)
			return -1;
		if (!n || c == '\n')
			break;
		if (c == ASK_INTERRUPT)
			return interrupted(e);
		if (out->len + 1 >= LINE_MAX_BYTES)
			return err_set(e, ERR_LIMIT, "the %s is too long", what);
		buf_addc(out, c);
	}
	if (out->len && out->s[out->len - 1] == '\r')
		buf_truncate(out, out->len - 1);
	return 0;
}
