#include "sandbox/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "os/fd.h"
#include "os/file.h"
#include "sandbox/exposed.h"
#include "sandbox/idmap.h"
#include "sandbox/limits.h"
#include "sandbox/runtime.h"

static struct sandbox_finding *find(struct sandbox *s, const char *what, bool needed)
{
	struct sandbox_finding *f = &s->probe.findings[s->probe.n_findings++];

	f->what = what;
	f->needed = needed;
	return f;
}

static void found(struct sandbox_finding *f, const char *said)
{
	f->ok = true;
	snprintf(f->said, sizeof(f->said), "%s", said);
}

/* As root would type it: others need sudo. */
static void remedy(struct sandbox_finding *f, const char *command)
{
	snprintf(f->remedy, sizeof(f->remedy), "%s%s", geteuid() == 0 ? "" : "sudo ",
	         command);
}

static void missing(struct sandbox_finding *f, const char *said, const char *command)
{
	snprintf(f->said, sizeof(f->said), "%s", said);
	if (*command)
		remedy(f, command);
}

/* A number in a file of /proc, or -1. */
static long long setting(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	AUTO_BUF text = BUF_INIT;
	struct err e;

	if (fd < 0 || fd_read_all(fd, &text, 4096, path, &e) < 0)
		return -1;
	return strtoll(text.s, NULL, 10);
}

static bool is_initial_userns(void)
{
	AUTO_CLOSE int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
	AUTO_BUF text = BUF_INIT;
	struct err e;
	unsigned inside, outside, count;

	return fd >= 0 && fd_read_all(fd, &text, 4096, "uid_map", &e) == 0 &&
	       sscanf(text.s, "%u %u %u", &inside, &outside, &count) == 3 &&
	       inside == 0 && outside == 0 && count == UINT32_MAX;
}

struct trial {
	struct sandbox *s;
	enum sandbox_network network;
	int dir;
	char path[4096];
	const char *name;
};

static int remove_trial(void *arg, struct err *e)
{
	struct trial *t = arg;

	return file_remove_tree(t->dir, t->name, e);
}

/* All that a step goes through, in an empty root, but a command. */
static int run_trial(struct trial *t, struct err *e)
{
	char lower[4200], upper[4200], work[4200];
	const char *lowers[] = { lower };
	const char *nothing[] = { "true", NULL };
	struct sandbox_spec spec = {
		.lower = lowers,
		.n_lower = 1,
		.upper = upper,
		.work = work,
		.argv = nothing,
		.env = nothing + 1,
		.workdir = "/",
		.network = t->network,
	};
	struct sandbox_result r = { 0 };
	int rc;

	snprintf(lower, sizeof(lower), "%s/lower", t->path);
	snprintf(upper, sizeof(upper), "%s/upper", t->path);
	snprintf(work, sizeof(work), "%s/work", t->path);
	if (mkdir(lower, 0755) < 0 || mkdir(upper, 0755) < 0 || mkdir(work, 0755) < 0)
		return err_sys(e, "make directories for a trial in %s", t->path);
	rc = sandbox_try(t->s, &spec, true, &r, e);
	sandbox_result_fini(&r);
	return rc;
}

static int try_with(struct sandbox *s, const struct sandbox_options *o,
                    enum sandbox_network network, struct err *e)
{
	struct trial t = { .s = s, .network = network };
	struct err ignored;
	int rc;

	if (snprintf(t.path, sizeof(t.path), "%s/trial-XXXXXX", o->dir) >=
	    (int)sizeof(t.path))
		return err_set(e, ERR_LIMIT, "%s: too long", o->dir);
	if (!mkdtemp(t.path))
		return err_sys(e, "make a directory in %s", o->dir);
	t.name = strrchr(t.path, '/') + 1;
	t.dir = open(o->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = t.dir < 0 ? err_sys(e, "open %s", o->dir) : run_trial(&t, e);
	if (sandbox_call(s, remove_trial, &t, rc < 0 ? &ignored : e) < 0)
		rc = -1;
	fd_close(&t.dir);
	return rc;
}

static int try_out(struct sandbox *s, const struct sandbox_options *o, struct err *e)
{
	return try_with(s, o, SANDBOX_NET_HOST, e);
}

static bool apparmor_restricts(void)
{
	return setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1;
}

/* A namespace that may be made, but in which nothing is allowed, is its other way. */
static void explain_apparmor(struct sandbox_finding *f)
{
	const char *install =
		geteuid() == 0 ? "make install && " : "make install && sudo ";

	missing(f,
	        "AppArmor keeps user namespaces from us "
	        "(kernel.apparmor_restrict_unprivileged_userns)",
	        "");
	if (access("/etc/apparmor.d/imgmake", F_OK) == 0)
		install = "";
	remedy(f, install);
	strncat(f->remedy, "apparmor_parser -r /etc/apparmor.d/imgmake",
	        sizeof(f->remedy) - strlen(f->remedy) - 1);
}

static void explain_no_namespace(struct sandbox_finding *f, const struct err *e)
{
	if (setting("/proc/sys/user/max_user_namespaces") == 0)
		missing(f,
		        "user namespaces are switched off (user.max_user_namespaces is 0)",
		        "sysctl user.max_user_namespaces=15000");
	else if (setting("/proc/sys/kernel/unprivileged_userns_clone") == 0)
		missing(f,
		        "user namespaces are for root only (kernel.unprivileged_userns_clone)",
		        "sysctl kernel.unprivileged_userns_clone=1");
	else if (apparmor_restricts())
		explain_apparmor(f);
	else
		missing(f, e->msg, "");
}

static int open_range(struct sandbox *s, struct err *e)
{
	AUTO_FREE struct idmap *uids = mem_alloc(sizeof(*uids));
	AUTO_FREE struct idmap *gids = mem_alloc(sizeof(*gids));

	if (idmap_of_user(uids, gids, e) < 0)
		return -1;
	s->userns = idmap_namespace(uids, gids, e);
	return s->userns < 0 ? -1 : 0;
}

static void explain_no_range(struct sandbox_finding *f, const struct err *e)
{
	char remedy[128];

	if (strncmp(e->msg, "new", 3) == 0 && e->code == ERR_NOT_FOUND)
		snprintf(remedy, sizeof(remedy), "apt-get install uidmap");
	else
		snprintf(
			remedy, sizeof(remedy),
			"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 "
			"$(id -un)");
	missing(f, e->msg, remedy);
}

static void probe_namespace(struct sandbox *s, const struct sandbox_options *o)
{
	struct sandbox_finding *f = find(s, "identities", false), *identities;
	struct err e;

	if (!o->no_range && open_range(s, &e) == 0) {
		s->probe.users = SANDBOX_RANGE;
		found(f, "a user namespace with a range of /etc/subuid");
		return;
	}
	if (o->no_range)
		missing(f, "ranges of /etc/subuid are not to be used", "");
	else
		explain_no_range(f, &e);
	identities = f;
	f = find(s, "user namespaces", true);
	s->userns = idmap_namespace(NULL, NULL, &e);
	if (s->userns < 0) {
		identities->remedy[0] = '\0'; /* of no use without the other */
		explain_no_namespace(f, &e);
		return;
	}
	s->probe.users = SANDBOX_SINGLE;
	found(f, "a user namespace of one user: all files of a result belong to root");
}

char *probe_program(const char *name)
{
	const char *path = getenv("PATH");
	AUTO_BUF one = BUF_INIT;

	while (path && *path) {
		size_t n = strcspn(path, ":");

		buf_reset(&one);
		buf_add(&one, path, n);
		buf_addf(&one, "/%s", name);
		if (one.s[0] == '/' && access(one.s, X_OK) == 0)
			return buf_take(&one);
		path += n + (path[n] == ':');
	}
	return NULL;
}

static int try_overlay(struct sandbox *s, const struct sandbox_options *o, struct err *e)
{
	if (o->no_overlay)
		return err_set(e, ERR_NOT_FOUND, "overlayfs is not to be used");
	s->probe.rootfs = SANDBOX_OVERLAY;
	return try_out(s, o, e);
}

static int try_fuse(struct sandbox *s, const struct sandbox_options *o)
{
	struct err e;

	if (o->no_fuse)
		return -1;
	if (!s->fuse)
		s->fuse = probe_program("fuse-overlayfs");
	if (!s->fuse)
		return -1;
	s->probe.rootfs = SANDBOX_FUSE_OVERLAY;
	return try_out(s, o, &e);
}

static int try_copy(struct sandbox *s, const struct sandbox_options *o, struct err *e)
{
	s->probe.rootfs = SANDBOX_COPY;
	return try_out(s, o, e);
}

static void found_copies(struct sandbox *s, struct sandbox_finding *f,
                         const struct err *overlay)
{
	f->ok = true;
	snprintf(f->said, sizeof(f->said),
	         "copies of the layers, made for each step (%.800s)", overlay->msg);
	if (!s->fuse)
		remedy(f, "apt-get install fuse-overlayfs");
}

static bool probe_rootfs(struct sandbox *s, const struct sandbox_options *o,
                         struct sandbox_finding *f)
{
	struct err overlay, copies;

	s->probe.user_xattrs = s->userns >= 0 || !s->initial_userns;
	if (try_overlay(s, o, &overlay) == 0) {
		found(f, "overlayfs");
		return true;
	}
	if (try_fuse(s, o) == 0) {
		found(f, "fuse-overlayfs");
		return true;
	}
	if (try_copy(s, o, &copies) == 0) {
		found_copies(s, f, &overlay);
		return true;
	}
	s->probe.rootfs = SANDBOX_NO_ROOTFS;
	if (s->userns >= 0 && apparmor_restricts())
		explain_apparmor(f);
	else
		missing(f, copies.msg, "");
	return false;
}

/* In the open, where others of the same user could look into our memory. */
static void probe_chroot(struct sandbox *s, const struct sandbox_options *o)
{
	struct sandbox_finding *f = find(s, "chroot", true);
	struct err e;

	if (geteuid() != 0) {
		missing(f, "--isolation=chroot is for root, as in a container", "");
		return;
	}
	s->probe.chroot = true;
	s->probe.users = SANDBOX_ROOT;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || try_copy(s, o, &e) < 0) {
		missing(f, e.msg, "");
		s->probe.rootfs = SANDBOX_NO_ROOTFS;
		return;
	}
	found(f, "copies of the layers, entered with chroot: steps are less apart from "
	         "what runs here");
	if (exposed_refuse(&e) < 0) {
		f->ok = false;
		snprintf(f->said, sizeof(f->said), "%s", e.msg);
	}
}

/* Root of a container that may make no namespaces. */
static void offer_chroot(struct sandbox *s)
{
	struct sandbox_finding *f;

	if (geteuid() != 0 || s->probe.users != SANDBOX_NOBODY)
		return;
	for (size_t i = 0; i < s->probe.n_findings; i++) {
		f = &s->probe.findings[i];
		if (f->needed && !f->ok && !*f->remedy)
			snprintf(f->remedy, sizeof(f->remedy),
			         "imgmake --isolation=chroot (in a container without "
			         "secrets), or allow the container to make namespaces");
	}
}

/* Root may be none that the kernel heeds, as in an unprivileged container. */
static void probe_users(struct sandbox *s, const struct sandbox_options *o)
{
	struct sandbox_finding *f;

	if (geteuid() == 0) {
		f = find(s, "root file systems", true);
		s->probe.users = SANDBOX_ROOT;
		if (probe_rootfs(s, o, f))
			return;
		s->probe.n_findings--;
		s->probe.users = SANDBOX_NOBODY;
		memset(f, 0, sizeof(*f));
	}
	probe_namespace(s, o);
	if (s->probe.users != SANDBOX_NOBODY)
		(void)probe_rootfs(s, o, find(s, "root file systems", true));
}

/* pid_max is of the pid namespace since Linux 6.14. */
static bool has_pid_max(void)
{
	AUTO_CLOSE int fd = open("/proc/sys/kernel/osrelease", O_RDONLY | O_CLOEXEC);
	AUTO_BUF text = BUF_INIT;
	struct err e;
	int major, minor;

	return fd >= 0 && fd_read_all(fd, &text, 4096, "osrelease", &e) == 0 &&
	       sscanf(text.s, "%d.%d", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 14));
}

static void missing_delegation(struct sandbox_finding *f, const struct err *e)
{
	missing(f, e->msg, "");
	snprintf(f->remedy, sizeof(f->remedy),
	         "systemd-run %s--scope -p Delegate=yes imgmake",
	         geteuid() == 0 ? "" : "--user ");
}

static void probe_limits(struct sandbox *s, const struct sandbox_options *o)
{
	struct sandbox_finding *f = find(s, "memory limits", false);
	struct err e;

	err_set(&e, ERR_NOT_FOUND, "control groups are not to be used");
	s->cgroup = o->no_cgroups ? -1 : limits_open(&e);
	if (s->cgroup >= 0)
		found(f, "control groups");
	else
		missing_delegation(f, &e);
	s->probe.memory = s->cgroup >= 0;
	f = find(s, "process limits", false);
	s->probe.pids = s->cgroup >= 0  ? SANDBOX_PIDS_CGROUP
	                : has_pid_max() ? SANDBOX_PIDS_NAMESPACE
	                                : SANDBOX_PIDS_UNLIMITED;
	if (s->probe.pids == SANDBOX_PIDS_UNLIMITED)
		missing_delegation(f, &e);
	else
		found(f, s->cgroup >= 0 ? "control groups"
		                        : "pid_max of the namespace, 301 or more");
}

/* Doing it takes longer than all else together, and few steps ask for it: they find out
 * by themselves. */
static int try_network(struct sandbox *s, const struct sandbox_options *o, struct err *e)
{
	if (!o->try_network || s->probe.users == SANDBOX_NOBODY ||
	    s->probe.rootfs == SANDBOX_NO_ROOTFS)
		return 0;
	return try_with(s, o, SANDBOX_NET_PRIVATE, e);
}

static void probe_network(struct sandbox *s, const struct sandbox_options *o)
{
	struct sandbox_finding *f = find(s, "private networks", false);
	AUTO_CLOSE int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	bool denied = tun < 0 && errno == EACCES;
	struct err e;

	s->pasta = probe_program("pasta");
	if (!s->pasta)
		missing(f, "the program pasta is not there", "apt-get install passt");
	else if (tun < 0)
		missing(f, "/dev/net/tun is not there, or not open to us",
		        denied ? "chmod 666 /dev/net/tun" : "modprobe tun");
	else if (try_network(s, o, &e) < 0)
		missing(f, e.msg, "");
	else
		found(f, s->pasta);
	s->probe.private_network = f->ok;
}

static void probe_runtimes(struct sandbox *s)
{
	struct sandbox_finding *f = find(s, "OCI runtimes", false);
	AUTO_BUF names = BUF_INIT;

	runtime_list(&names);
	if (names.len)
		found(f, names.s);
	else
		missing(f, "for --runtime: no crun, runc or runsc is there",
		        "sudo apt-get install crun");
}

void probe_all(struct sandbox *s, const struct sandbox_options *o)
{
	s->initial_userns = is_initial_userns();
	s->probe.users = SANDBOX_NOBODY;
	s->probe.rootfs = SANDBOX_NO_ROOTFS;
	if (o->chroot) {
		probe_chroot(s, o);
		return;
	}
	probe_users(s, o);
	offer_chroot(s);
	probe_limits(s, o);
	probe_network(s, o);
	probe_runtimes(s);
}
