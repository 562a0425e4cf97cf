#ifndef SANDBOX_SETUP_H
#define SANDBOX_SETUP_H

/* What is handed to the process that becomes the sandbox, and how it answers. It is a
 * copy of one thread of a process with many: it may only use what it finds here, system
 * calls, and what of the C library takes no lock and no memory (struct err is made for
 * that). So all is prepared before, and what grows has its room already. */
#include <linux/filter.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "sandbox/procs.h"
#include "sandbox/sandbox.h"

enum report_kind {
	REPORT_PID,  /* `number`: the sandbox's first process, as we see it */
	REPORT_STUB, /* `text`: its path */
	REPORT_ERR,  /* `err`: it could not be started */
	REPORT_END,  /* `number`: the command's wait status */
};

struct report {
	enum report_kind kind;
	int number;
	union {
		struct err err;
		char text[4096];
	};
};

struct setup_file {
	const char *target; /* in the root; a mask is for what may not exist */
	const char *data;
	size_t len;
};

/* To the first process of a sandbox without a pid namespace: end, and take all with you.
 */
#define SETUP_END_ALL SIGUSR1

/* Where a private network has its name server. */
#define SETUP_DNS "169.254.1.1"

enum { SETUP_FILES_MAX = 3 };

/* An OCI runtime to run the command. All paths are of outside. */
struct setup_runtime {
	const char *const *argv; /* [0] is its path */
	const char *config;      /* the text of config.json */
	size_t config_len;
	bool leaves; /* when the command has started, and then has written: */
	const char *pid_file;
	const char *log;
	const char *nowhere; /* an empty directory */
};

struct setup {
	const struct sandbox_spec *spec;
	bool user_ns; /* else we are root */
	bool many_ids;
	bool chroot;            /* no namespaces, no mounts */
	struct procs_mark mark; /* of its processes, then */
	bool trial;             /* all but running a command */
	int userns;             /* its fd, or -1 */
	int cgroup;             /* directory to be born in, or -1 */
	int report;             /* a SOCK_SEQPACKET socket; their end */
	int in, out;            /* the command's; -1: ours */
	enum sandbox_rootfs rootfs;
	const char *fuse; /* the path of fuse-overlayfs outside, if it is that */
	const char *fuse_options;
	const char *pasta; /* its path outside, or NULL */
	int64_t pid_max;   /* of the pid namespace, 0: as it is */
	struct sock_fprog filter;
	const struct setup_runtime *runtime;      /* NULL: we run the command ourselves */
	struct setup_file files[SETUP_FILES_MAX]; /* resolv.conf and its like */
	size_t n_files;
	const char **programs;     /* paths to try, NULL-terminated */
	const char **source_names; /* of each mount: where its source was, or NULL */
	int *trees;                /* of each mount: a detached mount; the child's */
	int *keep;                 /* fds not to be closed, room for all */
};

/* The child's side: becomes the sandbox, runs the command and ends the process. Called in
 * a process of one thread, with all signals blocked. */
_Noreturn void setup_main(struct setup *s);

/* From here on for the child only. */

/* With `len` bytes of text. A parent that is gone hears nothing, and we end with it. */
void setup_report(const struct setup *s, struct report *r, size_t len);
void setup_stub(const struct setup *s, const char *path);

/* rootfs.c: mounts the root and returns an fd of it; enters it for good, or as far as a
 * chroot is. */
int rootfs_mount(const struct setup *s, struct err *e);
MUST_CHECK int rootfs_enter(int root, struct err *e);
MUST_CHECK int rootfs_chroot(int root, struct err *e);

/* mounts.c */
MUST_CHECK int mounts_take_sources(struct setup *s, struct err *e);
/* A memory file system for the files to be, mounted out of the root; returns its fd. */
int mounts_stage(const struct setup *s, struct err *e);
MUST_CHECK int mounts_files(const struct setup *s, int root, int stage, struct err *e);
MUST_CHECK int mounts_user(const struct setup *s, int root, int stage, struct err *e);

/* devices.c: /proc, /sys and /dev. */
MUST_CHECK int devices_mount(const struct setup *s, int root, int stage, struct err *e);

/* network.c: before anything is mounted, since pasta is a program of the host. */
MUST_CHECK int network_up(const struct setup *s, struct err *e);

/* command.c: becomes the command, or the runtime that runs it; comes back only when that
 * fails. */
MUST_CHECK int command_run(const struct setup *s, int workdir, struct err *e);

/* hand_over.c: the bundle for s->runtime in the memory file system, and the proc and
 * control groups that it is to see; after the root has been built. */
MUST_CHECK int runtime_prepare(const struct setup *s, int root, int stage, struct err *e);
/* The process to wait for, when the runtime runs in the process `runtime`. From then on
 * the host's files are out of reach. */
pid_t runtime_command(const struct setup *s, pid_t runtime, struct err *e);

/* caps.c: gives up all but what Docker leaves to containers, for good; in a chroot also
 * what leads out of it. */
MUST_CHECK int caps_limit(const struct setup *s, struct err *e);
MUST_CHECK int caps_only_kill(struct err *e);
const char *caps_name(size_t i); /* of what is left; NULL at the end */

#endif
