#include "image/limits.h"

const struct image_limits image_limits_default = IMAGE_LIMITS_DEFAULT;
