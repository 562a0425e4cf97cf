#ifndef UNIT_REGISTRY_FIXTURE_H
#define UNIT_REGISTRY_FIXTURE_H

/* Starts real registries on free loopback ports, in a directory that is removed at the
 * end. Children die with the test, however it ends. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "registry/client.h"

static inline int push_blob(struct registry *r, const struct reference *ref,
                            const struct descriptor *d, const struct strlist *from,
                            const struct reference *origin, struct blobs *store,
                            enum push_outcome *how, struct err *e)
{
	struct push_blob b = { d, PUSH_UNKNOWN, from, origin, store };

	return registry_push_blob(r, ref, &b, how, e);
}

enum { FIXTURE_TRIES = 500 }; /* of 20 ms */

struct server {
	pid_t pid;
	int port;
};

static char fixture_dir[64];

/* system(), for what must succeed. */
__attribute__((format(printf, 1, 2))) static inline void fixture_run(const char *fmt, ...)
{
	char command[2000];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	if (system(command) != 0) {
		fprintf(stderr, "fixture: failed: %s\n", command);
		abort();
	}
}

static inline void fixture_begin(void)
{
	strcpy(fixture_dir, "/tmp/imgmake-registry-XXXXXX");
	if (!mkdtemp(fixture_dir))
		abort();
	setenv("HOME", fixture_dir, 1);
	unsetenv("DOCKER_CONFIG");
	unsetenv("REGISTRY_AUTH_FILE");
	unsetenv("XDG_RUNTIME_DIR");
	unsetenv("XDG_CONFIG_HOME");
	fixture_run("tests/servers/make_certs.sh %s/certs", fixture_dir);
}

static inline void fixture_end(void)
{
	fixture_run("rm -rf %s", fixture_dir);
}

__attribute__((format(printf, 2, 3))) static inline void fixture_write(const char *name,
                                                                       const char *fmt,
                                                                       ...)
{
	char path[200];
	va_list ap;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", fixture_dir, name);
	f = fopen(path, "w");
	if (!f)
		abort();
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fclose(f);
}

static inline int fixture_free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &n) < 0)
		abort();
	close(fd);
	return ntohs(a.sin_port);
}

static inline bool fixture_answers(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		                 .sin_port = htons((uint16_t)port),
		                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;

	close(fd);
	return ok;
}

static inline void fixture_wait(struct server *s)
{
	struct timespec nap = { 0, 20000000 };

	for (int i = 0; i < FIXTURE_TRIES; i++) {
		if (fixture_answers(s->port))
			return;
		nanosleep(&nap, NULL);
	}
	fprintf(stderr, "fixture: nothing answers on port %d; see %s\n", s->port,
	        fixture_dir);
	abort();
}

static inline void fixture_start(struct server *s, char *const argv[])
{
	char log[100];

	snprintf(log, sizeof(log), "%s/server-%d.log", fixture_dir, s->port);
	s->pid = fork();
	if (s->pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fd, 1);
		dup2(fd, 2);
		execvp(argv[0], argv);
		_exit(127);
	}
	fixture_wait(s);
}

static inline void fixture_stop(struct server *s)
{
	if (s->pid <= 0)
		return;
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	s->pid = 0;
}

/* docker-registry; `tls` goes below http: and `auth` after it ("" for an open one). */
static inline void fixture_registry(struct server *s, const char *tls, const char *auth)
{
	char name[40], path[120];
	char *argv[] = { "docker-registry", "serve", path, NULL };

	s->port = fixture_free_port();
	snprintf(name, sizeof(name), "registry-%d.yml", s->port);
	snprintf(path, sizeof(path), "%s/%s", fixture_dir, name);
	fixture_write(name,
	              "version: 0.1\nlog: { level: error }\n"
	              "storage: { filesystem: { rootdirectory: %s/data-%d },"
	              " delete: { enabled: true } }\n"
	              "http:\n  addr: 127.0.0.1:%d\n%s%s",
	              fixture_dir, s->port, s->port, tls, auth);
	fixture_start(s, argv);
}

static inline void fixture_tokens(struct server *s)
{
	char key[100], cert[100], log[100], port[12];
	char *argv[] = { "tests/servers/token_server.py",
		         "--key",
		         key,
		         "--cert",
		         cert,
		         "--log",
		         log,
		         "--port",
		         port,
		         "--user",
		         "ci:secret",
		         "--user",
		         "guest:guest",
		         "--refresh",
		         "ci:identity-of-ci",
		         "--grant",
		         "ci=*:pull,push",
		         "--grant",
		         "guest=*:pull",
		         "--grant",
		         "*=public/*:pull",
		         NULL };

	s->port = fixture_free_port();
	snprintf(key, sizeof(key), "%s/certs/token.key", fixture_dir);
	snprintf(cert, sizeof(cert), "%s/certs/token.crt", fixture_dir);
	snprintf(log, sizeof(log), "%s/token.log", fixture_dir);
	snprintf(port, sizeof(port), "%d", s->port);
	fixture_start(s, argv);
}

#endif
