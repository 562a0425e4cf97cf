#include "sandbox/filter.h"

#include <errno.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "os/fd.h"

enum { PROGRAM_MAX = 1 << 20 };

#define LOW_WORD 0xffffffff /* the kernel takes an int there */

/* Docker's default profile read as a list of what it denies without extra capabilities.
 * Most need a capability that is gone as well; a filter also keeps their code out of
 * reach. */
static const char *const denied[] = {
	"acct",
	"add_key",
	"bpf",
	"clock_adjtime",
	"clock_settime",
	"clock_settime64",
	"create_module",
	"delete_module",
	"fanotify_init",
	"finit_module",
	"fsconfig",
	"fsmount",
	"fsopen",
	"fspick",
	"get_kernel_syms",
	"init_module",
	"io_uring_enter",
	"io_uring_register",
	"io_uring_setup",
	"ioperm",
	"iopl",
	"kcmp",
	"kexec_file_load",
	"kexec_load",
	"keyctl",
	"lookup_dcookie",
	"lsm_set_self_attr",
	"mount",
	"mount_setattr",
	"move_mount",
	"move_pages",
	"nfsservctl",
	"open_by_handle_at",
	"open_tree",
	"perf_event_open",
	"pivot_root",
	"process_madvise",
	"query_module",
	"quotactl",
	"quotactl_fd",
	"reboot",
	"request_key",
	"setdomainname",
	"sethostname",
	"setns",
	"settimeofday",
	"stime",
	"swapoff",
	"swapon",
	"sysfs",
	"syslog",
	"_sysctl",
	"umount",
	"umount2",
	"unshare",
	"uselib",
	"userfaultfd",
	"ustat",
	"vhangup",
	"vm86",
	"vm86old",
};

static const char *const owner_calls[] = {
	"chown", "chown32", "fchown", "fchown32", "fchownat", "lchown", "lchown32",
};

/* Ways to other processes, of which a chroot hides none. */
static const char *const ways_out[] = {
	"chroot", "pidfd_getfd", "process_vm_readv", "process_vm_writev", "ptrace",
};

static const uint64_t namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                   CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                                   CLONE_NEWNET;

/* Typing into the terminal; sockets of hypervisors and of the kernel's ciphers. */
static const struct {
	const char *name;
	unsigned arg;
	uint64_t value;
} denied_arguments[] = {
	{ "ioctl", 1, TIOCSTI },
	{ "ioctl", 1, TIOCLINUX },
	{ "socket", 0, AF_VSOCK },
	{ "socket", 0, AF_ALG },
};

struct abi {
	uint32_t token;
	const char *name;
};

#define ABI(a)                                                                           \
	{                                                                                \
		SCMP_ARCH_##a, "SCMP_ARCH_" #a                                           \
	}

/* What the kernel of a 64-bit machine also runs. Absent from the list, a call of theirs
 * would not pass any rule. */
static const struct abi abis[][2] = {
	{ ABI(X86_64), ABI(X86) },  { ABI(X86_64), ABI(X32) },
	{ ABI(AARCH64), ABI(ARM) }, { ABI(S390X), ABI(S390) },
	{ ABI(MIPS64), ABI(MIPS) }, { ABI(MIPSEL64), ABI(MIPSEL) },
};

static void add_other_abis(scmp_filter_ctx c)
{
	for (size_t i = 0; i < ARRAY_LEN(abis); i++)
		if (abis[i][0].token == seccomp_arch_native())
			seccomp_arch_add(c, abis[i][1].token); /* there already: fine */
}

/* A name that this version of the library or this machine does not have needs no rule. */
static int deny(scmp_filter_ctx c, uint32_t action, const char *name)
{
	int nr = seccomp_syscall_resolve_name(name);
	int rc = nr == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(c, action, nr, 0);

	return rc == -EEXIST || rc == -EDOM ? 0 : rc;
}

static int deny_by_argument(scmp_filter_ctx c)
{
	const uint32_t no = SCMP_ACT_ERRNO(EPERM);
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(denied_arguments) && !rc; i++)
		rc = seccomp_rule_add(
			c, no, seccomp_syscall_resolve_name(denied_arguments[i].name), 1,
			SCMP_CMP64(denied_arguments[i].arg, SCMP_CMP_MASKED_EQ, LOW_WORD,
		                   denied_arguments[i].value));
	/* One rule for each bit: any of them is enough. */
	for (uint64_t bit = 1; bit <= UINT32_MAX && !rc; bit <<= 1)
		if (namespaces & bit)
			rc = seccomp_rule_add(c, no, SCMP_SYS(clone), 1,
			                      SCMP_A0_64(SCMP_CMP_MASKED_EQ, bit, bit));
	/* Its arguments lie in memory, which no filter sees: programs fall back to clone.
	 */
	return rc ? rc : seccomp_rule_add(c, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

static int add_rules(scmp_filter_ctx c, const struct filter_options *o)
{
	int rc = seccomp_attr_set(c, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));

	/* A tree rather than a chain: it is passed on every call. Older libraries have
	 * none. */
	(void)seccomp_attr_set(c, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; i < ARRAY_LEN(denied) && !rc; i++)
		rc = deny(c, SCMP_ACT_ERRNO(EPERM), denied[i]);
	for (size_t i = 0; o->chroot && i < ARRAY_LEN(ways_out) && !rc; i++)
		rc = deny(c, SCMP_ACT_ERRNO(EPERM), ways_out[i]);
	for (size_t i = 0; o->flat && i < ARRAY_LEN(owner_calls) && !rc; i++)
		rc = deny(c, SCMP_ACT_ERRNO(0), owner_calls[i]);
	return rc ? rc : deny_by_argument(c);
}

static int export(struct sock_fprog *out, scmp_filter_ctx c, struct err *e)
{
	AUTO_CLOSE int fd = memfd_create("filter", MFD_CLOEXEC);
	AUTO_BUF program = BUF_INIT;

	if (fd < 0)
		return err_sys(e, "make a file in memory for the filter of system calls");
	if (seccomp_export_bpf(c, fd) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return err_set(e, ERR_SYS, "write the filter of system calls");
	if (fd_read_all(fd, &program, PROGRAM_MAX, "the filter of system calls", e) < 0)
		return -1;
	if (program.len / sizeof(struct sock_filter) > UINT16_MAX)
		return err_set(e, ERR_LIMIT, "the filter of system calls is too long");
	out->len = (unsigned short)(program.len / sizeof(struct sock_filter));
	out->filter = (struct sock_filter *)(void *)buf_take(&program);
	return 0;
}

int filter_make(struct sock_fprog *out, const struct filter_options *o, struct err *e)
{
	scmp_filter_ctx c = seccomp_init(SCMP_ACT_ALLOW);
	int rc;

	if (!c)
		return err_set(e, ERR_SYS, "make a filter of system calls");
	add_other_abis(c);
	rc = add_rules(c, o);
	rc = rc ? err_set(e, ERR_SYS, "make a filter of system calls: %s", strerror(-rc))
	        : export(out, c, e);
	seccomp_release(c);
	return rc;
}

static json_t *names_json(const char *const *names, size_t n, int error)
{
	json_t *a = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(a, json_string(names[i]));
	return json_pack("{s:o,s:s,s:i}", "names", a, "action", "SCMP_ACT_ERRNO",
	                 "errnoRet", error);
}

/* Denied if the argument is `value` under the mask. */
static json_t *argument_json(const char *name, unsigned arg, uint64_t mask,
                             uint64_t value)
{
	json_t *rule = names_json(&name, 1, EPERM);
	json_t *args = json_pack("[{s:i,s:I,s:I,s:s}]", "index", (int)arg, "value",
	                         (json_int_t)mask, "valueTwo", (json_int_t)value, "op",
	                         "SCMP_CMP_MASKED_EQ");

	json_object_set_new(rule, "args", args);
	return rule;
}

static json_t *architectures_json(void)
{
	json_t *a = json_array();

	for (size_t i = 0; i < ARRAY_LEN(abis); i++) {
		if (abis[i][0].token != seccomp_arch_native())
			continue;
		if (!json_array_size(a))
			json_array_append_new(a, json_string(abis[i][0].name));
		json_array_append_new(a, json_string(abis[i][1].name));
	}
	return a;
}

json_t *filter_json(bool flat)
{
	static const char *const clone3[] = { "clone3" };
	json_t *rules = json_array(), *all, *machines = architectures_json();

	json_array_append_new(rules, names_json(denied, ARRAY_LEN(denied), EPERM));
	json_array_append_new(rules, names_json(clone3, 1, ENOSYS));
	if (flat)
		json_array_append_new(rules,
		                      names_json(owner_calls, ARRAY_LEN(owner_calls), 0));
	for (size_t i = 0; i < ARRAY_LEN(denied_arguments); i++)
		json_array_append_new(rules,
		                      argument_json(denied_arguments[i].name,
		                                    denied_arguments[i].arg, LOW_WORD,
		                                    denied_arguments[i].value));
	for (uint64_t bit = 1; bit <= UINT32_MAX; bit <<= 1)
		if (namespaces & bit)
			json_array_append_new(rules, argument_json("clone", 0, bit, bit));
	all = json_pack("{s:s,s:o}", "defaultAction", "SCMP_ACT_ALLOW", "syscalls",
	                rules);
	/* None: the machine's own only. */
	if (json_array_size(machines))
		json_object_set(all, "architectures", machines);
	json_decref(machines);
	return all;
}
