#include "image/place_meta.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

const char *proc_fd(char out[PROC_FD_MAX], int fd)
{
	snprintf(out, PROC_FD_MAX, "/proc/self/fd/%d", fd);
	return out;
}

/* *owned: the owner is who it should be. EINVAL: no such id in our user namespace. Giving
 * it away may change the mode. */
static int set_owner(int fd, struct stat *st, const struct toc_entry *t, bool *owned,
                     struct err *e)
{
	*owned = st->st_uid == t->uid && st->st_gid == t->gid;
	if (*owned)
		return 0;
	st->st_mode = 0;
	*owned = fchownat(fd, "", t->uid, t->gid, AT_EMPTY_PATH) == 0;
	if (*owned || errno == EPERM || errno == EINVAL)
		return 0;
	return err_sys(e, "set the owner of /%s", t->path);
}

static bool starts_with(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

/* The marks of overlayfs, which would make it see what is not there. */
static bool is_overlay_mark(const char *name)
{
	return starts_with(name, "user.overlay.") ||
	       starts_with(name, "trusted.overlay.");
}

static bool is_no_right(int sys)
{
	return sys == EPERM || sys == EACCES || sys == EOPNOTSUPP || sys == EINVAL;
}

/* Those of users, or all others. */
static int set_xattrs(struct unpack_report *report, const char *proc,
                      const struct toc_entry *t, bool users, struct err *e)
{
	for (size_t i = 0; i < t->n_xattrs; i++) {
		const struct toc_xattr *x = &t->xattrs[i];

		if (starts_with(x->name, "user.") != users || is_overlay_mark(x->name))
			continue;
		if (setxattr(proc, x->name, x->value, x->size, 0) == 0)
			continue;
		if (!is_no_right(errno))
			return err_sys(e, "set %s of /%s", x->name, t->path);
		report->xattrs_skipped++;
	}
	return 0;
}

static int set_mode(const char *proc, const struct stat *st, const struct toc_entry *t,
                    bool owned, struct err *e)
{
	mode_t mode = t->mode & 07777;

	if (t->type == TOC_SYMLINK)
		return 0; /* has none */
	if (!owned) /* who runs it would become someone that the image did not mean */
		mode &= ~(mode_t)(S_ISUID | S_ISGID);
	if (st->st_mode == (S_IFREG | mode))
		return 0; /* a file that was put beside with it */
	if (chmod(proc, mode) < 0)
		return err_sys(e, "set the mode of /%s", t->path);
	return 0;
}

static bool is_time(const struct timespec *ts, int64_t seconds)
{
	return ts->tv_sec == seconds && ts->tv_nsec == 0;
}

int place_meta(struct unpack_report *report, int fd, const struct toc_entry *t,
               struct err *e)
{
	const struct timespec times[2] = { { .tv_sec = t->mtime },
		                           { .tv_sec = t->mtime } };
	char proc[PROC_FD_MAX];
	struct stat st;
	bool owned;

	if (fstat(fd, &st) < 0)
		return err_sys(e, "stat /%s", t->path);
	proc_fd(proc, fd);
	if (set_owner(fd, &st, t, &owned, e) < 0 ||
	    set_xattrs(report, proc, t, true, e) < 0 ||
	    set_mode(proc, &st, t, owned, e) < 0 ||
	    set_xattrs(report, proc, t, false, e) < 0)
		return -1;
	report->owners_skipped += !owned;
	if (is_time(&st.st_atim, t->mtime) && is_time(&st.st_mtim, t->mtime))
		return 0;
	if (utimensat(fd, "", times, AT_EMPTY_PATH) < 0)
		return err_sys(e, "set the time of /%s", t->path);
	return 0;
}
