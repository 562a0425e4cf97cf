#include "base/mode.h"

#include <string.h>
#include <sys/stat.h>

enum { USER = 0700 | S_ISUID, GROUP = 0070 | S_ISGID, OTHER = 0007 };

/* One clause, as "ug+rw-x". */
struct clause {
	uint32_t who;
	bool all; /* "a", or nobody was named */
	bool is_dir;
};

static uint32_t spread(uint32_t three)
{
	return three << 6 | three << 3 | three;
}

/* The letters behind an operator; *p goes past them. */
static uint32_t read_letters(const struct clause *c, uint32_t mode, const char **p)
{
	uint32_t bits = 0;

	for (;; (*p)++) {
		switch (**p) {
		case 'r': bits |= spread(4); break;
		case 'w': bits |= spread(2); break;
		case 'x': bits |= spread(1); break;
		case 'X': bits |= c->is_dir || mode & 0111 ? spread(1) : 0; break;
		case 's': bits |= S_ISUID | S_ISGID; break;
		case 't': bits |= c->all || c->who & OTHER ? S_ISVTX : 0; break;
		default: return bits;
		}
	}
}

static uint32_t read_bits(const struct clause *c, uint32_t mode, const char **p)
{
	switch (**p) {
	case 'u': (*p)++; return spread(mode >> 6 & 7);
	case 'g': (*p)++; return spread(mode >> 3 & 7);
	case 'o': (*p)++; return spread(mode & 7);
	default: return read_letters(c, mode, p);
	}
}

/* Of directories, "=" leaves what is not named: setgid there is inherited. */
static uint32_t cleared_by_equals(const struct clause *c)
{
	uint32_t of = c->who | (c->all ? S_ISVTX : 0);

	return c->is_dir ? of & 0777 : of;
}

static int change_once(const struct clause *c, const char **p, uint32_t *mode)
{
	char op = **p;
	uint32_t bits;

	if (!op || !strchr("+-=", op))
		return -1;
	(*p)++;
	bits = read_bits(c, *mode, p) & (c->who | S_ISVTX);
	if (op == '=')
		*mode &= ~cleared_by_equals(c);
	*mode = op == '-' ? *mode & ~bits : *mode | bits;
	return 0;
}

static void read_who(struct clause *c, const char **p)
{
	for (; **p && strchr("ugoa", **p); (*p)++) {
		c->who |= **p == 'u' ? USER : **p == 'g' ? GROUP : **p == 'o' ? OTHER : 0;
		c->all |= **p == 'a';
	}
	c->all |= !c->who;
	if (c->all)
		c->who = USER | GROUP | OTHER;
}

int mode_change(const char *text, uint32_t mode, bool is_dir, uint32_t *out)
{
	const char *p = text;

	*out = mode;
	do {
		struct clause c = { .is_dir = is_dir };

		read_who(&c, &p);
		do
			if (change_once(&c, &p, out) < 0)
				return -1;
		while (*p && strchr("+-=", *p));
	} while (*p++ == ',');
	return p[-1] ? -1 : 0;
}
