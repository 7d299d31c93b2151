# SPDX-License-Identifier: GPL-2.0-or-later
#
# Bare-metal x86 guests: $(BUILD)/guests/*.elf and *.bin, and the tests that run them.
#
# Part of the top Makefile; alone: make -f tests/guests/guests.mk guests [BUILD=build] [CC=clang]
# A guest is a file of tests/guests/x86; README.md beside this file tells how to add one.

BUILD  ?= build
HOSTCC ?= gcc
Q      ?= @
ifeq ($(origin say),undefined)
say = $(if $(Q),@printf '  %-7s %s\n' '$(1)' '$(2)')
endif

# The guests are x86 whatever lkvm is built for.
ifeq ($(ARCH)$(origin CC),default)
GUEST_CC := $(HOSTCC)
else
GUEST_CC := $(if $(filter-out x86,$(ARCH)),$(HOSTCC),$(CC))
endif

GUEST_SRC := tests/guests/x86
GUEST_OUT := $(BUILD)/guests
GUEST_TMP := $(BUILD)/guests/tmp

# Guests of 64-bit code that are entered in 32-bit mode: by Multiboot 1, as a 32-bit ELF file.
GUESTS_MULTIBOOT := long64 smp ipi pit lapic-timer msi serial-irq pci reset e9 many-cpus
GUEST_IMAGES	 := $(GUESTS_MULTIBOOT:%=$(GUEST_OUT)/%.elf) \
		    $(addprefix $(GUEST_OUT)/,real.bin prot32.elf linux64.elf pvh.elf)

# A software KVM may know plain integer instructions only.
GUEST_WARNINGS := -Wall -Wextra -Wshadow -Wvla -Wconversion -Wstrict-prototypes \
		  -Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Werror
GUEST_CFLAGS := -std=gnu11 -O2 -march=x86-64 -mgeneral-regs-only -ffreestanding -fno-pic -fno-pie \
		-fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none -fno-common \
		-I$(GUEST_SRC)/lib $(GUEST_WARNINGS)
GUEST_LDFLAGS := -nostdlib -static -Wl,--build-id=none -Wl,-z,noexecstack \
		 -Wl,-z,max-page-size=4096

GUEST_MODE_16 := -m16 -fno-jump-tables
GUEST_MODE_32 := -m32
GUEST_MODE_64 := -m64 -mno-red-zone -mcmodel=small

GUEST_LIB_64 := $(addprefix $(GUEST_TMP)/64/lib/,runtime.o cpu.o apic.o irq.o smp.o boot.o \
		  memmap.o acpi.o mp.o pci.o tables.o)

.PHONY: guests
guests: $(GUEST_IMAGES)

define guest_rules
$(GUEST_TMP)/$(1)/%.o: $(GUEST_SRC)/%.c tests/guests/guests.mk
	$$(call say,GUESTCC,$$<)
	@mkdir -p $$(@D)
	$$(Q)$(GUEST_CC) $(GUEST_CFLAGS) $(GUEST_MODE_$(1)) -MMD -MP -c -o $$@ $$<

$(GUEST_TMP)/$(1)/%.o: $(GUEST_SRC)/%.S tests/guests/guests.mk
	$$(call say,GUESTAS,$$<)
	@mkdir -p $$(@D)
	$$(Q)$(GUEST_CC) -m$(if $(filter 64,$(1)),64,32) -I$(GUEST_SRC)/lib -MMD -MP -c -o $$@ $$<
endef
$(foreach mode,16 32 64,$(eval $(call guest_rules,$(mode))))

$(GUEST_TMP)/64/lib/start-pvh.o: $(GUEST_SRC)/lib/start.S tests/guests/guests.mk
	$(call say,GUESTAS,$<)
	@mkdir -p $(@D)
	$(Q)$(GUEST_CC) -m64 -DPVH -I$(GUEST_SRC)/lib -MMD -MP -c -o $@ $<

# $(1): where it is loaded; $(2): its entry point
guest_link = $(GUEST_CC) $(GUEST_LDFLAGS) -Wl,--defsym=GUEST_BASE=$(1) -Wl,-e,$(2) \
	     -Wl,-T,$(filter %.lds,$^) -o $@ $(filter %.o,$^)

$(GUESTS_MULTIBOOT:%=$(GUEST_TMP)/%.elf64): $(GUEST_TMP)/%.elf64: $(GUEST_TMP)/64/lib/start.o \
		$(GUEST_TMP)/64/%.o $(GUEST_LIB_64) $(GUEST_SRC)/lib/guest.lds
	$(Q)$(call guest_link,0x100000,start32) -m64

# Multiboot 1 knows 32-bit ELF only.
$(GUESTS_MULTIBOOT:%=$(GUEST_OUT)/%.elf): $(GUEST_OUT)/%.elf: $(GUEST_TMP)/%.elf64
	$(call say,GUEST,$@)
	$(Q)objcopy -O elf32-i386 $< $@

$(GUEST_OUT)/pvh.elf: $(GUEST_TMP)/64/lib/start-pvh.o $(GUEST_TMP)/64/pvh.o $(GUEST_LIB_64) \
		$(GUEST_SRC)/lib/guest.lds
	$(call say,GUEST,$@)
	$(Q)$(call guest_link,0x100000,start32) -m64

$(GUEST_OUT)/linux64.elf: $(GUEST_TMP)/64/lib/start-linux.o $(GUEST_TMP)/64/linux64.o \
		$(filter-out %/smp.o,$(GUEST_LIB_64)) $(GUEST_SRC)/linux64.lds
	$(call say,GUEST,$@)
	$(Q)$(call guest_link,0x1000000,start64) -m64

$(GUEST_OUT)/prot32.elf: $(GUEST_TMP)/32/prot32-start.o $(GUEST_TMP)/32/prot32.o \
		$(GUEST_TMP)/32/lib/runtime.o $(GUEST_TMP)/32/lib/memmap.o \
		$(GUEST_SRC)/lib/guest.lds
	$(call say,GUEST,$@)
	$(Q)$(call guest_link,0x100000,start32) -m32

$(GUEST_TMP)/real.elf: $(GUEST_TMP)/16/real-start.o $(GUEST_TMP)/16/real.o \
		$(GUEST_TMP)/16/lib/runtime.o $(GUEST_SRC)/real.lds
	$(Q)$(call guest_link,0,start16) -m32

$(GUEST_OUT)/real.bin: $(GUEST_TMP)/real.elf
	$(call say,GUEST,$@)
	$(Q)objcopy -O binary $< $@

# All of them, on this machine's KVM, with the lkvm at the top of the tree.
.PHONY: guest-tests
guest-tests: guests
	$(Q)GUESTS=$(GUEST_OUT) tests/functional/run-guests
	$(Q)GUESTS=$(GUEST_OUT) tests/functional/bad-input

-include $(wildcard $(GUEST_TMP)/*/*.d $(GUEST_TMP)/*/lib/*.d)
