# SPDX-License-Identifier: GPL-2.0-or-later
#
# lkvm: the build, its tests, and the two commands of the README (make demo, make test).
#
#   make [ARCH=x86|powerpc|s390] [CROSS_COMPILE=prefix-] [CC=clang] [V=1] [SANITIZE=1]
#        [DEBUG=1] [NO_LIBS=1] [SLIRP=1]
#   make help lists the targets.

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:

VERSION := 0.1

# --- what for -------------------------------------------------------------------------------

ifeq ($(origin CC),default)
CC := $(CROSS_COMPILE)gcc
endif
AR	   := $(CROSS_COMPILE)ar
STRIP	   := $(CROSS_COMPILE)strip
PKG_CONFIG ?= $(CROSS_COMPILE)pkg-config
PREFIX	   ?= /usr/local

# Before "make test" has installed a compiler there is none to ask.
MACHINE := $(or $(shell $(CC) -dumpmachine 2>/dev/null),$(shell uname -m))
ifeq ($(ARCH),)
ARCH := $(if $(filter x86_64%,$(MACHINE)),x86,$(if $(filter powerpc64%,$(MACHINE)),powerpc,\
	  $(if $(filter s390%,$(MACHINE)),s390,unknown)))
endif
ARCH := $(strip $(ARCH))
ifeq ($(filter $(ARCH),x86 powerpc s390),)
$(error ARCH=$(ARCH) is not one of x86, powerpc, s390)
endif

ifeq ($(wildcard $(ARCH)/machine.c)$(filter clean help install-deps,$(MAKECMDGOALS)),)
$(error ARCH=$(ARCH): there is no board for it yet; x86 has one)
endif

# Each configuration has a build directory of its own, so that none has to be cleaned for another.
FLAVOUR	     := $(ARCH)-$(notdir $(CC))$(if $(SANITIZE),-sanitize)$(if $(DEBUG),-debug)$(if $(NO_LIBS),-bare)$(if $(SLIRP),-slirp)
BUILD	     := build/$(FLAVOUR)
STATIC_BUILD := build/$(ARCH)-$(notdir $(CC))-static
Q	     := $(if $(V),,@)
say	      = $(if $(V),,@printf '  %-7s %s\n' '$(1)' '$(2)')

# --- libraries ------------------------------------------------------------------------------

# name : pkg-config module or header : macro : link flag : what for
have_pkg = $(shell $(PKG_CONFIG) --exists $(1) 2>/dev/null && echo y)
have_lib = $(shell printf '\043include <stdio.h>\n\043include <$(1)>\nint main(void){return 0;}\n' | \
	     $(CC) -x c - -o /dev/null $(2) 2>/dev/null && echo y)

# NO_LIBS=1 builds as on a machine that has none of them.
ifeq ($(filter clean distclean help install-deps demo test print-build,$(or $(MAKECMDGOALS),all)),)
ifeq ($(NO_LIBS),)
HAVE_ZLIB := $(call have_pkg,zlib)
HAVE_LZMA := $(call have_pkg,liblzma)
HAVE_BZ2  := $(call have_lib,bzlib.h,-lbz2)
HAVE_LZO  := $(call have_lib,lzo/lzo1x.h,-llzo2)
HAVE_LZ4  := $(call have_pkg,liblz4)
HAVE_ZSTD := $(call have_pkg,libzstd)
HAVE_LIBAIO := $(call have_lib,libaio.h,-laio)
HAVE_LIBURING := $(call have_pkg,liburing)
# Only on request: it brings glib with it, more than a megabyte in each lkvm, and passt does more. Its pkg-config
# file wants glib's headers, which it does not need.
HAVE_SLIRP := $(if $(SLIRP),$(call have_lib,slirp/libslirp.h,-lslirp))
endif
HAVE_CMOCKA := $(call have_pkg,cmocka)
endif

LIBS	  := $(if $(HAVE_ZLIB),-lz) $(if $(HAVE_LZMA),-llzma) $(if $(HAVE_BZ2),-lbz2) \
	     $(if $(HAVE_LZO),-llzo2) $(if $(HAVE_LZ4),-llz4) $(if $(HAVE_ZSTD),-lzstd) \
	     $(if $(HAVE_LIBAIO),-laio) $(if $(HAVE_LIBURING),-luring) $(if $(HAVE_SLIRP),-lslirp)
LIB_FLAGS := $(foreach lib,ZLIB LZMA BZ2 LZO LZ4 ZSTD LIBAIO LIBURING SLIRP,$(if $(HAVE_$(lib)),-DHAVE_$(lib)))

# --- flags ----------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wshadow -Wvla -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
	    -Wpointer-arith -Wwrite-strings -Wundef -Wno-unused-parameter -Werror
CPPFLAGS += -D_GNU_SOURCE -Iinclude -I. -DLKVM_VERSION='"$(VERSION)"' -DLKVM_ARCH='"$(ARCH)"' $(LIB_FLAGS)
BASE_CFLAGS := -std=gnu11 -g -fno-strict-aliasing -fstack-protector-strong -fno-common
# Small, but for what runs at each exit and each request; nothing unwinds a stack at run time.
SMALL	 := -fno-asynchronous-unwind-tables -fno-unwind-tables -ffunction-sections -fdata-sections
CFLAGS	 ?= $(if $(SANITIZE)$(DEBUG),-O1 -fno-omit-frame-pointer,-Os $(SMALL))
HOT	 := bus.c irq.c kvm-cpu.c memory.c event.c hw/serial.c virtio/queue.c virtio/queue-split.c \
	    virtio/queue-packed.c virtio/blk.c virtio/net.c disk/disk.c disk/raw.c disk/file.c
LDFLAGS	 += -Wl,--gc-sections -Wl,--as-needed -Wl,-z,relro -Wl,-z,now -pthread
ifneq ($(SANITIZE),)
SAN	 := -fsanitize=address,undefined -fno-sanitize-recover=undefined
else
SAN	 :=
HARDEN	 := $(if $(DEBUG),,-D_FORTIFY_SOURCE=2)
endif
ifeq ($(ARCH),s390)
LDFLAGS	 += -Wl,--s390-pgste
endif
ALL_CFLAGS = $(BASE_CFLAGS) $(CFLAGS) $(SAN) $(HARDEN) $(WARNINGS) $(CPPFLAGS)

# --- what is built --------------------------------------------------------------------------

SRCS := $(sort $(wildcard *.c util/*.c hw/*.c virtio/*.c vfio/*.c disk/*.c net/*.c smoke/*.c \
	  $(ARCH)/*.c $(ARCH)/boot/*.c))
LIB_SRCS  := $(filter-out main.c,$(SRCS))
LIB_OBJS  := $(LIB_SRCS:%.c=$(BUILD)/%.o)

# Tests that need an architecture's folder; the others run everywhere.
TESTS_x86     := acpi aml boot-% cpuid e820 mptable probe run x86-%
TESTS_powerpc :=
TESTS_s390    :=
TESTS_OTHER   := $(foreach other,$(filter-out $(ARCH),x86 powerpc s390),$(TESTS_$(other)))
TEST_SRCS := $(filter-out $(TESTS_OTHER:%=tests/unit/test-%.c),$(sort $(wildcard tests/unit/test-*.c)))
TEST_BINS := $(TEST_SRCS:tests/unit/%.c=$(BUILD)/tests/unit/%)

.PHONY: all
all: summary lkvm

.PHONY: summary
summary:
	$(if $(Q),@printf '  ARCH=%s CC=%s%s  libraries:%s%s%s%s%s%s%s%s\n' '$(ARCH)' '$(CC)' '$(if $(SANITIZE), SANITIZE)' \
	  '$(if $(HAVE_ZLIB), zlib, [no zlib])' '$(if $(HAVE_BZ2), bzip2, [no bzip2])' '$(if $(HAVE_LZMA), lzma, [no lzma])' \
	  '$(if $(HAVE_LZO), lzo, [no lzo])' '$(if $(HAVE_LZ4), lz4, [no lz4])' '$(if $(HAVE_ZSTD), zstd, [no zstd])' \
	  '$(if $(HAVE_LIBAIO), libaio, [no libaio])$(if $(HAVE_LIBURING), liburing, [no liburing])' \
	  '$(if $(HAVE_SLIRP), libslirp, [no libslirp])')

# The program at the top is a copy of the last flavour built, so that ./lkvm always is what make said.
.PHONY: lkvm
lkvm: $(BUILD)/lkvm
	$(Q)cmp -s $< $@ || cp -f $< $@

$(BUILD)/lkvm: $(BUILD)/main.o $(BUILD)/liblkvm.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(SAN) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/liblkvm.a: $(LIB_OBJS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/%.o: %.c $(BUILD)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(if $(SANITIZE)$(DEBUG),,$(if $(filter $(HOT),$<),-O2)) -MMD -MP -c -o $@ $<

# Rebuild when flags or the set of libraries change.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(CC) $(ALL_CFLAGS) $(LIBS))' | cmp -s - $@ || \
	  echo '$(subst ','\'',$(CC) $(ALL_CFLAGS) $(LIBS))' > $@
.PHONY: FORCE
FORCE:

.PHONY: lkvm-static
lkvm-static:
	$(Q)$(MAKE) --no-print-directory SANITIZE= LKVM_STATIC=1 BUILD=$(STATIC_BUILD) $(STATIC_BUILD)/lkvm-static
	$(Q)cmp -s $(STATIC_BUILD)/lkvm-static $@ || cp -f $(STATIC_BUILD)/lkvm-static $@

$(BUILD)/lkvm-static: $(BUILD)/main.o $(BUILD)/liblkvm.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -static -o $@ $^ $(LIBS)

# --- tests ----------------------------------------------------------------------------------

.PHONY: unit-tests
unit-tests: $(TEST_BINS)

# A test may name functions it stands in for: a line "WRAP: f g h" in its source.
$(BUILD)/tests/unit/%: tests/unit/%.c $(BUILD)/liblkvm.a $(BUILD)/flags
	$(call say,TEST,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests/unit -MMD -MP -MF $@.d $(LDFLAGS) -o $@ $< $(BUILD)/liblkvm.a \
	  $$(sed -n 's/.*WRAP: *//p' $< | tr ' ' '\n' | sed -n 's/^\([a-z_0-9]\{1,\}\)$$/-Wl,--wrap=\1/p') \
	  $(LIBS) -lcmocka

-include $(LIB_OBJS:.o=.d) $(BUILD)/main.d $(TEST_BINS:=.d)
-include tests/guests/guests.mk

.PHONY: check check-unit check-guests check-cli
check: all unit-tests guests
	$(Q)tests/run check BUILD=$(BUILD)

check-cli: lkvm
	$(Q)LKVM=./lkvm tests/functional/cli

check-unit: unit-tests
	$(Q)tests/unit/run $(BUILD)/tests/unit

check-guests: all guests
	$(Q)LKVM=./lkvm GUESTS=$(BUILD)/guests tests/functional/run-guests

.PHONY: check-testbed
check-testbed: lkvm-static
	$(Q)tests/testbed/check BED=$(or $(BED),x86) JOBS='$(or $(JOBS),*)'

.PHONY: bench
bench: lkvm
	$(Q)CC='$(CC)' tests/bench/startup

# --- what the README promises: each does all the set-up by itself -------------------------------

.PHONY: install-deps demo test
install-deps:
	$(Q)tests/install-deps

demo: install-deps
	$(Q)$(MAKE) --no-print-directory all lkvm-static
	$(Q)tests/demo

test: install-deps
	$(Q)tests/run test

# --- install --------------------------------------------------------------------------------

bindir	:= $(DESTDIR)$(PREFIX)/bin
mandir	:= $(DESTDIR)$(PREFIX)/share/man/man1
bashdir	:= $(DESTDIR)$(PREFIX)/share/bash-completion/completions

.PHONY: install uninstall
install: all
	install -D -m 755 $(BUILD)/lkvm $(bindir)/lkvm
	$(STRIP) $(bindir)/lkvm
	install -D -m 644 -t $(mandir) Documentation/*.1
	install -D -m 644 completion/lkvm.bash $(bashdir)/lkvm

uninstall:
	rm -f $(bindir)/lkvm $(mandir)/lkvm.1 $(mandir)/lkvm-*.1 $(bashdir)/lkvm

# --- housekeeping ---------------------------------------------------------------------------

.PHONY: print-build
print-build:
	@echo $(BUILD)

.PHONY: man
man: lkvm
	$(Q)Documentation/update-man ./lkvm

.PHONY: format check-format
FORMATTED = $(shell git ls-files '*.c' '*.h' 2>/dev/null)
format:
	clang-format -i $(FORMATTED)

check-format:
	$(Q)clang-format --dry-run -Werror $(FORMATTED)

.PHONY: clean
clean:
	rm -rf build lkvm lkvm-static

.PHONY: help
help:
	@echo 'lkvm $(VERSION): targets'
	@echo '  all            build ./lkvm (default)'
	@echo '  lkvm-static    build ./lkvm-static, which needs no libraries'
	@echo '  check          unit tests and bare-metal guests; under two minutes, anywhere'
	@echo '  check-testbed  Linux guests in an emulated host; BED=x86 JOBS="boot-*"'
	@echo '  bench          what lkvm costs, beside a program that does only what it must'
	@echo '  demo           install what is missing, build, boot a Debian kernel'
	@echo '  test           install what is missing, build, run every test that can run here'
	@echo '  install        DESTDIR= PREFIX=$(PREFIX)'
	@echo '  man            bring the manual pages in line with the option table'
	@echo '  format, check-format, clean'
	@echo 'Variables: ARCH=x86|powerpc|s390 CROSS_COMPILE= CC= V=1 SANITIZE=1 DEBUG=1 NO_LIBS=1 SLIRP=1'
