/* Any bytes as a tar stream, the first byte choosing how it is read. What is accepted must keep what
 * tar_reader.h and toc.h promise. */
#include <stdlib.h>
#include <string.h>

#include "image/tar_reader.h"

struct memory {
	struct source source;
	const uint8_t *at;
	size_t left, step;
};

static ssize_t memory_read(struct source *self, void *data, size_t n, struct err *e)
{
	struct memory *m = (struct memory *)self;

	(void)e;
	n = n < m->left ? n : m->left;
	n = n < m->step ? n : m->step;
	memcpy(data, m->at, n);
	m->at += n;
	m->left -= n;
	return (ssize_t)n;
}

static void require(int fine)
{
	if (!fine)
		abort();
}

static void check_entry(const struct toc_entry *t)
{
	require(toc_path_valid(t->path, strlen(t->path)));
	require(t->path[0] || t->type == TOC_DIR || t->type == TOC_OPAQUE);
	require(t->mode <= 07777 && t->uid != UINT32_MAX && t->gid != UINT32_MAX);
	require(t->size >= 0 && t->offset >= -1);
	require(t->type != TOC_CHAR || t->dev_major || t->dev_minor);
	require((t->type == TOC_SYMLINK || t->type == TOC_HARDLINK) == !!t->link);
	for (size_t i = 0; i < t->n_xattrs; i++) {
		require(!strstr(t->xattrs[i].name, ".overlay.") ||
		        strncmp(t->xattrs[i].name, "trusted.overlay.", 16) != 0);
		require(i == 0 || strcmp(t->xattrs[i - 1].name, t->xattrs[i].name) < 0);
	}
}

static void check_table(struct toc *t)
{
	AUTO_BUF bytes = BUF_INIT;
	struct toc back = TOC_INIT;
	struct err e;

	toc_sort(t);
	toc_encode(t, &bytes);
	require(toc_decode(&back, bytes.s, bytes.len, &e) == 0 && back.n == t->n);
	toc_fini(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct image_limits l = IMAGE_LIMITS_DEFAULT;
	struct memory m = { .source = { memory_read } };
	struct toc table = TOC_INIT;
	struct toc_entry t;
	struct tar_reader *r;
	struct err e;
	char data[1000];
	int got;

	if (n < 1)
		return 0;
	l.unpacked = 1 << 20;
	m.at = bytes + 1;
	m.left = n - 1;
	m.step = bytes[0] & 2 ? 1 + (bytes[0] >> 3) : n;
	r = tar_reader_new(&m.source, bytes[0] & 1, &l);
	while ((got = tar_reader_next(r, &t, &e)) > 0) {
		int64_t size = 0;
		ssize_t k = 0;

		check_entry(&t);
		while (!(bytes[0] & 4) && (k = tar_reader_data(r, data, sizeof(data), &e)) > 0)
			size += k;
		if (k < 0)
			break;
		require((bytes[0] & 4) || size == t.size);
		toc_add(&table, &t);
	}
	if (got == 0) {
		table.tar_size = tar_reader_offset(r);
		require(m.left == 0 && table.tar_size == (int64_t)n - 1);
		check_table(&table);
	}
	toc_fini(&table);
	tar_reader_free(r);
	return 0;
}

/* Most changes of a header break its checksum, and nothing behind it would ever be reached: so the
 * checksums of what looks like headers are made right again, mostly. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	size = LLVMFuzzerMutate(data, size, max);
	if (seed % 8 == 0)
		return size;
	for (size_t at = 1; at + 512 <= size; at += 512) {
		uint8_t *block = data + at;
		unsigned sum = 8 * ' ';
		char text[8];

		if (memcmp(block + 257, "ustar", 5) != 0)
			continue;
		for (int i = 0; i < 512; i++)
			sum += i >= 148 && i < 156 ? 0 : block[i];
		for (int i = 5; i >= 0; i--, sum >>= 3)
			text[i] = (char)('0' + (sum & 7));
		memcpy(block + 148, text, 6);
		block[154] = '\0';
		block[155] = ' ';
	}
	return size;
}
