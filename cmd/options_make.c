/* What make was told, where it called us: $MAKEFLAGS (GNU make manual, "Communicating
 * Options to a Sub-make"). */
#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/options.h"

/* Letters of options without a value are the first word, without a dash; " -j2" and
 * "NAME=value" have none. */
static const char *letters_of(const char *flags, size_t *n)
{
	*n = strcspn(flags, " ");
	if (*flags == '-' || memchr(flags, '=', *n))
		*n = 0;
	return flags;
}

/* -l2.5; the last one counts. 0: none was said. */
static double load_of(const char *flags)
{
	double load = 0;

	for (const char *s = flags; *s; s += strcspn(s, " "), s += strspn(s, " ")) {
		if (!strncmp(s, "-- ", 3))
			break; /* variables follow, and may hold anything */
		if (!strncmp(s, "-l", 2) && (load = strtod(s + 2, NULL)) <= 0)
			load = DBL_MIN;
	}
	return load;
}

bool options_take_make(struct options *o, const char *makeflags)
{
	unsigned takes = o->command->takes;
	size_t n;
	const char *letters = letters_of(makeflags ? makeflags : "", &n);
	bool ask = memchr(letters, 'q', n),
	     dry = ask || memchr(letters, 'n', n) || memchr(letters, 't', n);

	o->silent |= memchr(letters, 's', n) != NULL;
	if (takes & TAKES_BUILD) {
		o->keep_going |= memchr(letters, 'k', n) != NULL;
		o->always |= memchr(letters, 'B', n) != NULL;
		if (!(o->max_load > 0) && makeflags)
			o->max_load = load_of(makeflags);
	}
	if (ask && (takes & TAKES_QUESTION))
		o->question = true;
	else if (dry && (takes & TAKES_DRY_RUN))
		o->dry_run = true;
	return !dry || !(takes & CHANGES);
}
