#ifndef IMAGE_CONFIG_H
#define IMAGE_CONFIG_H

/* The image configuration (OCI image-spec 1.1, config.md). Kept as one JSON object so
 * that members that we do not know survive from base to image. */
#include "base/vec.h"
#include "image/descriptor.h"

struct image_config {
	json_t *root; /* whole document; owned */
};

/* Text given to the setters should be UTF-8; other bytes are stored as U+FFFD. */

struct history {
	const char *created_by;
	const char *comment; /* or NULL */
	bool empty_layer;
};

/* A configuration without layers for `p`: {architecture, os, config: {}, rootfs,
 * history}. */
void config_init(struct image_config *c, const struct platform *p);
MUST_CHECK int config_read(struct image_config *c, const void *body, size_t n,
                           struct err *e);
/* The same of a document that was read already. Owns `root` from here on, which nobody
 * else may change; also when it fails. */
MUST_CHECK int config_take(struct image_config *c, json_t *root, struct err *e);
void config_copy(struct image_config *out, const struct image_config *c);
void config_fini(struct image_config *c);
/* Canonical bytes: members in the order of the specification, then others sorted. */
void config_write(const struct image_config *c, struct buf *out);

void config_platform(const struct image_config *c, struct platform *out);
size_t config_layer_count(const struct image_config *c);
/* i < config_layer_count. */
void config_diff_id(const struct image_config *c, size_t i, struct digest *out);
/* Appends a layer and its history entry; `created` is RFC 3339 of `mtime` seconds. */
void config_add_layer(struct image_config *c, const struct digest *diff_id,
                      const struct history *h, int64_t mtime);
void config_add_history(struct image_config *c, const struct history *h, int64_t mtime);
/* Sets "created" at the top. */
void config_set_created(struct image_config *c, int64_t mtime);

/* The members of "config". Absent is NULL / nothing done. Strings are borrowed. */
const char *config_env(const struct image_config *c, const char *name);
void config_set_env(struct image_config *c, const char *name, const char *value);
const char *config_user(const struct image_config *c);
void config_set_user(struct image_config *c, const char *user);
const char *config_workdir(const struct image_config *c); /* "/" by default */
void config_set_workdir(struct image_config *c, const char *path);
/* `key` as in the specification ("Entrypoint", "Labels", "ExposedPorts"…); steals
 * `value`; NULL removes. */
void config_set(struct image_config *c, const char *key, json_t *value);
json_t *config_get(const struct image_config *c, const char *key); /* borrowed or NULL */

/* SHA-256 over chain of diff IDs and the configuration without dates and history: what
 * makes a base "the same" when it was pushed again (2-architecture.md, "Keys"). */
void config_content_key(const struct image_config *c, struct digest *out);

#endif
