#include "build/account_add.h"

#include <string.h>

enum {
	FREE_SYSTEM = 100,
	FREE_ORDINARY = 1000,
	FREE_END = 60000, /* beyond are ids that are handed out in other ways */
};

/* Ends what is there with a newline, so that a line can follow. */
static void end_line(struct buf *text)
{
	if (text->len && text->s[text->len - 1] != '\n')
		buf_adds(text, "\n");
}

/* Whether a list has the id, in its third field. */
static bool has_id(const struct buf *text, uint32_t id)
{
	uint32_t found;
	const char *line = text->s, *end = text->s + text->len;

	for (; line < end; line = account_next(line, end))
		if (account_id(line, end, &found) && found == id)
			return true;
	return false;
}

/* The first number that is nobody's; neither list may have it where both are given. */
static int first_free(const struct buf *a, const struct buf *b, bool system,
                      uint32_t *out, struct err *e)
{
	uint32_t id = system ? FREE_SYSTEM : FREE_ORDINARY,
		 end = system ? FREE_ORDINARY : FREE_END;

	for (; id < end; id++) {
		if (has_id(a, id) || (b && has_id(b, id)))
			continue;
		*out = id;
		return 0;
	}
	return err_set(e, ERR_LIMIT, "all numbers below %u are taken; give one", end);
}

static int check_free(const struct buf *text, const char *what, const char *path,
                      uint32_t id, struct err *e)
{
	if (has_id(text, id))
		return err_set(e, ERR_INVALID,
		               "the number %u is taken by another %s of the image's %s",
		               id, what, path);
	return 0;
}

/* The group's number, if the image has it already. */
static int existing_group(const struct account_files *f, const struct step_account *a,
                          uint32_t *gid, struct err *e)
{
	const char *line = account_find(&f->group, a->group),
		   *end = f->group.s + f->group.len;

	if (!line)
		return 0;
	if (!account_id(line, end, gid))
		return err_set(e, ERR_INVALID,
		               "group '%s' has no valid number in /etc/group", a->group);
	if (!*a->user || (a->gid >= 0 && (uint32_t)a->gid != *gid))
		return err_set(e, ERR_INVALID,
		               "the image has a group '%s' already, with the number %u",
		               a->group, *gid);
	return 1;
}

static void new_group(struct account_files *f, const char *name, uint32_t gid)
{
	end_line(&f->group);
	buf_addf(&f->group, "%s:x:%u:\n", name, gid);
	if (!f->has_gshadow)
		return;
	end_line(&f->gshadow);
	buf_addf(&f->gshadow, "%s:!::\n", name);
}

/* A group of the user's own has the user's number where that is free. */
static int choose_ids(const struct account_files *f, const struct step_account *a,
                      bool has_group, struct owner *o, struct err *e)
{
	const struct buf *groups = has_group ? NULL : &f->group;

	if (*a->user && a->uid >= 0)
		o->uid = (uint32_t)a->uid;
	else if (*a->user && !has_group && a->gid >= 0 &&
	         !has_id(&f->passwd, (uint32_t)a->gid))
		o->uid = (uint32_t)a->gid;
	else if (*a->user && first_free(&f->passwd, groups, a->system, &o->uid, e) < 0)
		return -1;
	if (has_group)
		return 0;
	if (a->gid >= 0)
		o->gid = (uint32_t)a->gid;
	else if (*a->user && !has_id(&f->group, o->uid))
		o->gid = o->uid;
	else if (first_free(&f->group, NULL, a->system, &o->gid, e) < 0)
		return -1;
	return check_free(&f->group, "group", "/etc/group", o->gid, e);
}

/* "staff:x:50:app" → "staff:x:50:app,more"; the fourth field is the last in both. */
static int join(struct buf *text, const char *path, const char *group, const char *user,
                struct err *e)
{
	const char *line = account_find(text, group), *end = text->s + text->len, *stop,
		   *f;
	AUTO_BUF out = BUF_INIT;

	if (!line)
		return err_set(e, ERR_INVALID,
		               "the image has no group '%s' in %s; add it first", group,
		               path);
	stop = memchr(line, '\n', (size_t)(end - line));
	stop = stop ? stop : end;
	if (!account_field(line, stop, 3, &f))
		return err_set(e, ERR_INVALID, "group '%s' has no list of members in %s",
		               group, path);
	buf_add(&out, text->s, (size_t)(stop - text->s));
	buf_addf(&out, "%s%s", stop[-1] == ':' ? "" : ",", user);
	buf_add(&out, stop, (size_t)(end - stop));
	buf_reset(text);
	buf_add(text, out.s, out.len);
	return 0;
}

static int new_user(struct account_files *f, const struct step_account *a,
                    const struct owner *o, struct err *e)
{
	end_line(&f->passwd);
	buf_addf(&f->passwd, "%s:x:%u:%u:%s:%s:%s\n", a->user, o->uid, o->gid, a->comment,
	         *a->home ? a->home : "/nonexistent", a->shell);
	if (f->has_shadow) {
		/* No password, and no date, which would be another each day. */
		end_line(&f->shadow);
		buf_addf(&f->shadow, "%s:!:::::::\n", a->user);
	}
	for (size_t i = 0; i < a->groups.n; i++) {
		const char *group = a->groups.at[i];

		if (join(&f->group, "/etc/group", group, a->user, e) < 0)
			return -1;
		if (f->has_gshadow && account_find(&f->gshadow, group) &&
		    join(&f->gshadow, "/etc/gshadow", group, a->user, e) < 0)
			return -1;
	}
	return 0;
}

int account_add(struct account_files *f, const struct step_account *a, struct owner *out,
                struct err *e)
{
	int has_group = existing_group(f, a, &out->gid, e);

	out->uid = 0;
	if (has_group < 0)
		return -1;
	if (*a->user && account_find(&f->passwd, a->user))
		return err_set(e, ERR_INVALID,
		               "the image has a user '%s' already; user \"%s\" is enough",
		               a->user, a->user);
	if (choose_ids(f, a, has_group, out, e) < 0)
		return -1;
	if (*a->user && check_free(&f->passwd, "user", "/etc/passwd", out->uid, e) < 0)
		return -1;
	if (!has_group)
		new_group(f, a->group, out->gid);
	return *a->user ? new_user(f, a, out, e) : 0;
}
