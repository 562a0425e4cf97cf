/* imgmake login, logout. */
#include "registry/login.h"

#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cmd/ask.h"
#include "cmd/commands.h"

static int some_line(struct buf *out, const char *what, struct err *e)
{
	if (ask_line(out, what, e) < 0)
		return -1;
	return out->len ? 0 : err_set(e, ERR_INVALID, "the %s is empty", what);
}

/* Asks a person; what is typed is not shown if it is secret. ^C comes as a character that
 * ends the line, so that the terminal is never left as it is now. */
static int ask(const char *what, bool secret, struct buf *out, struct err *e)
{
	struct termios before, now;
	int rc;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &before) < 0)
		return err_set(e, ERR_INVALID,
		               "standard input is no terminal to ask for the %s; give "
		               "--username NAME --password-stdin",
		               what);
	now = before;
	now.c_lflag &= ~(tcflag_t)(secret ? ISIG | ECHO : ISIG);
	now.c_cc[VEOL] = ASK_INTERRUPT;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &now);
	dprintf(STDERR_FILENO, "%s: ", what);
	rc = some_line(out, what, e);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	if (secret)
		dprintf(STDERR_FILENO, "\n");
	return rc;
}

static int read_password(const struct options *o, struct buf *out, struct err *e)
{
	if (!o->password_stdin)
		return ask("password", true, out, e);
	return some_line(out, "password", e);
}

static int log_in(struct session *s, const struct login *l, struct err *e)
{
	AUTO_FREE char *where = NULL;
	bool wanted;

	if (login_check(s->registry, l, &wanted, e) < 0 || login_keep(l, &where, e) < 0)
		return -1;
	if (!wanted)
		terminal_note(s->terminal,
		              "%s asks nobody for a password; it was kept unverified",
		              l->host);
	terminal_note(s->terminal, "logged in to %s as \"%s\" (%s)", l->host, l->user,
	              where);
	return 0;
}

static int login(struct session *s, struct err *e)
{
	const struct options *o = s->options;
	AUTO_BUF host = BUF_INIT, user = BUF_INIT, secret = BUF_INIT;
	int rc = login_host(o->words.at[0], &host, e);

	if (rc == 0 && o->username)
		buf_adds(&user, o->username);
	else if (rc == 0 && o->password_stdin)
		rc = err_set(e, ERR_INVALID, "--password-stdin wants --username, too");
	else if (rc == 0)
		rc = ask("user name", false, &user, e);
	if (rc == 0 && strchr(user.s, ':'))
		rc = err_set(e, ERR_INVALID, "a user name has no colon");
	if (rc == 0)
		rc = read_password(o, &secret, e);
	if (rc == 0)
		rc = log_in(s, &(struct login){ host.s, user.s, secret.s }, e);
	if (secret.len)
		explicit_bzero(secret.s, secret.len);
	return rc;
}

int cmd_login(const struct options *o, struct terminal *t)
{
	struct session s;
	struct err e;

	if (session_open(&s, o, t, SESSION_REGISTRY, &e) < 0 || login(&s, &e) < 0)
		return session_fail(&s, &e);
	return session_end(&s, 0);
}

int cmd_logout(const struct options *o, struct terminal *t)
{
	AUTO_STRLIST where = STRLIST_INIT;
	AUTO_BUF host = BUF_INIT;
	struct session s;
	struct err e;

	if (session_open(&s, o, t, 0, &e) < 0 ||
	    login_host(o->words.at[0], &host, &e) < 0 ||
	    login_forget(host.s, &where, &e) < 0)
		return session_fail(&s, &e);
	if (!where.len)
		terminal_note(t, "not logged in to %s", host.s);
	for (size_t i = 0; i < where.len; i++)
		terminal_note(t, "logged out of %s (%s)", host.s, where.at[i]);
	return session_end(&s, 0);
}
