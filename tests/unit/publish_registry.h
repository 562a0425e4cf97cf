#ifndef TESTS_UNIT_PUBLISH_REGISTRY_H
#define TESTS_UNIT_PUBLISH_REGISTRY_H

/* A real docker-registry on a free loopback port, with its own directory and a log of
 * requests. Include after cmocka.h. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "os/fd.h"
#include "os/file.h"

struct registry_fixture {
	pid_t pid;
	char dir[64];
	char host[64]; /* "localhost:40123" */
};

static inline void registry_fixture_log(const struct registry_fixture *f, struct buf *out)
{
	char path[100];
	struct err e;

	buf_reset(out);
	snprintf(path, sizeof(path), "%s/log", f->dir);
	if (file_read(AT_FDCWD, path, out, 64 << 20, &e) < 0)
		fail_msg("%s", e.msg);
}

static inline void registry_fixture_config(const struct registry_fixture *f)
{
	char path[100];
	FILE *out;

	snprintf(path, sizeof(path), "%s/config.yml", f->dir);
	out = fopen(path, "we");
	assert_non_null(out);
	fprintf(out,
	        "version: 0.1\n"
	        "log: { level: info, accesslog: { disabled: false } }\n"
	        "storage:\n"
	        "  filesystem: { rootdirectory: %s/data }\n"
	        "  delete: { enabled: true }\n"
	        "http: { addr: '127.0.0.1:0', secret: imgmake-tests }\n",
	        f->dir);
	assert_int_equal(fclose(out), 0);
}

static inline void registry_fixture_exec(const struct registry_fixture *f)
{
	char config[100], log[100];
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(config, sizeof(config), "%s/config.yml", f->dir);
	snprintf(log, sizeof(log), "%s/log", f->dir);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(fd, 1);
	dup2(fd, 2);
	execlp("docker-registry", "docker-registry", "serve", config, (char *)NULL);
	_exit(127);
}

static inline void registry_fixture_start(struct registry_fixture *f)
{
	static const char said[] = "listening on 127.0.0.1:";
	const struct timespec pause = { .tv_nsec = 20000000 };
	AUTO_BUF log = BUF_INIT;
	char path[100];
	int status;

	strcpy(f->dir, "/tmp/imgmake-registry.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	registry_fixture_config(f);
	snprintf(path, sizeof(path), "%s/log", f->dir);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	f->pid = fork();
	assert_true(f->pid >= 0);
	if (f->pid == 0)
		registry_fixture_exec(f);
	for (int tries = 0; tries < 1000; tries++) {
		const char *at;

		registry_fixture_log(f, &log);
		at = strstr(log.s, said);
		if (at && strchr(at, '\n')) { /* the whole number is there */
			snprintf(f->host, sizeof(f->host), "localhost:%d",
			         atoi(at + strlen(said)));
			return;
		}
		if (waitpid(f->pid, &status, WNOHANG) == f->pid)
			break;
		nanosleep(&pause, NULL);
	}
	fail_msg("docker-registry did not start: %s", log.s);
}

static inline void registry_fixture_stop(struct registry_fixture *f)
{
	struct err e;

	kill(f->pid, SIGKILL);
	waitpid(f->pid, NULL, 0);
	if (file_remove_tree(AT_FDCWD, f->dir, &e) < 0)
		fail_msg("%s", e.msg);
}

/* Appends the requests since `from` bytes of the log, "PUT /v2/app/manifests/1.2.3\n"
 * each; returns where the log ends. A request is logged once it is answered. */
static inline size_t registry_fixture_requests(const struct registry_fixture *f,
                                               size_t from, struct buf *out)
{
	static const char *const methods[] = { "GET",  "HEAD",  "PUT",
		                               "POST", "PATCH", "DELETE" };
	AUTO_BUF log = BUF_INIT;
	char *save = NULL;

	registry_fixture_log(f, &log);
	for (char *line = strtok_r(log.s + from, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
			char text[16];
			char *at;

			snprintf(text, sizeof(text), "\"%s /", methods[i]);
			at = strstr(line, text);
			if (at && strstr(at, " HTTP/"))
				buf_addf(out, "%.*s\n",
				         (int)(strstr(at, " HTTP/") - at - 1), at + 1);
		}
	}
	return log.len;
}

#endif
