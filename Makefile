# imgmake: make, make check, make bench, make lint, make install DESTDIR= PREFIX=
# MODE=release|asan|tsan|cov chooses a build directory of its own.
-include config.mk                # written by ./bootstrap.sh: CC, LUA's name, ISAL if found
MODE    ?= release
PREFIX  ?= /usr/local
SYSCONFDIR ?= /etc
B       := build/$(MODE)
CC      ?= cc
LUA     ?= lua5.4
PKGS    := $(LUA) libcrypto zlib libdeflate libzstd jansson lmdb libseccomp $(ISAL)
LATE    := libarchive libssl libcurl   # loaded when first needed, see engine/os/late.h
VERSION := 0.1.0

WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
           -Wwrite-strings -Wvla -Wformat=2 -Wundef -Wimplicit-fallthrough
release := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong
asan    := -O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer -Werror -Wno-format-truncation
tsan    := -O1 -g -fsanitize=thread
cov     := -O0 -g --coverage
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) $(LATE) | sed 's/-I/-isystem /g')
PKG_LIBS   := $(shell pkg-config --libs $(PKGS)) -ldl
CPPFLAGS += -D_GNU_SOURCE -DIMGMAKE_VERSION='"$(VERSION)"' -Iengine -I. -MMD -MP $(PKG_CFLAGS) \
            $(if $(filter libisal,$(PKGS)),-DHAVE_ISAL)
CFLAGS   := -std=c11 -pthread $(WARN) $($(MODE)) $(CFLAGS)
LDFLAGS  += -pthread $(filter -fsanitize=% --coverage,$($(MODE)))

engine  := $(patsubst %.c,$B/%.o,$(sort $(wildcard engine/*/*.c)))
front   := $(patsubst %.c,$B/%.o,$(sort $(wildcard lua/*.c))) $B/stdlib.o
main    := $(patsubst %.c,$B/%.o,$(sort $(wildcard cmd/*.c))) $B/topics.o
unit    := $(patsubst tests/unit/%.c,$B/unit/%,$(sort $(wildcard tests/unit/*_test.c)))

all: build/imgmake
build/imgmake: $B/imgmake
	@ln -sf $(MODE)/imgmake $@

$B/imgmake: $(main) $(front) $(engine)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

# Each sandbox would look the same names of the C library up anew, were they not bound when we start.
$B/engine/sandbox/%.o: CFLAGS += -fno-plt
$B/%.o: %.c $(wildcard config.mk)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# The standard library, embedded: one C file with every stdlib/**.lua as text.
$B/stdlib.c: $(sort $(wildcard stdlib/*.lua stdlib/*/*.lua)) lua/embed.sh lua/meta.sh
	@mkdir -p $(@D)
	sh lua/embed.sh stdlib > $@
$B/stdlib.o: $B/stdlib.c
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# The manual by topic, for imgmake help.
$B/topics.c: $(sort $(wildcard docs/*.[15])) docs/topics.awk
	@mkdir -p $(@D)
	{ echo '#include "cmd/topics.h"'; echo 'const unsigned char topics[] = {'; \
	  awk -f docs/topics.awk $(filter-out %.awk,$^) | od -An -v -tu1 | sed 's/[0-9][0-9]*/&,/g'; echo '0 };'; } > $@
$B/topics.o: $B/topics.c
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# cmocka gives each test a state that few use, and argument vectors hold literals.
quiet   := -Wno-unused-parameter -Wno-write-strings
# An archive, so that a test links what it uses and nothing that wants main().
$B/all.a: $(engine) $(front) $(filter-out %/main.o,$(main))
	@rm -f $@
	$(AR) rcs $@ $^
$B/unit/%: tests/unit/%.c $B/all.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(quiet) -Itests -o $@ $< $B/all.a $(PKG_LIBS) -lcmocka

# More of a library that the program loads late.
$B/unit/tar_writer_test: PKG_LIBS += $(shell pkg-config --libs libarchive)

unit: $(unit)
check: all
	tests/run
bench: all                        # QUICK=1: less work, for a first look
	tests/bench/run
lint:
	tests/lint
install: all
	install -Dm755 $B/imgmake $(DESTDIR)$(PREFIX)/bin/imgmake
	for m in docs/*.[15]; do \
		install -Dm644 $$m $(DESTDIR)$(PREFIX)/share/man/man$${m##*.}/$${m##*/} || exit; done
	@# A parser before 4.0 does not know what is in it, and would fail at each start of the machine.
	if [ -n "$(DESTDIR)" ] || [ -e $(SYSCONFDIR)/apparmor.d/abi/4.0 ]; then \
		sed 's|@PROGRAM@|$(PREFIX)/bin/imgmake|' docs/imgmake.apparmor > $B/apparmor && \
		install -Dm644 $B/apparmor $(DESTDIR)$(SYSCONFDIR)/apparmor.d/imgmake; fi
clean:
	rm -rf build

print-flags:                      # for tools that compile by themselves
	@echo $(filter-out -MMD -MP,$(CPPFLAGS)) -std=c11 $(WARN)

.PHONY: all unit check bench lint install clean print-flags
.DELETE_ON_ERROR:
-include $(shell find $B -name '*.d' 2>/dev/null)
