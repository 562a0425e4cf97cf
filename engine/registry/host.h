#ifndef REGISTRY_HOST_H
#define REGISTRY_HOST_H

/* What has been learnt of one registry, shared by all threads, and the state of the
 * client as a whole. */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "base/map.h"
#include "registry/challenge.h"
#include "registry/client.h"
#include "registry/credentials.h"
#include "registry/http.h"

enum host_scheme { SCHEME_PROBING, SCHEME_HTTPS, SCHEME_HTTP };

/* In the order they are tried (3-registry.md, "upload"). */
enum upload_way { UPLOAD_PATCH, UPLOAD_PUT, UPLOAD_CHUNKS };

struct host {
	char *name;         /* as in references: "docker.io" */
	char *authority;    /* where its API is: "registry-1.docker.io" */
	bool plain_allowed; /* http may be tried */
	bool loopback;      /* it is this machine */
	atomic_int scheme, upload_way;
	atomic_llong chunk_max;     /* bodies that it took, by halves; 0: not tried */
	atomic_bool one_tag_each;   /* it does not take several tags at once */
	atomic_bool mounts_fail;    /* also of what is there */
	atomic_bool small_by_patch; /* a PUT alone was refused */
	pthread_mutex_t probe_lock; /* held while its scheme is found out: eight
	                             * handshakes at once tell no more than one; and: */
	bool greeted;               /* a loopback host was asked by a mere hello */
	atomic_bool down; /* a mirror that could not be reached: not asked again */

	pthread_mutex_t lock; /* of what follows */
	int64_t not_before;   /* clock_ns() until which it asked us to wait */
	int64_t waited;       /* ns it has made us wait so far */
	bool quota_said;
	struct strlist warnings; /* that have been shown */

	pthread_mutex_t referrers_lock; /* held while an index of referrers is changed */
	pthread_mutex_t auth_lock;      /* held while a token is asked for, so that one is
	                                   enough */
	enum auth_scheme auth;          /* AUTH_NONE until it has challenged us */
	char *realm, *service;
	struct map tokens; /* scopes → struct token */
};

/* A repository that one can do without; guarded by the registry's lock. */
struct spare {
	atomic_bool silent; /* it has fallen silent; from any thread */
	bool needed;        /* one cannot any more */
};

struct registry {
	struct http http;
	struct credentials *credentials;
	struct progress *progress;
	struct strlist mirrors;
	struct store *store;
	atomic_llong retries;
	sem_t streams; /* blobs on their way from registry to registry: few enough that
	                * downloads and uploads never wait for each other's connections */
	pthread_mutex_t lock; /* of what follows */
	struct map hosts;
	struct map spare; /* "host/repo" → struct spare * */
	int waiting;      /* requests that are held back, since when, and before that */
	int64_t waiting_since, waited;
};

/* Borrowed from `r`. `name` is the host of a reference. */
struct host *host_get(struct registry *r, const char *name);
void host_free(struct host *h);
/* "https://authority". */
void host_add_base(struct buf *out, const struct host *h);

/* Waits that long, which counts as time waited. */
MUST_CHECK int registry_wait(struct registry *r, int64_t ns, struct err *e);
int64_t registry_waited(struct registry *r);

/* Waits until the host may be asked again, telling the user. */
MUST_CHECK int host_wait(struct registry *r, struct host *h, struct err *e);
/* Heeds Retry-After, ratelimit-remaining and Warning of an answer. -1 when the host has
 * used up the time that we are willing to wait for it. */
MUST_CHECK int host_note(struct registry *r, struct host *h, const struct http_answer *a,
                         struct err *e);

#endif
