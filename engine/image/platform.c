/* Platforms as github.com/containerd/platforms spells, normalises and compares them. */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "image/descriptor.h"

struct alias {
	const char *arch, *variant; /* as found; variant NULL: any, kept */
	const char *to_arch, *to_variant;
};

/* The first row that matches is taken. */
static const struct alias aliases[] = {
	{ "i386", NULL, "386", "" },        { "i486", NULL, "386", "" },
	{ "i586", NULL, "386", "" },        { "i686", NULL, "386", "" },
	{ "x86_64", "v1", "amd64", "" },    { "x86_64", NULL, "amd64", NULL },
	{ "x86-64", "v1", "amd64", "" },    { "x86-64", NULL, "amd64", NULL },
	{ "amd64", "v1", "amd64", "" },     { "aarch64", "v8", "arm64", "" },
	{ "aarch64", "8", "arm64", "" },    { "aarch64", NULL, "arm64", NULL },
	{ "arm64", "v8", "arm64", "" },     { "arm64", "8", "arm64", "" },
	{ "arm64", "v8.0", "arm64", "" },   { "arm64", "9", "arm64", "v9" },
	{ "arm64", "v9.0", "arm64", "v9" }, { "armhf", NULL, "arm", "v7" },
	{ "armel", NULL, "arm", "v6" },     { "arm", "", "arm", "v7" },
	{ "arm", "5", "arm", "v5" },        { "arm", "6", "arm", "v6" },
	{ "arm", "7", "arm", "v7" },        { "arm", "8", "arm", "v8" },
};

static const char *const known_os[] = {
	"aix",   "android", "darwin",  "dragonfly", "freebsd", "illumos",
	"js",    "linux",   "macos",   "nacl",      "netbsd",  "openbsd",
	"plan9", "solaris", "windows", "zos",
};

static const char *const known_arch[] = {
	"386",   "aarch64", "amd64",   "arm",   "arm64",  "armel",    "armhf",
	"i386",  "i686",    "loong64", "mips",  "mips64", "mips64le", "mipsle",
	"ppc64", "ppc64le", "riscv64", "s390x", "wasm",   "x86-64",   "x86_64",
};

static void put(char out[32], const char *s)
{
	snprintf(out, 32, "%s", s);
}

static void lower(char *s)
{
	for (; *s; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s - 'A' + 'a');
}

static void normalise(struct platform *p)
{
	lower(p->os);
	lower(p->arch);
	lower(p->variant);
	if (!strcmp(p->os, "macos"))
		put(p->os, "darwin");
	for (size_t i = 0; i < ARRAY_LEN(aliases); i++) {
		const struct alias *a = &aliases[i];

		if (strcmp(p->arch, a->arch) != 0 ||
		    (a->variant && strcmp(p->variant, a->variant) != 0))
			continue;
		put(p->arch, a->to_arch);
		if (a->to_variant)
			put(p->variant, a->to_variant);
		else if (!strcmp(p->arch, "arm64") || !strcmp(p->arch, "amd64"))
			continue; /* the new name may have a row for this variant */
		break;
	}
}

static bool listed(const char *const *list, size_t n, const char *s)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i], s))
			return true;
	return false;
}

/* Next '/'-separated part of *s into `out`: letters, digits, '_', '-' and '.'. */
static bool take_part(const char **s, char out[32])
{
	size_t n = strcspn(*s, "/");

	if (n == 0 || n >= 32)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = (*s)[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
		    !(c >= '0' && c <= '9') && !strchr("_-.", c))
			return false;
	}
	memcpy(out, *s, n);
	out[n] = '\0';
	*s += n + ((*s)[n] == '/');
	return (*s)[0] || (*s)[-1] != '/'; /* no trailing slash */
}

/* One word: an architecture of linux, or an operating system on this machine's. */
static bool single(struct platform *p)
{
	struct platform host;

	lower(p->os);
	platform_host(&host);
	if (listed(known_os, ARRAY_LEN(known_os), p->os)) {
		put(p->arch, host.arch);
		put(p->variant, host.variant);
		return true;
	}
	if (!listed(known_arch, ARRAY_LEN(known_arch), p->os))
		return false;
	memcpy(p->arch, p->os, sizeof(p->arch));
	put(p->os, "linux");
	return true;
}

int platform_parse(struct platform *p, const char *text, struct err *e)
{
	const char *s = text;
	bool ok;

	memset(p, 0, sizeof(*p));
	ok = take_part(&s, p->os);
	if (ok && !*s)
		ok = single(p);
	else if (ok)
		ok = take_part(&s, p->arch) && (!*s || take_part(&s, p->variant)) && !*s;
	if (!ok)
		return err_set(
			e, ERR_INVALID,
			"'%.100s' is not a platform; write os/arch or os/arch/variant, for example "
			"linux/amd64 or linux/arm/v7",
			text);
	normalise(p);
	return 0;
}

static void set_machine(struct platform *p, const char *machine)
{
	if (!strncmp(machine, "armv", 4) && machine[4] >= '5' && machine[4] <= '8') {
		put(p->arch, "arm");
		p->variant[0] = 'v';
		p->variant[1] = machine[4];
	} else if (!strcmp(machine, "loongarch64")) {
		put(p->arch, "loong64");
	} else if (!strncmp(machine, "mips", 4)) {
		bool little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

		snprintf(p->arch, sizeof(p->arch), "%s%s",
		         strcmp(machine, "mips64") ? "mips" : "mips64",
		         little ? "le" : "");
	} else {
		snprintf(p->arch, sizeof(p->arch), "%.31s", machine);
	}
}

void platform_host(struct platform *p)
{
	struct utsname u;

	memset(p, 0, sizeof(*p));
	put(p->os, "linux");
	if (uname(&u) == 0) /* fails only for a bad address */
		set_machine(p, u.machine);
	normalise(p);
}

const char *platform_text(const struct platform *p, char out[100])
{
	char *end = stpcpy(out, p->os); /* three of 31 bytes fit */

	*end++ = '/';
	end = stpcpy(end, p->arch);
	if (*p->variant) {
		*end++ = '/';
		strcpy(end, p->variant);
	}
	return out;
}

bool platform_equal(const struct platform *a, const struct platform *b)
{
	struct platform x = *a, y = *b;

	normalise(&x);
	normalise(&y);
	return !strcmp(x.os, y.os) && !strcmp(x.arch, y.arch) &&
	       !strcmp(x.variant, y.variant);
}

/* Versions of an instruction set that include all earlier ones; -1: not such a variant.
 */
static int level(const struct platform *p)
{
	const char *v = p->variant;

	if (!strcmp(p->arch, "amd64") && !v[0])
		return 1;
	if (!strcmp(p->arch, "arm64") && !v[0])
		return 8;
	if (strcmp(p->arch, "amd64") && strcmp(p->arch, "arm64") &&
	    strcmp(p->arch, "arm"))
		return -1;
	if (v[0] == 'v' && v[1] >= '1' && v[1] <= '9' && !v[2])
		return v[1] - '0';
	return -1;
}

bool platform_fits(const struct platform *want, const struct platform *have)
{
	struct platform w = *want, h = *have;

	normalise(&w);
	normalise(&h);
	if (strcmp(w.os, h.os) != 0 || strcmp(w.arch, h.arch) != 0)
		return false;
	if (!strcmp(w.variant, h.variant))
		return true;
	return level(&h) > 0 && level(&h) <= level(&w);
}
