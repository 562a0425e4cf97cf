/* The document: SPDX 2.3 in JSON. Nothing in it depends on a clock or on this machine. */
#include "image/sbom.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "image/sbom_package.h"

enum { ID_HASH = 16 }; /* hex digits */

static const char scope_note[] =
	"Packages are those that the image's databases of dpkg, apk and rpm, its "
	"node_modules and its Python distributions name. What none of them names, as what "
	"is linked into a program or stands in a Java archive, is not looked for.";

static void set_text(json_t *j, const char *key, const char *s)
{
	if (s && *s)
		json_object_set_new(j, key, json_utf8(s));
}

/* A part of a package URL: what is not plain is percent-encoded. */
static void add_part(struct buf *b, const char *s)
{
	for (; *s; s++) {
		bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
		             (*s >= '0' && *s <= '9') || strchr(".-_~:", *s);

		buf_addf(b, plain ? "%c" : "%%%02X", (unsigned char)*s);
	}
}

static void add_qualifier(struct buf *b, char *mark, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	buf_addf(b, "%c%s=", *mark, name);
	add_part(b, value);
	*mark = '&';
}

static bool is_of_system(const struct sbom_package *p)
{
	return strcmp(p->type, "npm") != 0 && strcmp(p->type, "pypi") != 0;
}

/* https://github.com/package-url/purl-spec: qualifiers are sorted. */
static void add_url(const struct sbom *s, const struct sbom_package *p, struct buf *b)
{
	const char *scope = is_of_system(p) ? s->system : p->scope;
	char mark = '?';

	buf_addf(b, "pkg:%s/", p->type);
	if (scope) {
		add_part(b, scope);
		buf_addc(b, '/');
	}
	add_part(b, p->name);
	if (p->version && *p->version) {
		buf_addc(b, '@');
		add_part(b, p->version);
	}
	add_qualifier(b, &mark, "arch", p->arch);
	if (is_of_system(p) && s->system && s->system_version) {
		buf_addf(b, "%cdistro=", mark);
		add_part(b, s->system);
		buf_addc(b, '-');
		add_part(b, s->system_version);
		mark = '&';
	}
	add_qualifier(b, &mark, "epoch", p->epoch);
	add_qualifier(b, &mark, "upstream", p->upstream);
}

/* Of letters, digits, '.' and '-'; what one package is called twice is not the same. */
static void add_id(const struct sbom_package *p, const char *url, struct buf *b)
{
	char hex[DIGEST_HEX + 1];
	struct hasher h;
	struct digest d;

	buf_addf(b, "SPDXRef-%s-", p->type);
	for (const char *s = p->name; *s; s++)
		buf_addc(b, (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
		                            (*s >= '0' && *s <= '9') || *s == '.'
		                    ? *s
		                    : '-');
	hasher_init(&h);
	hasher_str(&h, url);
	hasher_str(&h, p->path);
	hasher_end(&h, &d);
	buf_addf(b, "-%.*s", ID_HASH, digest_hex(&d, hex));
}

static json_t *new_package(const char *id, const char *name)
{
	json_t *j = json_object();

	json_object_set_new(j, "SPDXID", json_string(id));
	json_object_set_new(j, "name", json_utf8(name));
	json_object_set_new(j, "downloadLocation", json_string("NOASSERTION"));
	json_object_set_new(j, "filesAnalyzed", json_false());
	json_object_set_new(j, "licenseConcluded", json_string("NOASSERTION"));
	json_object_set_new(j, "licenseDeclared", json_string("NOASSERTION"));
	json_object_set_new(j, "copyrightText", json_string("NOASSERTION"));
	return j;
}

static void set_url(json_t *package, const char *url)
{
	json_object_set_new(package, "externalRefs",
	                    json_pack("[{s:s,s:s,s:s}]", "referenceCategory",
	                              "PACKAGE-MANAGER", "referenceType", "purl",
	                              "referenceLocator", url));
}

static void set_license(json_t *j, const char *license)
{
	AUTO_BUF words = BUF_INIT;

	if (!license || !*license)
		return;
	if (sbom_license_valid(license)) {
		set_text(j, "licenseDeclared", license);
		return;
	}
	buf_addf(&words, "The package says: %s", license);
	set_text(j, "licenseComments", words.s);
}

/* "Name <mail>" → "Organization: Name (mail)": whether it is a person nobody says. */
static void set_supplier(json_t *j, const char *supplier)
{
	size_t name = supplier ? strcspn(supplier, "<") : 0;
	AUTO_BUF out = BUF_INIT;

	while (name && supplier[name - 1] == ' ')
		name--;
	if (!name) {
		json_object_set_new(j, "supplier", json_string("NOASSERTION"));
		return;
	}
	buf_addf(&out, "Organization: %.*s", (int)name, supplier);
	supplier = strchr(supplier, '<');
	if (supplier)
		buf_addf(&out, " (%.*s)", (int)strcspn(supplier + 1, ">"), supplier + 1);
	set_text(j, "supplier", out.s);
}

static bool is_web_address(const char *s)
{
	return s && (!strncmp(s, "http://", 7) || !strncmp(s, "https://", 8)) &&
	       !s[strcspn(s, " \t\"<>\\^`{|}")];
}

static json_t *package_json(const struct sbom *s, const struct sbom_package *p)
{
	AUTO_BUF url = BUF_INIT, id = BUF_INIT, name = BUF_INIT, from = BUF_INIT;
	json_t *j;

	add_url(s, p, &url);
	add_id(p, url.s, &id);
	buf_addf(&name, "%s%s%s", p->scope ? p->scope : "", p->scope ? "/" : "", p->name);
	buf_addf(&from, "named by /%s", p->path);
	j = new_package(id.s, name.s);
	if (p->epoch && p->version) {
		AUTO_BUF version = BUF_INIT;

		buf_addf(&version, "%s:%s", p->epoch, p->version);
		set_text(j, "versionInfo", version.s);
	} else {
		set_text(j, "versionInfo", p->version);
	}
	set_license(j, p->license);
	set_supplier(j, p->supplier);
	if (is_web_address(p->homepage))
		set_text(j, "homepage", p->homepage);
	set_text(j, "sourceInfo", from.s);
	set_url(j, url.s);
	return j;
}

/* A container image, by its digest. */
static json_t *image_json(const char *id, const char *name, const struct digest *d)
{
	AUTO_BUF url = BUF_INIT, last = BUF_INIT;
	const char *slash = strrchr(name, '/');
	json_t *j = new_package(id, name);
	char hex[DIGEST_HEX + 1];

	slash = slash ? slash + 1 : name;
	buf_add(&last, slash, strcspn(slash, ":@"));
	json_object_set_new(j, "versionInfo", json_string(DIGEST_STR(d)));
	json_object_set_new(j, "primaryPackagePurpose", json_string("CONTAINER"));
	json_object_set_new(j, "supplier", json_string("NOASSERTION"));
	json_object_set_new(j, "checksums",
	                    json_pack("[{s:s,s:s}]", "algorithm", "SHA256",
	                              "checksumValue", digest_hex(d, hex)));
	buf_adds(&url, "pkg:oci/");
	add_part(&url, last.s);
	buf_addf(&url, "@sha256%%3A%s", hex);
	set_url(j, url.s);
	return j;
}

static json_t *system_json(const struct sbom *s)
{
	json_t *j = new_package("SPDXRef-system", s->system);

	set_text(j, "versionInfo", s->system_version);
	json_object_set_new(j, "primaryPackagePurpose", json_string("OPERATING_SYSTEM"));
	json_object_set_new(j, "supplier", json_string("NOASSERTION"));
	return j;
}

static void relate(json_t *list, const char *a, const char *how, const char *b)
{
	json_array_append_new(list, json_pack("{s:s,s:s,s:s}", "spdxElementId", a,
	                                      "relationshipType", how,
	                                      "relatedSpdxElement", b));
}

static int compare(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

static int by_name(const void *a, const void *b)
{
	const struct sbom_package *x = a, *y = b;
	int c = strcmp(x->type, y->type);

	c = c ? c : compare(x->scope, y->scope);
	c = c ? c : strcmp(x->name, y->name);
	c = c ? c : compare(x->version, y->version);
	c = c ? c : compare(x->arch, y->arch);
	return c ? c : strcmp(x->path, y->path);
}

/* Two of one name, version and architecture in one file are one. */
static void sort_packages(struct sbom *s)
{
	size_t n = 0;

	if (s->packages.len)
		qsort(s->packages.at, s->packages.len, sizeof(*s->packages.at), by_name);
	for (size_t i = 0; i < s->packages.len; i++)
		if (!n || by_name(&s->packages.at[n - 1], &s->packages.at[i]) != 0)
			s->packages.at[n++] = s->packages.at[i];
	s->packages.len = n;
}

static void fill(struct sbom *s, const struct sbom_subject *of, json_t *packages,
                 json_t *relations)
{
	const char *image = "SPDXRef-image";

	json_array_append_new(packages, image_json(image, of->name, of->manifest));
	relate(relations, "SPDXRef-DOCUMENT", "DESCRIBES", image);
	if (of->base_name) {
		json_array_append_new(
			packages, image_json("SPDXRef-base", of->base_name, of->base));
		relate(relations, image, "DESCENDANT_OF", "SPDXRef-base");
	}
	if (s->system) {
		json_array_append_new(packages, system_json(s));
		relate(relations, image, "CONTAINS", "SPDXRef-system");
	}
	sort_packages(s);
	for (size_t i = 0; i < s->packages.len; i++) {
		json_t *j = package_json(s, &s->packages.at[i]);

		json_array_append_new(packages, j);
		relate(relations, image, "CONTAINS",
		       json_string_value(json_object_get(j, "SPDXID")));
	}
}

/* No two documents have the same name space: it holds all that they depend on. */
static void add_name_space(const struct sbom_subject *of, struct buf *b)
{
	char hex[DIGEST_HEX + 1];

	buf_adds(b, "https://spdx.org/spdxdocs/imgmake-" SBOM_VERSION "/");
	add_part(b, of->name);
	buf_addf(b, "-%s-", digest_hex(of->manifest, hex));
	add_part(b, of->created);
}

void sbom_write(struct sbom *s, const struct sbom_subject *of, struct buf *out)
{
	AUTO_JSON *j = json_object();
	AUTO_BUF space = BUF_INIT;
	json_t *packages = json_array(), *relations = json_array();

	add_name_space(of, &space);
	fill(s, of, packages, relations);
	json_object_set_new(j, "spdxVersion", json_string("SPDX-2.3"));
	json_object_set_new(j, "dataLicense", json_string("CC0-1.0"));
	json_object_set_new(j, "SPDXID", json_string("SPDXRef-DOCUMENT"));
	json_object_set_new(j, "name", json_utf8(of->name));
	json_object_set_new(j, "documentNamespace", json_string(space.s));
	json_object_set_new(j, "creationInfo",
	                    json_pack("{s:s,s:[s],s:s}", "created", of->created,
	                              "creators", "Tool: imgmake-sbom-" SBOM_VERSION,
	                              "comment", scope_note));
	json_object_set_new(j, "packages", packages);
	json_object_set_new(j, "relationships", relations);
	json_write_pretty(out, j);
}
