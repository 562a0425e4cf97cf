#include "sandbox/prepare.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "os/file.h"

enum { KEEP_FIXED = 8, TEXT_MAX = 1 << 20, PIDS_MIN = 301 };

static int check(const struct sandbox_spec *spec, struct err *e)
{
	if (!spec->n_lower || spec->n_lower > SANDBOX_LOWER_MAX)
		return err_set(e, ERR_LIMIT, "%zu layers, must be 1 to %d", spec->n_lower,
		               SANDBOX_LOWER_MAX);
	if (!spec->argv[0] || !spec->argv[0][0])
		return err_set(e, ERR_INVALID, "no command");
	if (spec->workdir[0] != '/')
		return err_set(e, ERR_INVALID,
		               "working directory %s: not an absolute path",
		               spec->workdir);
	return 0;
}

static const char *find_path(const char *const *env)
{
	for (; *env; env++)
		if (strncmp(*env, "PATH=", 5) == 0)
			return *env + 5;
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

static void list_programs(struct prepared *p, const struct sandbox_spec *spec)
{
	const char *name = spec->argv[0];
	const char *path = find_path(spec->env);
	AUTO_BUF one = BUF_INIT;

	if (strchr(name, '/')) {
		strlist_add(&p->programs, name);
		return;
	}
	for (;;) {
		size_t n = strcspn(path, ":");

		buf_reset(&one);
		buf_add(&one, n ? path : ".", n ? n : 1);
		buf_addf(&one, "/%s", name);
		strlist_add(&p->programs, one.s);
		if (!path[n])
			return;
		path += n + 1;
	}
}

static int name_source(struct prepared *p, const struct sandbox_mount *m, struct err *e)
{
	char link[64], name[PATH_MAX];
	ssize_t n;

	if (m->kind != SANDBOX_BIND) {
		strlist_add(&p->sources, "");
		return 0;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", m->source);
	n = readlink(link, name, sizeof(name) - 1);
	if (n < 0)
		return err_sys(e, "find the source of the mount %s", m->target);
	name[n] = '\0';
	if (name[0] != '/')
		return err_set(e, ERR_INVALID, "the source of the mount %s has no name",
		               m->target);
	strlist_add(&p->sources, name);
	return 0;
}

static void add_path(struct buf *out, const char *path)
{
	for (; *path; path++) {
		if (strchr(",:\\", *path))
			buf_addc(out, '\\');
		buf_addc(out, *path);
	}
}

static void list_directories(struct buf *out, const struct sandbox_spec *spec)
{
	for (size_t i = spec->n_lower; i-- > 0;) {
		buf_adds(out, i + 1 == spec->n_lower ? "lowerdir=" : ":");
		add_path(out, spec->lower[i]);
	}
	buf_adds(out, ",upperdir=");
	add_path(out, spec->upper);
	buf_adds(out, ",workdir=");
	add_path(out, spec->work);
}

static const char hosts_text[] =
	"127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.0.1\timgmake\n";

static void add_file(struct setup *s, const char *target, const char *data, size_t len)
{
	s->files[s->n_files++] = (struct setup_file){ target, data, len };
}

static void read_host(struct buf *out, const char *path)
{
	struct err e;

	if (file_exists(AT_FDCWD, path) &&
	    file_read(AT_FDCWD, path, out, TEXT_MAX, &e) < 0)
		buf_reset(out); /* a host without name service has none to give */
}

static void add_names(struct prepared *p, struct setup *s)
{
	static const char hostname[] = "imgmake\n";
	bool network = s->spec->network != SANDBOX_NET_NONE;

	buf_adds(&p->hosts, hosts_text);
	if (s->spec->network == SANDBOX_NET_HOST)
		read_host(&p->hosts, "/etc/hosts");
	if (s->spec->network == SANDBOX_NET_PRIVATE)
		buf_adds(&p->resolv, "nameserver " SETUP_DNS "\n");
	else if (network)
		read_host(&p->resolv, "/etc/resolv.conf");
	add_file(s, "/etc/hosts", p->hosts.s, p->hosts.len);
	add_file(s, "/etc/hostname", hostname, sizeof(hostname) - 1);
	if (network)
		add_file(s, "/etc/resolv.conf", p->resolv.s, p->resolv.len);
}

/* --------------------------------------------------------------------------------------------
 */

static const char **as_array(const struct strlist *l)
{
	const char **a = mem_alloc((l->len + 1) * sizeof(*a));

	for (size_t i = 0; i < l->len; i++)
		a[i] = l->at[i];
	return a;
}

int prepare(struct prepared *p, struct setup *s, struct err *e)
{
	const struct sandbox_spec *spec = s->spec;

	p->resolv = p->hosts = p->fuse = (struct buf)BUF_INIT;
	if (check(spec, e) < 0)
		return -1;
	for (size_t i = 0; i < spec->n_mounts; i++)
		if (name_source(p, &spec->mounts[i], e) < 0)
			return -1;
	list_programs(p, spec);
	p->source_list = as_array(&p->sources);
	p->program_list = as_array(&p->programs);
	p->trees = mem_alloc((spec->n_mounts + 1) * sizeof(*p->trees));
	p->keep = mem_alloc((spec->n_mounts + KEEP_FIXED) * sizeof(*p->keep));
	if (s->fuse)
		list_directories(&p->fuse, spec);
	s->fuse_options = p->fuse.s;
	s->source_names = p->source_list;
	s->programs = p->program_list;
	s->trees = p->trees;
	s->keep = p->keep;
	if (s->pid_max && s->pid_max < PIDS_MIN)
		s->pid_max = PIDS_MIN;
	if (!s->trial)
		add_names(p, s);
	return 0;
}

void prepared_fini(struct prepared *p)
{
	strlist_fini(&p->programs);
	strlist_fini(&p->sources);
	buf_fini(&p->resolv);
	buf_fini(&p->hosts);
	buf_fini(&p->fuse);
	free(p->program_list);
	free(p->source_list);
	free(p->trees);
	free(p->keep);
}
