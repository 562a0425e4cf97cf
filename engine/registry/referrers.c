#include "registry/referrers.h"

#include <string.h>

#include "base/json.h"
#include "registry/host.h"

/* Others who add at the same time may overwrite what we have just written. */
enum { ROUNDS_MAX = 5 };

/* 1: *subject is what it refers to; 0: nothing. */
static int read_subject(const json_t *root, struct descriptor *subject, struct err *e)
{
	json_t *j = NULL;

	if (json_member_object(root, "subject", false, &j, e) < 0)
		return -1;
	if (!j)
		return 0;
	return descriptor_read(subject, j, e) < 0 ? err_wrap(e, "subject") : 1;
}

/* What the index says of it: an artifact without a type of its own has its config's. */
static int make_entry(const json_t *root, const struct descriptor *d, json_t **out,
                      struct err *e)
{
	json_t *config = NULL, *annotations = NULL;
	const char *type = NULL;

	if (json_member_str(root, "artifactType", false, &type, e) < 0 ||
	    json_member_object(root, "config", false, &config, e) < 0 ||
	    json_member_object(root, "annotations", false, &annotations, e) < 0)
		return -1;
	if ((!type || !*type) && config &&
	    json_member_str(config, "mediaType", false, &type, e) < 0)
		return -1;
	*out = descriptor_json(d);
	if (type && *type)
		json_object_set_new(*out, "artifactType", json_string(type));
	if (annotations)
		json_object_set(*out, "annotations", annotations);
	return 0;
}

static bool lists(const json_t *manifests, const struct digest *d)
{
	const char *text;
	struct err ignored;
	size_t i;
	json_t *v;

	json_array_foreach(manifests, i, v)
	{
		if (json_is_object(v) &&
		    json_member_str(v, "digest", true, &text, &ignored) == 0 &&
		    !strcmp(text, DIGEST_STR(d)))
			return true;
	}
	return false;
}

/* The index as it is now, or an empty one. A registry that is too busy to say is no
 * reason to believe that there is none: that would lose all who are in it. */
static int get_index(struct registry *r, const struct reference *at, json_t **out,
                     struct err *e)
{
	AUTO_BUF body = BUF_INIT;
	struct descriptor d;

	if (registry_get_manifest(r, at, &d, &body, e) == 0) {
		if (strcmp(d.media_type, MEDIA_OCI_INDEX) != 0)
			return err_set(e, ERR_INVALID, "tag %s is no index of referrers",
			               at->tag);
		return json_read(out, body.s, body.len, e);
	}
	if (e->code != ERR_NOT_FOUND)
		return -1;
	*out = json_pack("{s:i,s:s,s:[]}", "schemaVersion", 2, "mediaType",
	                 MEDIA_OCI_INDEX, "manifests");
	return 0;
}

static int put_index(struct registry *r, const struct reference *at, const json_t *index,
                     struct err *e)
{
	struct descriptor d = { .media_type = MEDIA_OCI_INDEX };
	AUTO_BUF body = BUF_INIT;

	json_write(&body, index);
	d.size = (int64_t)body.len;
	digest_of(&d.digest, body.s, body.len);
	return registry_put_manifest(r, at, &d, body.s, e);
}

/* 1: it was listed already; 0: it has been written. */
static int add_once(struct registry *r, const struct reference *at,
                    const struct descriptor *d, json_t *entry, struct err *e)
{
	AUTO_JSON *index = NULL;
	json_t *manifests = NULL;

	if (get_index(r, at, &index, e) < 0 ||
	    json_member_array(index, "manifests", true, &manifests, e) < 0)
		return -1;
	if (lists(manifests, &d->digest))
		return 1;
	json_array_append(manifests, entry);
	return put_index(r, at, index, e);
}

static int add(struct registry *r, const struct reference *ref,
               const struct descriptor *d, const struct digest *subject, json_t *entry,
               struct err *e)
{
	struct host *h = host_get(r, ref->host);
	struct reference at = *ref;
	int rc = 0;

	at.has_digest = false;
	memset(at.tag, 0, sizeof(at.tag));
	strncpy(at.tag, DIGEST_STR(subject), sizeof(at.tag) - 1);
	at.tag[strlen("sha256")] = '-';
	pthread_mutex_lock(&h->referrers_lock);
	for (int round = 0; rc == 0 && round < ROUNDS_MAX; round++)
		rc = add_once(r, &at, d, entry, e);
	pthread_mutex_unlock(&h->referrers_lock);
	if (rc == 0)
		return err_set(e, ERR_NETWORK,
		               "%s/%s: %s is overwritten by others again and again",
		               h->name, ref->repo, at.tag);
	return rc < 0 ? err_wrap(e, "list it among the referrers of %.19s",
	                         DIGEST_STR(subject))
	              : 0;
}

int referrers_add(struct registry *r, const struct reference *ref,
                  const struct descriptor *d, const void *body, struct err *e)
{
	AUTO_JSON *root = NULL;
	AUTO_JSON *entry = NULL;
	struct descriptor subject;
	int refers;

	if (!memmem(body, (size_t)d->size, "\"subject\"", strlen("\"subject\"")))
		return 0;
	if (json_read(&root, body, (size_t)d->size, e) < 0)
		return -1;
	refers = json_is_object(root) ? read_subject(root, &subject, e) : 0;
	if (refers <= 0)
		return refers;
	if (make_entry(root, d, &entry, e) < 0)
		return -1;
	return add(r, ref, d, &subject.digest, entry, e);
}
