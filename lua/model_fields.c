/* What the fields of the library's records mean. */
#include "lua/model.h"

#include "recipe/recipe.h"

#define F(struct_, type_, name_, member_)                                                \
	{                                                                                \
		.name = name_, .type = type_, .at = offsetof(struct_, member_)           \
	}
#define END                                                                              \
	{                                                                                \
		.name = NULL                                                             \
	}

const char *const model_target_words[] = { "base", "stage", "image", "check",
	                                   "file", "task",  NULL };
const char *const model_step_words[] = { "copy",    "write",  "mkdir",  "symlink",
	                                 "remove",  "unpack", "add",    "git",
	                                 "account", "layer",  "run",    "env",
	                                 "workdir", "user",   "config", NULL };
static const char *const mtime_words[] = { "", "content", "keep", "number", NULL };
static const char *const sharing_words[] = { "shared", "private", "locked", NULL };
static const char *const mount_words[] = { "bind", "tmpfs", NULL };
static const char *const latest_words[] = { "", "line", "highest", "never", NULL };
static const char *const codec_words[] = { "", "gzip", "zstd", NULL };
static const char *const origin_words[] = { "default", "environment", "command line",
	                                    NULL };

static const struct field copy_fields[] = {
	F(struct step, TEXTS, "sources", copy.sources),
	F(struct step, TEXT, "to", copy.to),
	F(struct step, TARGET, "from", copy.from),
	F(struct step, TEXTS, "exclude", copy.exclude),
	F(struct step, MODE, "mode", copy.mode),
	F(struct step, MODE, "dir_mode", copy.dir_mode),
	F(struct step, TEXT, "chmod", copy.chmod),
	F(struct step, TEXT, "dir_chmod", copy.dir_chmod),
	F(struct step, TEXT, "owner", copy.owner),
	F(struct step, BOOL, "parents", copy.parents),
	F(struct step, BOOL, "optional", copy.optional),
	F(struct step, BOOL, "as_docker", copy.as_docker),
	{ "mtime", WORD, offsetof(struct step, copy.mtime), 0, mtime_words },
	F(struct step, INT64, "mtime_value", copy.mtime_value),
	F(struct step, INT64, "split", copy.split),
	END,
};

static const struct field write_fields[] = {
	F(struct step, TEXT, "path", write.path),
	F(struct step, OPT_TEXT, "name", write.name),
	{ "text", BYTES, offsetof(struct step, write.text),
	  offsetof(struct step, write.size), NULL },
	F(struct step, MODE, "mode", write.mode),
	F(struct step, TEXT, "owner", write.owner),
	END,
};

static const struct field mkdir_fields[] = {
	F(struct step, TEXTS, "paths", mkdir.paths),
	F(struct step, MODE, "mode", mkdir.mode),
	F(struct step, TEXT, "owner", mkdir.owner),
	F(struct step, BOOL, "keep", mkdir.keep),
	END,
};

static const struct field symlink_fields[] = {
	F(struct step, TEXT, "path", symlink.path),
	F(struct step, TEXT, "target", symlink.target),
	F(struct step, TEXT, "owner", symlink.owner),
	END,
};

static const struct field remove_fields[] = {
	F(struct step, TEXTS, "paths", remove.paths),
	F(struct step, BOOL, "optional", remove.optional),
	END,
};

static const struct field unpack_fields[] = {
	F(struct step, TEXT, "source", unpack.source),
	F(struct step, TARGET, "from", unpack.from),
	F(struct step, TEXT, "to", unpack.to),
	F(struct step, TEXT, "owner", unpack.owner),
	END,
};

static const struct field add_fields[] = {
	F(struct step, TEXT, "url", add.url),
	F(struct step, TEXT, "sha256", add.sha256),
	F(struct step, TEXT, "to", add.to),
	F(struct step, MODE, "mode", add.mode),
	F(struct step, TEXT, "owner", add.owner),
	F(struct step, BOOL, "unpack", add.unpack),
	END,
};

static const struct field git_fields[] = {
	F(struct step, TEXT, "url", git.url),
	F(struct step, TEXT, "ref", git.ref),
	F(struct step, TEXT, "commit", git.commit),
	F(struct step, TEXT, "subdir", git.subdir),
	F(struct step, TEXT, "to", git.to),
	F(struct step, TEXTS, "exclude", git.exclude),
	F(struct step, MODE, "mode", git.mode),
	F(struct step, TEXT, "chmod", git.chmod),
	F(struct step, TEXT, "owner", git.owner),
	F(struct step, BOOL, "keep_dir", git.keep_dir),
	F(struct step, BOOL, "no_submodules", git.no_submodules),
	END,
};

static const struct field account_fields[] = {
	F(struct step, TEXT, "user", account.user),
	F(struct step, TEXT, "group", account.group),
	F(struct step, INT64, "uid", account.uid),
	F(struct step, INT64, "gid", account.gid),
	F(struct step, BOOL, "system", account.system),
	F(struct step, TEXT, "comment", account.comment),
	F(struct step, TEXT, "shell", account.shell),
	F(struct step, TEXT, "home", account.home),
	F(struct step, TEXTS, "groups", account.groups),
	END,
};

static const struct field cache_fields[] = {
	F(struct run_cache, TEXT, "path", path),
	F(struct run_cache, TEXT, "id", id),
	{ "sharing", WORD, offsetof(struct run_cache, sharing), 0, sharing_words },
	F(struct run_cache, BOOL, "readonly", readonly),
	F(struct run_cache, BOOL, "export", exported),
	F(struct run_cache, MODE, "mode", mode),
	F(struct run_cache, INT64, "uid", uid),
	F(struct run_cache, INT64, "gid", gid),
	END,
};

static const struct field mount_fields[] = {
	{ "type", WORD, offsetof(struct run_mount, type), 0, mount_words },
	F(struct run_mount, TEXT, "path", path),
	F(struct run_mount, TEXT, "source", source),
	F(struct run_mount, TARGET, "from", from),
	F(struct run_mount, BOOL, "writable", writable),
	F(struct run_mount, INT64, "size", size),
	END,
};

static const struct field secret_fields[] = {
	F(struct run_secret, TEXT, "id", id),
	F(struct run_secret, OPT_TEXT, "path", path),
	F(struct run_secret, OPT_TEXT, "env", env),
	F(struct run_secret, BOOL, "optional", optional),
	F(struct run_secret, MODE, "mode", mode),
	F(struct run_secret, TIME, "uid", uid),
	F(struct run_secret, TIME, "gid", gid),
	END,
};

static const struct rows cache_rows = { cache_fields, sizeof(struct run_cache) };
static const struct rows mount_rows = { mount_fields, sizeof(struct run_mount) };
static const struct rows secret_rows = { secret_fields, sizeof(struct run_secret) };

static const struct field run_fields[] = {
	F(struct step, TEXTS, "lines", run.lines),
	F(struct step, TEXTS, "exec", run.exec),
	{ "cache", ROWS, offsetof(struct step, run.caches),
	  offsetof(struct step, run.n_caches), &cache_rows },
	{ "mount", ROWS, offsetof(struct step, run.mounts),
	  offsetof(struct step, run.n_mounts), &mount_rows },
	{ "secret", ROWS, offsetof(struct step, run.secrets),
	  offsetof(struct step, run.n_secrets), &secret_rows },
	F(struct step, PAIRS, "env", run.env),
	F(struct step, TEXTS, "inputs", run.inputs),
	F(struct step, OPT_TEXT, "network", run.network),
	F(struct step, OPT_TEXT, "user", run.user),
	F(struct step, OPT_TEXT, "workdir", run.workdir),
	F(struct step, BOOL, "ssh", run.ssh),
	F(struct step, BOOL, "ssh_optional", run.ssh_optional),
	F(struct step, OPT_TEXT, "ssh_path", run.ssh_path),
	F(struct step, BOOL, "platform", run.platform),
	F(struct step, PAIRS, "proxies", run.proxies),
	F(struct step, INT64, "timeout", run.limits.timeout),
	F(struct step, INT64, "memory", run.limits.memory),
	F(struct step, INT64, "pids", run.limits.pids),
	END,
};

static const struct field env_fields[] = { F(struct step, PAIRS, "env", env), END };
static const struct field workdir_fields[] = { F(struct step, TEXT, "workdir", workdir),
	                                       END };
static const struct field user_fields[] = { F(struct step, TEXT, "user", user), END };
static const struct field config_fields[] = { F(struct step, JSON, "config", config),
	                                      END };

const struct field *const model_step_fields[] = {
	[STEP_COPY] = copy_fields,       [STEP_WRITE] = write_fields,
	[STEP_MKDIR] = mkdir_fields,     [STEP_SYMLINK] = symlink_fields,
	[STEP_REMOVE] = remove_fields,   [STEP_UNPACK] = unpack_fields,
	[STEP_ADD] = add_fields,         [STEP_GIT] = git_fields,
	[STEP_ACCOUNT] = account_fields, [STEP_RUN] = run_fields,
	[STEP_ENV] = env_fields,         [STEP_WORKDIR] = workdir_fields,
	[STEP_USER] = user_fields,       [STEP_CONFIG] = config_fields,
};

const struct field model_publish_fields[] = {
	F(struct publish, TEXTS, "repos", repos),
	F(struct publish, OPT_TEXT, "version", version),
	F(struct publish, OPT_TEXT, "rebuild", rebuild),
	F(struct publish, OPT_TEXT, "prefix", prefix),
	F(struct publish, OPT_TEXT, "variant", variant),
	F(struct publish, TEXTS, "tags", tags),
	F(struct publish, TEXTS, "aliases", aliases),
	F(struct publish, TEXTS, "variants", variants),
	F(struct publish, TEXTS, "channels_list", channels_list),
	F(struct publish, TEXTS, "yanked", yanked),
	F(struct publish, TEXTS, "levels", levels),
	F(struct publish, BOOL, "is_default", is_default),
	F(struct publish, BOOL, "channels", channels),
	F(struct publish, BOOL, "zero_major", zero_major),
	F(struct publish, BOOL, "immutable", immutable),
	F(struct publish, BOOL, "sbom", sbom),
	{ "latest", WORD, offsetof(struct publish, latest), 0, latest_words },
	F(struct publish, OPT_TEXT, "latest_line", latest_line),
	END,
};

const struct field model_target_fields[] = {
	F(struct target, TEXT, "name", name),
	F(struct target, TEXT, "dir", dir),
	F(struct target, TEXTS, "wants_config", wants_config),
	F(struct target, BOOL, "of_dockerfile", of_dockerfile),
	F(struct target, TEXT, "fixed_platform", fixed_platform),
	F(struct target, OPT_TEXT, "ignore_file", ignore_file),
	F(struct target, TARGET, "from", from),
	F(struct target, BOOL, "on_build_platform", on_build_platform),
	F(struct target, TEXTS, "platforms", platforms),
	{ "compression", WORD, offsetof(struct target, compression), 0, codec_words },
	F(struct target, JSON, "annotations", annotations),
	F(struct target, TARGET, "image", image),
	F(struct target, BOOL, "on_host", on_host),
	F(struct target, TIME, "fresh", fresh),
	F(struct target, OPT_TEXT, "output", output),
	F(struct target, TEXTS, "run", run),
	F(struct target, TEXTS, "deps", deps),
	{ "needs", TARGETS, offsetof(struct target, needs),
	  offsetof(struct target, n_needs), NULL },
	END,
};

const struct field model_variable_fields[] = {
	F(struct variable, TEXT, "name", name),
	F(struct variable, OPT_TEXT, "value", value),
	F(struct variable, TEXT, "help", help),
	F(struct variable, TEXTS, "choices", choices),
	{ "origin", WORD, offsetof(struct variable, origin), 0, origin_words },
	END,
};
