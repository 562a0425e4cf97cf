/* Any bytes as an image configuration. What is accepted is written canonically: read
 * again, it gives the same bytes and the same key; and a layer can be put on it. */
#include <stdlib.h>
#include <string.h>

#include "image/config.h"

static void require(int fine)
{
	if (!fine)
		abort();
}

static void build_on(struct image_config *c)
{
	struct history h = { .created_by = "x", .comment = "\xff" };
	AUTO_BUF out = BUF_INIT;
	struct image_config again;
	struct digest d;
	struct err e;
	size_t n = config_layer_count(c);

	digest_of(&d, "x", 1);
	config_add_layer(c, &d, &h, 0);
	config_set_env(c, "PATH", "/bin");
	config_set_workdir(c, "/x");
	config_set_created(c, 1);
	config_write(c, &out);
	if (n >= 1024) /* now too many to be read */
		return;
	require(config_read(&again, out.s, out.len, &e) == 0);
	require(config_layer_count(&again) == n + 1);
	require(!strcmp(config_env(&again, "PATH"), "/bin"));
	config_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	AUTO_BUF one = BUF_INIT, two = BUF_INIT;
	struct image_config c, again;
	struct digest x, y;
	struct platform p;
	struct err e;

	if (config_read(&c, bytes, n, &e) < 0)
		return 0;
	config_platform(&c, &p);
	config_write(&c, &one);
	require(config_read(&again, one.s, one.len, &e) == 0);
	config_write(&again, &two);
	require(!strcmp(one.s, two.s));
	config_content_key(&c, &x);
	config_content_key(&again, &y);
	require(digest_equal(&x, &y));
	config_fini(&again);
	build_on(&c);
	config_fini(&c);
	return 0;
}
