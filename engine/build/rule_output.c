/* What a host rule makes: what there is of it, and what was left when it was made. */
#include "build/rule_output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/path.h"
#include "build/fileset.h"
#include "os/file.h"
#include "store/state.h"

void rule_state_key(const struct node *n, struct buf *out)
{
	buf_adds(out, n->build->recipe->root);
	buf_addc(out, '\0');
	buf_adds(out, n->target->name);
}

const char *rule_output_path(const struct node *n)
{
	const char *name = n->target->name;
	size_t dir = strlen(n->target->dir);

	return path_below(name, n->target->dir) ? name + (dir ? dir + 1 : 0) : name;
}

static int hash(struct fileset **set, const struct context *c, struct err *e)
{
	if (fileset_hash(*set, c, e) == 0)
		return 0;
	fileset_free(*set);
	return -1;
}

int rule_find_deps(struct node *n, struct fileset **out, struct err *e)
{
	return fileset_glob(out, n->context, &n->target->deps, e) < 0
	               ? -1
	               : hash(out, n->context, e);
}

void rule_hash_file(struct hasher *h, const struct project_file *f)
{
	hasher_str(h, f->dest);
	hasher_int(h, f->type);
	hasher_int(h, f->executable);
	hasher_digest(h, &f->digest);
	hasher_str(h, f->link);
}

/* Beside the state, for `why` alone. */
void rule_files_key(const struct node *n, struct buf *out)
{
	rule_state_key(n, out);
	buf_add(out, "\0files", 6);
}

static void encode_files(const struct fileset *set, struct buf *out)
{
	AUTO(arena_fini) struct arena a = ARENA_INIT;
	AUTO(key_fini) struct key k;

	key_init(&k, &a);
	fileset_list(set, &k);
	components_encode(k.parts.at, k.parts.len, out);
}

/* 1: *out is what is there, to be freed; 0: nothing is. */
static int output_files(struct node *n, struct fileset **out, struct err *e)
{
	AUTO_BUF path = BUF_INIT;
	struct stat st;

	path_clean(&path, rule_output_path(n));
	if (fstatat(n->context->fd, path.s, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode))
		return err_set(e, ERR_FAILED,
		               "%s is a socket, FIFO or device, which no rule makes; "
		               "remove it",
		               path.s);
	if (fileset_made(out, n->context, path.s, e) < 0)
		return -1;
	return hash(out, n->context, e) < 0 ? -1 : 1;
}

static void digest_files(const struct fileset *set, struct digest *out)
{
	struct hasher h;

	hasher_init(&h);
	for (size_t i = 0; i < set->files.len; i++)
		rule_hash_file(&h, &set->files.at[i]);
	hasher_end(&h, out);
}

int rule_output_digest(struct node *n, struct digest *out, struct err *e)
{
	struct fileset *set;
	int there = output_files(n, &set, e);

	if (there > 0) {
		digest_files(set, out);
		fileset_free(set);
	}
	return there;
}

int rule_outputs(struct node *n, struct arena *a, struct record *then, struct key *now,
                 struct err *e)
{
	AUTO_BUF key = BUF_INIT, data = BUF_INIT;
	struct fileset *set;
	int rc;

	rule_files_key(n, &key);
	rc = state_get(n->build->o.store->state, STATE_RULES, key.s, key.len, &data, e);
	if (rc <= 0)
		return rc;
	if (!components_decode(a, arena_memdup(a, data.s, data.len), data.len,
	                       &then->parts, &then->n))
		return 0;
	rc = output_files(n, &set, e);
	if (rc > 0) {
		fileset_list(set, now);
		fileset_free(set);
	}
	return rc;
}

static int check_kind(struct node *n, struct err *e)
{
	const char *name = rule_output_path(n);
	bool directory = name[strlen(name) - 1] == '/';
	struct stat st;

	if (fstatat(n->context->fd, name, &st, directory ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOTDIR
		               ? err_set(e, ERR_FAILED,
		                         "its command made %s, but no directory", name)
		               : err_sys(e, "stat %s", name);
	if (!directory && S_ISDIR(st.st_mode))
		return err_set(
			e, ERR_FAILED,
			"its command made a directory (call it '%s/' if it is one)",
			name);
	return 0;
}

int rule_output_take(struct node *n, struct digest *out, struct buf *files, struct err *e)
{
	struct fileset *set;
	int rc = output_files(n, &set, e);

	if (rc < 0)
		return -1;
	if (!rc)
		return err_set(e, ERR_FAILED,
		               "its command succeeded, but did not make %s",
		               rule_output_path(n));
	rc = check_kind(n, e);
	digest_files(set, out);
	encode_files(set, files);
	fileset_free(set);
	return rc;
}
