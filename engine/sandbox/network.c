/* The inside of a network namespace of our own. */
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/fd.h"
#include "sandbox/setup.h"

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

/* pasta is started by our parent, outside; it answers when the interface is there. */
static int wait_for_pasta(const struct setup *s, struct err *e)
{
	struct report r = { .kind = REPORT_NETWORK };
	char answer;

	setup_report(s, &r, 0);
	if (recv(s->report, &answer, 1, 0) != 1)
		return err_set(e, ERR_FAILED, "no private network");
	return 0;
}

int network_up(const struct setup *s, struct err *e)
{
	if (s->spec->network == SANDBOX_NET_HOST)
		return 0;
	if (s->spec->network == SANDBOX_NET_PRIVATE && !s->trial &&
	    wait_for_pasta(s, e) < 0)
		return -1;
	return loopback_up(e);
}
