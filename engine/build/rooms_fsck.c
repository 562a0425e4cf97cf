/* Tables of contents, and unpacked layers beside them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "build/result.h"
#include "build/rooms_own.h"
#include "image/toc_store.h"
#include "os/fd.h"
#include "os/file.h"

bool rooms_is_table(void *self, const struct digest *d)
{
	struct toc toc = TOC_INIT;
	struct err ignored;
	bool is = toc_get(((struct rooms *)self)->look, d, &toc, &ignored) == 0;

	toc_fini(&toc);
	return is;
}

/* "DIFF-ID-MAP"; others depend on the layers below, and have no table of their own. */
static bool diff_id_of(const char *name, struct digest *out)
{
	AUTO_BUF text = BUF_INIT;
	struct err ignored;

	if (strlen(name) <= DIGEST_HEX || name[DIGEST_HEX] != '-')
		return false;
	buf_adds(&text, "sha256:");
	buf_add(&text, name, DIGEST_HEX);
	return digest_parse(out, text.s, &ignored) == 0;
}

static int remove_one(struct rooms *r, const char *name, struct err *e)
{
	AUTO_STRLIST only = STRLIST_INIT;
	struct layers_choice c = { .only = &only, .before = INT64_MAX };

	strlist_add(&only, name);
	if (rooms_inside(r, &c.inside, e) < 0)
		return -1;
	return layers_sweep(r->store, &c, NULL, e);
}

static int tell(struct rooms *r, struct fsck *f, const char *name, const char *path,
                bool repair, struct err *e)
{
	AUTO_BUF full = BUF_INIT, problem = BUF_INIT;
	struct fsck_finding found = { .kind = "unpacked layer" };

	if (repair && remove_one(r, name, e) < 0)
		return -1;
	buf_addf(&full, "rootfs/%s", name);
	buf_add_printable(&problem, path, strlen(path));
	buf_adds(&problem, " is not as it was unpacked");
	found.name = full.s;
	found.problem = problem.s;
	found.repaired = repair && !file_exists(r->store->dir, full.s);
	fsck_tell(f, &found);
	return 0;
}

static int check_one(struct rooms *r, struct fsck *f, const char *name, bool repair,
                     struct err *e)
{
	struct layers_suspect suspect = { .name = name };
	const struct inside *inside;
	AUTO_BUF bad = BUF_INIT;
	struct digest diff_id, table;
	struct err ignored;
	struct toc toc = TOC_INIT;
	int known, rc = 0;

	if (!diff_id_of(name, &diff_id))
		return 0;
	known = layer_toc_known(r->store, &diff_id, &table, e);
	if (known <= 0)
		return known;
	suspect.toc = &toc;
	if (toc_get(r->look, &table, &toc, &ignored) == 0) { /* else that was told */
		rc = rooms_inside(r, &inside, e);
		if (rc == 0)
			rc = layers_check(r->store, &suspect, inside, &bad, e);
	}
	toc_fini(&toc);
	return rc == 0 && bad.len ? tell(r, f, name, bad.s, repair, e) : rc;
}

int rooms_check_unpacked(void *self, struct fsck *f, bool repair, struct err *e)
{
	struct rooms *r = self;
	int fd = openat(r->store->dir, "rootfs",
	                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *ent;
	int rc = 0;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (!d) {
		err_sys(e, "list rootfs/");
		fd_close(&fd);
		return -1;
	}
	while (rc == 0 && (ent = readdir(d)))
		if (!strstr(ent->d_name, ".lock"))
			rc = check_one(r, f, ent->d_name, repair, e);
	closedir(d);
	return rc;
}
