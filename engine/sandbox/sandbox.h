#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

/* Runs one command in a root file system made of unpacked layers, in namespaces of its
 * own, without a daemon. What this machine allows is found out once, by doing it. What
 * the command changed is in the upper directory afterwards: in overlayfs' format, or
 * (SANDBOX_COPY) with all that it did not change. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/vec.h"

struct sandbox;

/* Whose identities there are inside. It decides who may own the files of a result. */
enum sandbox_users {
	SANDBOX_ROOT,  /* we are root: all, as they are */
	SANDBOX_RANGE, /* a user namespace: 0 is the caller, 1… a range of /etc/subuid */
	SANDBOX_SINGLE, /* a user namespace in which 0 is the caller, and nobody else is
	                 */
	SANDBOX_NOBODY, /* no namespaces: nothing can be run */
};

enum sandbox_rootfs {
	SANDBOX_OVERLAY,      /* whiteouts are char 0:0 */
	SANDBOX_FUSE_OVERLAY, /* fuse-overlayfs; the same marks */
	SANDBOX_COPY, /* the upper directory is the root: layers are copied into it */
	SANDBOX_NO_ROOTFS,
};

enum sandbox_network {
	SANDBOX_NET_HOST,
	SANDBOX_NET_NONE,    /* only lo */
	SANDBOX_NET_PRIVATE, /* through pasta */
};

/* How the number of processes is bounded. */
enum sandbox_pids {
	SANDBOX_PIDS_UNLIMITED,
	SANDBOX_PIDS_CGROUP,
	SANDBOX_PIDS_NAMESPACE, /* pid_max of the pid namespace (Linux 6.14), at least 301
	                         */
};

/* One thing that was looked for, in the order in which `imgmake doctor` tells them. */
struct sandbox_finding {
	const char *what; /* "user namespaces" */
	bool ok;
	bool needed;      /* nothing runs without */
	char said[1000];  /* what was found, or why not */
	char remedy[256]; /* the command that mends it, "" if none does */
};

enum { SANDBOX_FINDINGS_MAX = 12 };

struct sandbox_probe {
	enum sandbox_users users;
	enum sandbox_rootfs rootfs;
	bool chroot;      /* no namespaces: copies, entered with chroot */
	bool user_xattrs; /* overlayfs' marks are user.overlay.*, not trusted.overlay.* */
	enum sandbox_pids pids;
	bool memory; /* memory limits work, and being out of memory is noticed */
	bool private_network;
	struct sandbox_finding findings[SANDBOX_FINDINGS_MAX];
	size_t n_findings;
};

struct sandbox_options {
	const char *dir; /* absolute, exists, of the file system where upper directories
	                  * will be; used for trials, and empty again after */
	const char *runtime; /* an OCI runtime to run commands: crun, runc, runsc, or an
	                      * absolute path; NULL: we do */
	/* The last resort in containers that may make no namespaces: for root only, and
	 * only while no credentials could be read from outside of the chroot. Our own
	 * process is hidden from others from then on (PR_SET_DUMPABLE). */
	bool chroot;
	bool try_network; /* make a private network, rather than look whether one could be
	                   */
	bool no_range;    /* act as if these were not to be had: for tests */
	bool no_overlay;
	bool no_fuse;
	bool no_cgroups;
};

/* Probes; never fails because something is missing. *out is used by any number of threads
 * at once and belongs to the caller. */
MUST_CHECK int sandbox_open(struct sandbox **out, const struct sandbox_options *o,
                            struct err *e);
void sandbox_close(struct sandbox *s); /* NULL is fine; no run may be under way */
const struct sandbox_probe *sandbox_probe_get(const struct sandbox *s);

enum sandbox_mount_kind {
	SANDBOX_BIND,  /* `source`: a directory with all below it, a file or a socket */
	SANDBOX_TMPFS, /* an empty memory file system, mode 1777 */
	SANDBOX_FILE,  /* a read-only file with these bytes, on a memory file system */
};

/* Mounted in order, over what the image has there; the target is made if absent and then
 * a stub. Symlinks of the image on the way are followed inside the root. Nothing mounted
 * gives set-user-ID or device files an effect. In a chroot a copy is put there, or the
 * directory itself if it is writable, which nobody else may use meanwhile; no sockets and
 * no SANDBOX_FILE. */
struct sandbox_mount {
	enum sandbox_mount_kind kind;
	const char *target; /* absolute, inside */
	int source;         /* BIND: any fd for it, O_PATH too. It must still be found
	                     * under its name when the command starts. */
	bool writable;      /* BIND */
	int64_t size;       /* TMPFS: bytes at most, 0: half of the memory */
	const void *data;   /* FILE */
	size_t data_len;
	mode_t mode; /* FILE */
	uid_t uid;   /* FILE: as seen inside */
	gid_t gid;
};

struct sandbox_spec {
	/* Unpacked layers, absolute paths of directories, the lowest first; at least one,
	 * at most SANDBOX_LOWER_MAX. No step writes to them. */
	const char *const *lower;
	size_t n_lower;
	/* Absolute paths of two directories of one file system, the work directory empty.
	 * Overlayfs leaves a `work` in it, which the caller removes with it. */
	const char *upper, *work;
	bool again; /* the upper directory holds what an earlier run left */

	const char *const *argv; /* argv[0] with a slash, or looked up in PATH of `env`,
	                            inside */
	const char *const *env;  /* all of the environment */
	const char *workdir; /* absolute; made if absent, which is part of the difference
	                      */
	uid_t uid;
	gid_t gid;
	const gid_t *groups; /* supplementary; not in SANDBOX_SINGLE */
	size_t n_groups;
	const struct sandbox_mount *mounts;
	size_t n_mounts;
	enum sandbox_network network;

	int64_t pids;       /* at most, 0: no limit */
	int64_t memory;     /* bytes, 0: no limit */
	int64_t timeout_ns; /* 0: none */
	int64_t grace_ns;   /* between TERM and KILL when it is over; 0: 10 s */

	/* All output in the order written: lines without their newline, very long ones in
	 * pieces. Called on the caller's thread. Unused when interactive. */
	void (*line)(void *self, const char *s, size_t n);
	void *line_self;
	bool interactive; /* keeps our standard input and outputs, and the terminal */
	bool on_terminal; /* interactive: its outputs are our standard input, a terminal
	                   */
};

enum { SANDBOX_LOWER_MAX = 450 };

enum sandbox_end {
	SANDBOX_EXITED,
	SANDBOX_SIGNALLED,
	SANDBOX_OUT_OF_MEMORY, /* the kernel killed something of it: even if it exited
	                          with 0 */
	SANDBOX_TIMED_OUT,
	SANDBOX_INTERRUPTED, /* process_interrupt_all */
};

struct sandbox_result {
	enum sandbox_end end;
	int status; /* the exit status, or 128 + signal */
	/* What had to be made so that something could be mounted there: absolute paths
	 * inside, through no symlink. It stays in the upper directory and is no part of
	 * the difference; the times of the directories that hold it were put back. */
	struct strlist stubs;
};

void sandbox_result_fini(struct sandbox_result *r);

/* Runs to the end of the command; what it left running is killed. *r is set also when -1
 * is returned, and the caller's to sandbox_result_fini. -1 if it could not be started:
 * ERR_NOT_FOUND or ERR_DENIED for the program, ERR_INVALID for what image or recipe do
 * wrong. A command that fails is no error here. Ended by process_interrupt_all, as
 * children of process_run are. */
MUST_CHECK int sandbox_run(struct sandbox *s, const struct sandbox_spec *spec,
                           struct sandbox_result *r, struct err *e);

/* Calls fn(arg) in a child process that has the identities of the sandbox: root over all
 * owners that files of a root file system can have, in our mount namespace. To unpack,
 * read and remove them. For SANDBOX_ROOT it is just called. `fn` may allocate, but must
 * not count on threads or on locks that other threads may hold, and nothing it changes in
 * memory comes back. Its error does. */
MUST_CHECK int sandbox_call(struct sandbox *s, int (*fn)(void *arg, struct err *e),
                            void *arg, struct err *e);

#endif
