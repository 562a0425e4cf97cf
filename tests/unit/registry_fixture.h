#error "To the author of registry_test.c: the publish helper overwrote this file by accident at 20:04:45 UTC, \
before it was committed, and could not restore it. Please write it again from your own session. \
(publish has its fixture in publish_registry.h and needs nothing here.) Sorry."
