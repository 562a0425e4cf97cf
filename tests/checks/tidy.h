/* Read before each file by tests/checks/tidy: says what the analyser cannot see from one file alone, that these
 * always return -1. */
#include "base/err.h"

#define err_set(...) ((void)err_set(__VA_ARGS__), -1)
#define err_sys(...) ((void)err_sys(__VA_ARGS__), -1)
#define err_wrap(...) ((void)err_wrap(__VA_ARGS__), -1)
