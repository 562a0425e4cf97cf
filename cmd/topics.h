#ifndef CMD_TOPICS_H
#define CMD_TOPICS_H

/* The manual pages by topic, NUL-terminated, as docs/topics.awk writes them. */
extern const unsigned char topics[];

#endif
