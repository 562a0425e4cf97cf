#ifndef OS_CLOCK_H
#define OS_CLOCK_H

/* Time. Decisions use the monotonic clock only; wall time is for people to read. */
#include <stdint.h>

int64_t clock_ns(void);     /* monotonic */
int64_t clock_wall_s(void); /* seconds since 1970 */

#endif
