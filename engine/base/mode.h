#ifndef BASE_MODE_H
#define BASE_MODE_H

/* Modes as chmod(1) takes them in letters: "u+x", "go-w,a+X", "g=u". There is no umask:
 * without letters of who it is everybody. */
#include <stdbool.h>
#include <stdint.h>

/* 0, with what becomes of `mode`, or -1: it is not such a text. */
int mode_change(const char *text, uint32_t mode, bool is_dir, uint32_t *out);

#endif
