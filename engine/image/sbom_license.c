#include <string.h>

#include "image/sbom_package.h"

enum { NESTING_MAX = 16 };

/* Those that most packages have. A word that is not here makes the document invalid if it
 * is on no list, so what is not known is told as the package's own words. */
static const char *const licenses[] = {
	"0BSD",
	"AFL-2.1",
	"AGPL-3.0-only",
	"AGPL-3.0-or-later",
	"Apache-1.1",
	"Apache-2.0",
	"Artistic-1.0",
	"Artistic-2.0",
	"BSD-1-Clause",
	"BSD-2-Clause",
	"BSD-3-Clause",
	"BSD-4-Clause",
	"BSL-1.0",
	"BlueOak-1.0.0",
	"CC-BY-3.0",
	"CC-BY-4.0",
	"CC0-1.0",
	"CDDL-1.0",
	"EPL-1.0",
	"EPL-2.0",
	"FTL",
	"GFDL-1.3-or-later",
	"GPL-1.0-or-later",
	"GPL-2.0-only",
	"GPL-2.0-or-later",
	"GPL-3.0-only",
	"GPL-3.0-or-later",
	"HPND",
	"ICU",
	"ISC",
	"LGPL-2.0-only",
	"LGPL-2.0-or-later",
	"LGPL-2.1-only",
	"LGPL-2.1-or-later",
	"LGPL-3.0-only",
	"LGPL-3.0-or-later",
	"Libpng",
	"MIT",
	"MIT-0",
	"MPL-1.1",
	"MPL-2.0",
	"OFL-1.1",
	"OLDAP-2.8",
	"OpenSSL",
	"PSF-2.0",
	"PostgreSQL",
	"Python-2.0",
	"Ruby",
	"Sleepycat",
	"TCL",
	"Unicode-3.0",
	"Unlicense",
	"Vim",
	"W3C",
	"WTFPL",
	"X11",
	"ZPL-2.1",
	"Zlib",
	"blessing",
	"bzip2-1.0.6",
	"curl",
};

static const char *const exceptions[] = {
	"Autoconf-exception-3.0",
	"Bison-exception-2.2",
	"Classpath-exception-2.0",
	"GCC-exception-2.0",
	"GCC-exception-3.1",
	"LLVM-exception",
	"OCaml-LGPL-linking-exception",
	"OpenSSL-exception",
	"Linux-syscall-note",
};

static void skip_spaces(const char **at)
{
	while (**at == ' ')
		(*at)++;
}

static size_t word_length(const char *s)
{
	return strcspn(s, " ()");
}

static bool take(const char **at, const char *word)
{
	size_t n = strlen(word);

	skip_spaces(at);
	if (strncmp(*at, word, n) != 0 || (n > 1 && word_length(*at) != n))
		return false;
	*at += n;
	return true;
}

static bool take_one_of(const char **at, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (take(at, list[i]))
			return true;
	return false;
}

/* A licence, with an exception perhaps; or what is in parentheses. */
static bool take_expression(const char **at, int depth);

static bool take_term(const char **at, int depth)
{
	if (take(at, "("))
		return take_expression(at, depth + 1) && take(at, ")");
	if (!take_one_of(at, licenses, ARRAY_LEN(licenses)))
		return false;
	return !take(at, "WITH") || take_one_of(at, exceptions, ARRAY_LEN(exceptions));
}

static bool take_expression(const char **at, int depth)
{
	if (depth > NESTING_MAX)
		return false;
	do {
		if (!take_term(at, depth))
			return false;
	} while (take(at, "AND") || take(at, "OR"));
	return true;
}

bool sbom_license_valid(const char *text)
{
	if (!take_expression(&text, 0))
		return false;
	skip_spaces(&text);
	return !*text;
}
