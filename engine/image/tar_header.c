/* One 512-byte header. */
#include <string.h>

#include "image/tar_parse.h"

/* Offsets and lengths of the fields (POSIX.1-2017, pax, "ustar Header Block"). */
enum {
	NAME = 0,
	NAME_N = 100,
	MODE = 100,
	UID = 108,
	GID = 116,
	ID_N = 8,
	SIZE = 124,
	MTIME = 136,
	LONG_N = 12,
	CHKSUM = 148,
	CHKSUM_N = 8,
	TYPE = 156,
	LINK = 157,
	LINK_N = 100,
	MAGIC = 257,
	MAGIC_N = 8,
	DEVMAJOR = 329,
	DEVMINOR = 337,
	PREFIX = 345,
	PREFIX_N = 155,
	STAR_PREFIX_N = 131,
	STAR_TRAILER = 508,
};

/* The kernel's dev_t holds no more; larger numbers would be cut to another device, 0:0
 * say. */
enum { DEV_MAJOR_MAX = 0xfff, DEV_MINOR_MAX = 0xfffff };

bool tar_block_is_zero(const char block[TAR_BLOCK])
{
	static const char zero[TAR_BLOCK];

	return !memcmp(block, zero, TAR_BLOCK);
}

/* GNU: 0x80 or 0xff, then the number, two's complement, most significant byte first. */
static bool base256(const unsigned char *p, size_t n, int64_t *out)
{
	unsigned char fill = p[0] == 0xff ? 0xff : 0;
	uint64_t v = fill ? UINT64_MAX : 0;

	if (p[0] != 0x80 && p[0] != 0xff)
		return false;
	for (size_t i = 1; i < n; i++) {
		if (i + 8 < n) {
			if (p[i] != fill)
				return false;
			continue;
		}
		v = v << 8 | p[i];
	}
	*out = (int64_t)v;
	return (*out < 0) == (fill != 0);
}

bool tar_number(const char *field, size_t n, int64_t *out)
{
	size_t i = 0;

	*out = 0;
	if ((unsigned char)field[0] & 0x80)
		return base256((const unsigned char *)field, n, out);
	while (i < n && field[i] == ' ')
		i++;
	for (; i < n && field[i] >= '0' && field[i] <= '7'; i++)
		*out = *out << 3 | (field[i] - '0'); /* at most 12 digits */
	for (; i < n; i++)
		if (field[i] != ' ' && field[i] != '\0')
			return false;
	return true;
}

bool tar_decimal(const char *s, size_t n, int64_t *out)
{
	int64_t v = 0;

	if (n == 0 || n > 19)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9' || v > (INT64_MAX - (s[i] - '0')) / 10)
			return false;
		v = v * 10 + (s[i] - '0');
	}
	*out = v;
	return true;
}

/* Old writers summed signed bytes. */
static bool checksum_fits(const char *block)
{
	int64_t said, as_unsigned = 0, as_signed = 0;

	if (!tar_number(block + CHKSUM, CHKSUM_N, &said))
		return false;
	for (int i = 0; i < TAR_BLOCK; i++) {
		bool inside = i >= CHKSUM && i < CHKSUM + CHKSUM_N;

		as_unsigned += inside ? ' ' : (unsigned char)block[i];
		as_signed += inside ? ' ' : (signed char)block[i];
	}
	return said == as_unsigned || said == as_signed;
}

static int read_format(enum tar_format *f, const char *block, struct err *e)
{
	static const struct {
		char magic[MAGIC_N + 1];
		enum tar_format format;
	} known[] = {
		{ "ustar\00000", TAR_USTAR },
		{ "ustar  \0", TAR_GNU },
		{ "\0\0\0\0\0\0\0\0", TAR_V7 },
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (memcmp(block + MAGIC, known[i].magic, MAGIC_N) != 0)
			continue;
		*f = known[i].format;
		return 0;
	}
	return err_set(e, ERR_CORRUPT, "unknown tar format");
}

int tar_header_begin(struct tar_header *h, const char block[TAR_BLOCK], struct err *e)
{
	memset(h, 0, sizeof(*h));
	if (!checksum_fits(block))
		return err_set(e, ERR_CORRUPT, "bad header checksum");
	if (read_format(&h->format, block, e) < 0)
		return -1;
	h->type = block[TYPE];
	if (h->type && !strchr("0123456xgLKS", h->type))
		return err_set(e, ERR_INVALID, "unknown entry type 0x%02x",
		               (unsigned char)h->type);
	if (!tar_number(block + SIZE, LONG_N, &h->size) || h->size < 0)
		return err_set(e, ERR_CORRUPT, "bad size");
	return 0;
}

static int read_id(uint32_t *out, const char *field, struct err *e)
{
	int64_t v;

	if (!tar_number(field, ID_N, &v) || v < 0 || v >= UINT32_MAX)
		return err_set(e, ERR_INVALID, "bad owner");
	*out = (uint32_t)v;
	return 0;
}

static int read_device(struct tar_header *h, const char *block, struct err *e)
{
	int64_t major, minor;

	if (h->type != '3' && h->type != '4')
		return 0;
	if (h->format == TAR_V7)
		return err_set(e, ERR_INVALID,
		               "a device in a tar format without devices");
	if (!tar_number(block + DEVMAJOR, ID_N, &major) ||
	    !tar_number(block + DEVMINOR, ID_N, &minor) || major < 0 || minor < 0 ||
	    major > DEV_MAJOR_MAX || minor > DEV_MINOR_MAX)
		return err_set(e, ERR_INVALID, "bad device number");
	if (h->type == '3' && major == 0 && minor == 0)
		return err_set(e, ERR_INVALID,
		               "character device 0:0, an overlay whiteout");
	h->dev_major = (uint32_t)major;
	h->dev_minor = (uint32_t)minor;
	return 0;
}

static int read_name(struct tar_header *h, const char *block, struct err *e)
{
	size_t n = 0;

	if (h->format == TAR_USTAR && block[PREFIX]) {
		n = strnlen(block + PREFIX, PREFIX_N);
		/* star ends the prefix here and puts times behind it. */
		if (n >= STAR_PREFIX_N && !memcmp(block + STAR_TRAILER, "tar", 4))
			return err_set(e, ERR_INVALID, "ambiguous name prefix");
		memcpy(h->name, block + PREFIX, n);
		h->name[n++] = '/';
	}
	memcpy(h->name + n, block + NAME, strnlen(block + NAME, NAME_N));
	memcpy(h->link, block + LINK, strnlen(block + LINK, LINK_N));
	return 0;
}

int tar_header_rest(struct tar_header *h, const char block[TAR_BLOCK], struct err *e)
{
	int64_t mode;

	if (read_name(h, block, e) < 0)
		return -1;
	/* Some writers put the file type into the mode as well. */
	if (!tar_number(block + MODE, ID_N, &mode) || mode < 0 || mode > 07777777)
		return err_set(e, ERR_INVALID, "bad mode");
	h->mode = (uint32_t)mode & 07777;
	if (!tar_number(block + MTIME, LONG_N, &h->mtime))
		return err_set(e, ERR_INVALID, "bad time");
	if (read_id(&h->uid, block + UID, e) < 0 || read_id(&h->gid, block + GID, e) < 0)
		return -1;
	return read_device(h, block, e);
}
