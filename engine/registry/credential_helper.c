/* docker-credential-NAME get: the server on standard input, JSON on standard output
 * (github.com/docker/docker-credential-helpers). */
#include <string.h>

#include "os/process.h"
#include "registry/credentials.h"

static bool name_valid(const char *name)
{
	return *name &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name);
}

static int read_answer(const struct buf *out, struct credential *cred, struct err *e)
{
	const char *user = "", *secret = NULL;
	json_t *root = NULL;
	int rc = json_read_secret(&root, out->s, out->len, e);

	if (rc == 0)
		rc = json_member_str(root, "Username", false, &user, e);
	if (rc == 0)
		rc = json_member_str(root, "Secret", true, &secret, e);
	if (rc == 0) {
		cred->identity = !strcmp(user, "<token>");
		cred->user = mem_strdup(cred->identity ? "" : user);
		cred->secret = mem_strdup(secret);
		explicit_bzero((char *)secret, strlen(secret));
	}
	json_decref(root);
	return rc < 0 ? -1 : 1;
}

/* Helpers say "nobody" with a failure and these words. */
static bool says_nobody(const struct buf *out)
{
	return strstr(out->s, "credentials not found") != NULL ||
	       strstr(out->s, "no credentials server URL") != NULL;
}

static int refused(const char *program, const struct buf *out, const struct buf *errors,
                   struct err *e)
{
	const struct buf *said = errors->len ? errors : out;
	AUTO_BUF shown = BUF_INIT;

	buf_add_printable(&shown, said->s, strcspn(said->s, "\n"));
	return err_set(e, ERR_DENIED, "%s failed: %.300s", program, shown.s);
}

/* What it prints may hold a secret: the caller wipes `out`. */
static int call(const char *program, const char *verb, const void *input, size_t n,
                struct buf *out, struct buf *errors, int *status, struct err *e)
{
	const char *argv[] = { program, verb, NULL };
	struct process_options o = { .argv = argv,
		                     .cwd = -1,
		                     .input = input,
		                     .input_len = n,
		                     .out = out,
		                     .err = errors };

	buf_reserve(out, 16 * 1024); /* growing would leave copies of the secret */
	if (process_run(&o, status, e) < 0)
		return err_wrap(e, "credential helper %s", program);
	return 0;
}

static int program_of(const char *name, struct buf *out, struct err *e)
{
	if (!name_valid(name))
		return err_set(
			e, ERR_INVALID,
			"'%.100s' is no name of a credential helper: they are of a-z, "
			"0-9 and -",
			name);
	buf_addf(out, "docker-credential-%s", name);
	return 0;
}

int credentials_tell_helper(const char *name, const char *verb, const struct buf *input,
                            struct err *e)
{
	AUTO_BUF program = BUF_INIT, out = BUF_INIT, errors = BUF_INIT;
	int status, rc = 0;

	if (program_of(name, &program, e) < 0 ||
	    call(program.s, verb, input->s, input->len, &out, &errors, &status, e) < 0)
		return -1;
	if (status != 0 && !says_nobody(&out) && !says_nobody(&errors))
		rc = refused(program.s, &out, &errors, e);
	if (out.len)
		explicit_bzero(out.s, out.len);
	return rc;
}

int credentials_from_helper(const char *name, const char *server, struct credential *cred,
                            struct err *e)
{
	AUTO_BUF program = BUF_INIT, out = BUF_INIT, errors = BUF_INIT;
	int status = 0, rc;

	*cred = (struct credential)CREDENTIAL_INIT;
	if (program_of(name, &program, e) < 0 ||
	    call(program.s, "get", server, strlen(server), &out, &errors, &status, e) < 0)
		return -1;
	if (status == 0)
		rc = read_answer(&out, cred, e);
	else
		rc = says_nobody(&out) || says_nobody(&errors)
		             ? 0
		             : refused(program.s, &out, &errors, e);
	if (out.len)
		explicit_bzero(out.s, out.len);
	if (rc < 0)
		return err_wrap(e, "ask %s for %s", program.s, server);
	if (rc > 0)
		cred->source = mem_strdup(program.s);
	return rc;
}
