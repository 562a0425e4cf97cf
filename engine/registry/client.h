#ifndef REGISTRY_CLIENT_H
#define REGISTRY_CLIENT_H

/* A client of OCI distribution-spec 1.1 registries. One `struct registry` serves any
 * number of threads and hosts: it holds connections, tokens and what was learnt of each
 * host. Every call retries and renews tokens as 3-registry.md says, within bounds. Errors
 * name registry, repository and what to do. */
#include "base/progress.h"
#include "base/vec.h"
#include "image/descriptor.h"
#include "image/limits.h"
#include "image/reference.h"
#include "store/blobs.h"
#include "store/store.h"

struct registry_options {
	struct strlist insecure; /* HOST[:PORT]: plain http, or https unverified */
	struct strlist mirrors;  /* "HOST=MIRROR[/prefix]": asked first by find_manifest,
	                          * pull_manifest and fetch_blob; all else wants the truth
	                          * of the host itself */
	const char *user_agent;  /* NULL: "imgmake" */
	struct progress *progress; /* borrowed, or NULL */
	int connections;           /* at most at once for each host; 0: 8 */
	int stall_s;               /* without a byte, then it is asked again; 0: 60 */
	struct store *store; /* borrowed, or NULL: remembers uploads, so that the next
	                      * process goes on with those of one that was killed */
};

/* Counted since registry_new, over all threads. */
struct registry_counts {
	int64_t requests, retries;
	int64_t waited_ns; /* in which at least one request was held back, as the registry
	                    * asked or before a retry */
	int64_t bytes_sent, bytes_received; /* bodies of blobs and manifests */
};

struct registry;
MUST_CHECK int registry_new(struct registry **out, const struct registry_options *o,
                            struct err *e);
void registry_free(struct registry *r);
/* What this repository has, one can do without: whoever reads there waits 10 s for a byte
 * and no more, and as long if the registry asks for it; and after its first silence
 * nobody asks there again. */
void registry_make_spare(struct registry *r, const struct reference *repo);
/* From then on that is no longer so: a cache may share the repository of an image. */
void registry_make_needed(struct registry *r, const struct reference *repo);
void registry_counts(struct registry *r, struct registry_counts *out);
/* Makes all calls under way, and later ones, fail with ERR_CANCELLED. Async-signal-safe.
 */
void registry_cancel(struct registry *r);

/* Tags and digests. Only host, repo and tag/digest of `ref` count; ERR_NOT_FOUND. */
MUST_CHECK int registry_head_manifest(struct registry *r, const struct reference *ref,
                                      struct descriptor *out, struct err *e);
/* The same of what is to be pulled: mirrors are asked first. */
MUST_CHECK int registry_find_manifest(struct registry *r, const struct reference *ref,
                                      struct descriptor *out, struct err *e);
/* *body gets the exact bytes; the digest is checked against ref's, if it has one. */
MUST_CHECK int registry_get_manifest(struct registry *r, const struct reference *ref,
                                     struct descriptor *out, struct buf *body,
                                     struct err *e);
/* The same of what is to be pulled: mirrors are asked first. */
MUST_CHECK int registry_pull_manifest(struct registry *r, const struct reference *ref,
                                      struct descriptor *out, struct buf *body,
                                      struct err *e);
/* Puts the bytes (d->size of them) under their digest and, if not "", ref's tag. A tag
 * that may not move and names another image is ERR_EXISTS; with the same image it is
 * done. One with a subject is added to the index of referrers, where the registry keeps
 * no such list itself. */
MUST_CHECK int registry_put_manifest(struct registry *r, const struct reference *ref,
                                     const struct descriptor *d, const void *body,
                                     struct err *e);
/* Deletes the manifest of ref's digest, with all its tags. Gone already: done.
 * ERR_DENIED: nobody may, or not we. */
MUST_CHECK int registry_delete_manifest(struct registry *r, const struct reference *ref,
                                        struct err *e);
/* Gives ref's repository several tags for one manifest: at once where the registry knows
 * how, else one by one in their order. What put_manifest says of a tag holds for each. */
MUST_CHECK int registry_put_tags(struct registry *r, const struct reference *ref,
                                 const struct descriptor *d, const void *body,
                                 const struct strlist *tags, struct err *e);
/* All tags of ref's repository, sorted; a repository that does not exist has none. */
MUST_CHECK int registry_list_tags(struct registry *r, const struct reference *ref,
                                  struct strlist *out, struct err *e);

/* 1: the repository has the blob, 0: not, -1. */
MUST_CHECK int registry_has_blob(struct registry *r, const struct reference *ref,
                                 const struct descriptor *d, struct err *e);
/* Downloads into the store (resumed by Range, verified, nothing kept on failure). Already
 * there: 0 at once. */
MUST_CHECK int registry_fetch_blob(struct registry *r, const struct reference *ref,
                                   const struct descriptor *d, struct blobs *store,
                                   struct err *e);
/* The same, for somebody to read along. The caller ends the following. */
struct blob_follow;
MUST_CHECK int registry_fetch_followed(struct registry *r, const struct reference *ref,
                                       const struct descriptor *d, struct blobs *store,
                                       struct blob_follow *follow, struct err *e);

enum push_outcome { PUSH_PRESENT, PUSH_MOUNTED, PUSH_SENT };

/* What is known of a blob before it is pushed: a request less. */
enum push_known {
	PUSH_UNKNOWN,
	PUSH_ABSENT,    /* ref's repository has it not */
	PUSH_MOUNTABLE, /* the first of `from` has it: what is left to do is to mount it
	                 */
};

struct push_blob {
	const struct descriptor *d;
	enum push_known known;
	const struct strlist *from;     /* repositories of the same host to mount from, or
	                                 * NULL */
	const struct reference *origin; /* a repository of any host that has it, or NULL;
	                                 * what the store lacks is streamed from there */
	struct blobs *store;
};
/* Makes the blob exist in ref's repository: HEAD, then mount, then upload from the store,
 * where it is verified as it goes out. */
MUST_CHECK int registry_push_blob(struct registry *r, const struct reference *ref,
                                  const struct push_blob *b, enum push_outcome *how,
                                  struct err *e);

/* Any http(s) URL into the store, for `add`: at most `limit` bytes. */
MUST_CHECK int registry_fetch_url(struct registry *r, const char *url, int64_t limit,
                                  struct blobs *store, struct digest *got, int64_t *size,
                                  struct err *e);

#endif
