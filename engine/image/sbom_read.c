/* What package managers have written down. It is foreign text: what is no package is
 * passed over, and nothing of it is believed but that somebody wrote it. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "image/sbom_package.h"

static bool ends(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

/* Whether it ends in node_modules/NAME/package.json, or node_modules/@SCOPE/NAME/…. The
 * name is what stands between. */
static bool npm_name(const char *path, const char **name, size_t *n)
{
	static const char dir[] = "node_modules/", file[] = "/package.json";
	const char *at = path, *found = NULL;
	size_t slashes = 0;

	if (!ends(path, file))
		return false;
	while ((at = strstr(at, dir))) {
		if (at == path || at[-1] == '/')
			found = at + sizeof(dir) - 1;
		at++;
	}
	if (!found || strlen(found) < sizeof(file))
		return false;
	*name = found;
	*n = strlen(found) - (sizeof(file) - 1);
	for (size_t i = 0; i < *n; i++)
		slashes += found[i] == '/';
	return slashes == (*found == '@');
}

enum sbom_kind sbom_kind_of(const char *path)
{
	static const char parts[] = "var/lib/dpkg/status.d/";
	const char *name;
	size_t n;

	if (!strcmp(path, "var/lib/dpkg/status"))
		return SBOM_DPKG;
	if (!strncmp(path, parts, sizeof(parts) - 1))
		return ends(path, ".md5sums") ? SBOM_NONE : SBOM_DPKG_ONE;
	if (!strcmp(path, "lib/apk/db/installed") ||
	    !strcmp(path, "usr/lib/apk/db/installed"))
		return SBOM_APK;
	if (ends(path, "/rpmdb.sqlite") || ends(path, "/rpmdb.sqlite-wal") ||
	    ends(path, "lib/rpm/Packages") || ends(path, "/rpm/Packages.db"))
		return SBOM_RPM;
	if (npm_name(path, &name, &n))
		return SBOM_NPM;
	if (ends(path, ".dist-info/METADATA") || ends(path, ".egg-info/PKG-INFO") ||
	    ends(path, ".egg-info"))
		return SBOM_PYTHON;
	return SBOM_NONE;
}

struct sbom *sbom_new(void)
{
	return mem_alloc(sizeof(struct sbom));
}

void sbom_free(struct sbom *s)
{
	if (!s)
		return;
	vec_fini(&s->packages);
	arena_fini(&s->arena);
	free(s);
}

void sbom_put(struct sbom *s, const struct sbom_package *p)
{
	if (p->name && *p->name)
		vec_push(&s->packages, *p);
}

/* A line of the text, without its end. False: there is none. */
struct lines {
	const char *at, *end;
};

static bool next_line(struct lines *l, const char **s, size_t *n)
{
	const char *stop;

	if (l->at >= l->end)
		return false;
	stop = memchr(l->at, '\n', (size_t)(l->end - l->at));
	stop = stop ? stop : l->end;
	*s = l->at;
	*n = (size_t)(stop - l->at);
	l->at = stop + 1;
	if (*n && (*s)[*n - 1] == '\r')
		--*n;
	return true;
}

/* The value of "Name: value". */
static const char *field(struct sbom *s, const char *line, size_t n, const char *name)
{
	size_t m = strlen(name);

	if (n <= m || strncasecmp(line, name, m) != 0 || line[m] != ':')
		return NULL;
	for (m++; m < n && (line[m] == ' ' || line[m] == '\t');)
		m++;
	return arena_strndup(&s->arena, line + m, n - m);
}

static void take_field(struct sbom *s, const char **out, const char *line, size_t n,
                       const char *name)
{
	const char *value = field(s, line, n, name);

	if (value && *value && !*out)
		*out = value;
}

/* "glibc (2.36-9)" → "glibc@2.36-9" */
static const char *deb_upstream(struct sbom *s, const char *source)
{
	size_t name = source ? strcspn(source, " (") : 0;
	const char *version = source ? strchr(source, '(') : NULL;

	if (!source)
		return NULL;
	if (!version)
		return arena_strndup(&s->arena, source, name);
	return arena_printf(&s->arena, "%.*s@%.*s", (int)name, source,
	                    (int)strcspn(version + 1, ")"), version + 1);
}

static void put_deb(struct sbom *s, struct sbom_package *p, const char *status)
{
	p->upstream = deb_upstream(s, p->upstream);
	if (!status || ends(status, " installed"))
		sbom_put(s, p);
}

/* Stanzas of fields; lines that begin with a space go on with the last one. */
static void add_dpkg(struct sbom *s, const char *path, const struct buf *text)
{
	struct lines l = { text->s, text->s + text->len };
	struct sbom_package none = { .type = "deb", .path = path }, p = none;
	const char *line, *status = NULL;
	size_t n;

	while (next_line(&l, &line, &n)) {
		if (!n) {
			put_deb(s, &p, status);
			p = none;
			status = NULL;
			continue;
		}
		take_field(s, &p.name, line, n, "Package");
		take_field(s, &p.version, line, n, "Version");
		take_field(s, &p.arch, line, n, "Architecture");
		take_field(s, &p.supplier, line, n, "Maintainer");
		take_field(s, &p.homepage, line, n, "Homepage");
		take_field(s, &p.upstream, line, n, "Source");
		take_field(s, &status, line, n, "Status");
	}
	put_deb(s, &p, status);
}

static void add_apk(struct sbom *s, const char *path, const struct buf *text)
{
	struct lines l = { text->s, text->s + text->len };
	struct sbom_package none = { .type = "apk", .path = path }, p = none;
	const char *line;
	size_t n;

	while (next_line(&l, &line, &n)) {
		if (!n) {
			sbom_put(s, &p);
			p = none;
		} else if (n > 2 && line[1] == ':') {
			const char *value = arena_strndup(&s->arena, line + 2, n - 2);

			switch (line[0]) {
			case 'P': p.name = value; break;
			case 'V': p.version = value; break;
			case 'A': p.arch = value; break;
			case 'L': p.license = value; break;
			case 'U': p.homepage = value; break;
			case 'm': p.supplier = value; break;
			case 'o': p.upstream = value; break;
			default: break;
			}
		}
	}
	sbom_put(s, &p);
}

/* PEP 503: one name in any spelling. */
static const char *python_name(struct sbom *s, const char *name)
{
	char *out = arena_strdup(&s->arena, name), *to = out;

	for (const char *at = out; *at; at++) {
		bool mark = *at == '-' || *at == '_' || *at == '.';

		if (mark && to > out && to[-1] == '-')
			continue;
		*to++ = mark ? '-' : *at >= 'A' && *at <= 'Z' ? (char)(*at + 32) : *at;
	}
	*to = '\0';
	return out;
}

/* Headers up to the first empty line; "UNKNOWN" is how old tools wrote nothing. */
static void add_python(struct sbom *s, const char *path, const struct buf *text)
{
	struct lines l = { text->s, text->s + text->len };
	struct sbom_package p = { .type = "pypi", .path = path };
	const char *line, *license = NULL;
	size_t n;

	while (next_line(&l, &line, &n) && n) {
		take_field(s, &p.name, line, n, "Name");
		take_field(s, &p.version, line, n, "Version");
		take_field(s, &p.homepage, line, n, "Home-page");
		take_field(s, &p.license, line, n, "License-Expression");
		take_field(s, &license, line, n, "License");
	}
	p.license = p.license ? p.license : license;
	if (p.license && !strcmp(p.license, "UNKNOWN"))
		p.license = NULL;
	if (p.homepage && !strcmp(p.homepage, "UNKNOWN"))
		p.homepage = NULL;
	if (!p.name || !p.version)
		return;
	p.name = python_name(s, p.name);
	sbom_put(s, &p);
}

static const char *member(struct sbom *s, const json_t *j, const char *key)
{
	const char *text = json_string_value(json_object_get(j, key));

	return text && *text ? arena_strdup(&s->arena, text) : NULL;
}

/* "@scope/name" */
static void name_npm(struct sbom *s, struct sbom_package *p, const char *name, size_t n)
{
	const char *slash = *name == '@' ? memchr(name, '/', n) : NULL;

	if (slash) {
		p->scope = arena_strndup(&s->arena, name, (size_t)(slash - name));
		n -= (size_t)(slash + 1 - name);
		name = slash + 1;
	}
	p->name = arena_strndup(&s->arena, name, n);
}

/* One that cannot be read is there all the same, under the name of its directory; one
 * without name or version is no package, but a part of one. */
static void add_npm(struct sbom *s, const char *path, const struct buf *text)
{
	struct sbom_package p = { .type = "npm", .path = path };
	const char *dir, *name;
	AUTO_JSON *j = NULL;
	struct err ignored;
	size_t n;

	if (!npm_name(path, &dir, &n))
		return;
	if (json_read(&j, text->s, text->len, &ignored) < 0) {
		name_npm(s, &p, dir, n);
		sbom_put(s, &p);
		return;
	}
	name = json_string_value(json_object_get(j, "name"));
	p.version = member(s, j, "version");
	p.license = member(s, j, "license");
	p.homepage = member(s, j, "homepage");
	if (!name || !p.version)
		return;
	name_npm(s, &p, name, strlen(name));
	sbom_put(s, &p);
}

/* NAME=value, which may be in quotes. */
static const char *assigned(struct sbom *s, const char *line, size_t n, const char *name)
{
	size_t m = strlen(name);

	if (n <= m || strncmp(line, name, m) != 0 || line[m] != '=')
		return NULL;
	line += m + 1;
	n -= m + 1;
	if (n >= 2 && (*line == '"' || *line == '\'') && line[n - 1] == *line) {
		line++;
		n -= 2;
	}
	return n ? arena_strndup(&s->arena, line, n) : NULL;
}

static void add_system(struct sbom *s, const struct buf *text)
{
	struct lines l = { text->s, text->s + text->len };
	const char *line, *value;
	size_t n;

	while (next_line(&l, &line, &n)) {
		value = assigned(s, line, n, "ID");
		s->system = value ? value : s->system;
		value = assigned(s, line, n, "VERSION_ID");
		s->system_version = value ? value : s->system_version;
	}
}

int sbom_add(struct sbom *s, enum sbom_kind kind, const char *path,
             const struct buf *content, struct err *e)
{
	path = arena_strdup(&s->arena, path);
	switch (kind) {
	case SBOM_SYSTEM: add_system(s, content); break;
	case SBOM_DPKG:
	case SBOM_DPKG_ONE: add_dpkg(s, path, content); break;
	case SBOM_APK: add_apk(s, path, content); break;
	case SBOM_NPM: add_npm(s, path, content); break;
	case SBOM_PYTHON: add_python(s, path, content); break;
	case SBOM_RPM: return sbom_add_rpm(s, path, content, e);
	case SBOM_NONE: break;
	}
	return 0;
}
