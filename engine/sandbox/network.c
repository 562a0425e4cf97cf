/* A network namespace of our own: empty, or with pasta at its other end. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "os/fd.h"
#include "sandbox/clone.h"
#include "sandbox/exec.h"
#include "sandbox/setup.h"

enum { READY_TRIES = 5000, READY_NS = 1000000 };

static int loopback_up(struct err *e)
{
	AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq lo = { .ifr_name = "lo" };

	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &lo) < 0)
		return err_sys(e, "look at the loopback interface");
	lo.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
		return err_sys(e, "start the loopback interface");
	return 0;
}

/* In a process that is still in the host's network, and shares our fds until it has been
 * told which of them is the namespace to serve. It has its own view of the mounts, so
 * that entering the root does not move it, and ends with our pid namespace. */
static _Noreturn void pasta_main(const struct setup *s, int gate)
{
	char path[40];
	int net;
	const char *argv[] = { "pasta",   "--quiet", "--foreground", "--config-net",
		               "--runas", "0",       "--no-map-gw",  "--dns-forward",
		               SETUP_DNS, "-t",      "none",         "-u",
		               "none",    "-T",      "none",         "-U",
		               "none",    "-I",      "eth0",         "--netns",
		               path,      NULL };
	char *const env[] = { NULL };

	if (read(gate, &net, sizeof(net)) != sizeof(net) || unshare(CLONE_FILES) < 0 ||
	    fcntl(net, F_SETFD, 0) < 0)
		exec_end(1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", net);
	if (s->in >= 0)
		dup2(s->in, 0);
	if (s->out >= 0) {
		dup2(s->out, 1);
		dup2(s->out, 2);
	}
	/* It takes a SIGPIPE that is ignored already for a failure. */
	signal(SIGPIPE, SIG_DFL);
	execve(s->pasta, (char *const *)argv, env);
	exec_end(127);
}

static int default_route(void)
{
	char text[4096];
	AUTO_CLOSE int fd = open("/proc/self/net/route", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0)
		return 0;
	text[n] = '\0';
	return strstr(text, "\t00000000\t") != NULL;
}

/* The route is the last thing that it sets up. */
static int wait_for_route(pid_t pasta, struct err *e)
{
	const struct timespec pause = { .tv_nsec = READY_NS };

	for (int i = 0; i < READY_TRIES; i++) {
		if (default_route())
			return 0;
		if (waitpid(pasta, NULL, WNOHANG) == pasta)
			return err_set(
				e, ERR_FAILED,
				"pasta could not make a private network (is /dev/net/tun "
				"there, and open to us?)");
		nanosleep(&pause, NULL);
	}
	return err_set(e, ERR_FAILED, "pasta did not make a private network in 5 s");
}

static int start_pasta(const struct setup *s, struct err *e)
{
	int gate[2], net;
	pid_t pid;

	if (pipe2(gate, O_CLOEXEC) < 0)
		return err_sys(e, "make a pipe");
	pid = clone_child(CLONE_FILES | CLONE_NEWNS, -1, NULL);
	if (pid < 0)
		return err_sys(e, "start pasta");
	if (pid == 0)
		pasta_main(s, gate[0]);
	if (unshare(CLONE_NEWNET) < 0)
		return err_sys(e, "make a network namespace");
	net = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (net < 0)
		return err_sys(e, "open our network namespace");
	if (fd_write(gate[1], &net, sizeof(net), "a pipe", e) < 0)
		return -1;
	return wait_for_route(pid, e);
}

int network_up(const struct setup *s, struct err *e)
{
	if (s->spec->network == SANDBOX_NET_HOST)
		return 0;
	if (s->spec->network == SANDBOX_NET_PRIVATE && start_pasta(s, e) < 0)
		return -1;
	return loopback_up(e);
}
