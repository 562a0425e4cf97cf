/* Whether this machine can run an image's programs: its own, or others through
 * binfmt_misc. */
#include <string.h>

#include "build/run.h"
#include "sandbox/foreign.h"

int run_can_execute(const struct platform *image, struct err *e)
{
	char theirs[100], ours[100];
	enum foreign how = FOREIGN_REFUSED;
	struct platform host;

	platform_host(&host);
	if (platform_fits(&host, image))
		return 0;
	if (!strcmp(image->os, host.os) && foreign_try(&how, image->arch, e) < 0)
		return err_wrap(e, "find out if programs of %s run here",
		                platform_text(image, theirs));
	if (how == FOREIGN_RUNS)
		return 0;
	if (how == FOREIGN_OUTSIDE)
		return err_set(
			e, ERR_INVALID,
			"the image is for %s, and the emulator that binfmt_misc "
			"knows for it is not in the image; register it with flag F "
			"(fix-binary), as qemu-user-static and binfmt-support do",
			platform_text(image, theirs));
	return err_set(
		e, ERR_INVALID,
		"the image is for %s and this machine is %s; install qemu-user-static and "
		"binfmt-support, so that binfmt_misc runs its programs",
		platform_text(image, theirs), platform_text(&host, ours));
}
