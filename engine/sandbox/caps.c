/* Capabilities, by system call: libcap allocates. */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/setup.h"

enum { CAPS_MAX = 64 };

#define CAP_BIT(c) ((uint64_t)1 << (c))

#define ALLOWED(c)                                                                       \
	{                                                                                \
		c, #c                                                                    \
	}

/* What Docker leaves to containers. */
static const struct {
	int number;
	const char *name;
} allowed[] = {
	ALLOWED(CAP_CHOWN),       ALLOWED(CAP_DAC_OVERRIDE),
	ALLOWED(CAP_FSETID),      ALLOWED(CAP_FOWNER),
	ALLOWED(CAP_MKNOD),       ALLOWED(CAP_NET_RAW),
	ALLOWED(CAP_SETGID),      ALLOWED(CAP_SETUID),
	ALLOWED(CAP_SETFCAP),     ALLOWED(CAP_SETPCAP),
	ALLOWED(CAP_SYS_CHROOT),  ALLOWED(CAP_NET_BIND_SERVICE),
	ALLOWED(CAP_AUDIT_WRITE), ALLOWED(CAP_KILL),
};

static uint64_t allowed_mask(void)
{
	uint64_t mask = 0;

	for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
		mask |= CAP_BIT(allowed[i].number);
	return mask;
}

const char *caps_name(size_t i)
{
	return i < ARRAY_LEN(allowed) ? allowed[i].name : NULL;
}

/* Keeps of what we have what is in `mask`; nothing is inherited. */
static int keep(uint64_t mask, struct err *e)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return err_sys(e, "read our capabilities");
	for (int i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(mask >> (32 * i));
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &header, data) < 0)
		return err_sys(e, "give up capabilities");
	return 0;
}

/* A second chroot leads out of the first, and a disk's device node is all that is on it.
 */
static const uint64_t leads_out = CAP_BIT(CAP_SYS_CHROOT) | CAP_BIT(CAP_MKNOD);

int caps_limit(const struct setup *s, struct err *e)
{
	uint64_t mask = s->chroot ? allowed_mask() & ~leads_out : allowed_mask();

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_sys(e, "clear the ambient capabilities");
	for (int c = 0; c < CAPS_MAX; c++) {
		if (mask & CAP_BIT(c))
			continue;
		if (prctl(PR_CAPBSET_READ, c, 0, 0, 0) == 1 &&
		    prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0)
			return err_sys(e, "limit the capabilities");
	}
	return keep(mask, e);
}

int caps_only_kill(struct err *e)
{
	return keep(CAP_BIT(CAP_KILL), e);
}
