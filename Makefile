# One non-recursive Makefile. Objects go to build/$(CONFIG), so that release,
# sanitizer and coverage builds live side by side and never mix flags.
#
#   make                                 ./bench, libnn.so and the plugins
#   make demo                            installs what is missing, builds, trains, reports
#   make check [CONFIG=asan|tsan|cov]    the test suite (TAP, run by prove)
#   make check-neon                      the kernels' tests for AArch64, under qemu-user
#   make install DESTDIR= PREFIX=        program, library, plugins, headers, man page
#   make tidy | format | deps | clean

CONFIG  ?= release
PREFIX  ?= /usr/local
DESTDIR ?=
CFLAGS  ?= -O2 -g
VERSION := 0.1.0
B       := build/$(CONFIG)

config_asan := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
config_tsan := -O1 -fsanitize=thread -fno-omit-frame-pointer
config_cov  := -O0 --coverage

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
        -Wundef -Wconversion -Wno-sign-conversion
OPENMP := -fopenmp
cflags  = -std=c17 -fPIC -fvisibility=hidden $(WARN) $(OPENMP) -Iharness -I. $(CFLAGS) $(config_$(CONFIG))
link    = $(CC) $(LDFLAGS) $(OPENMP) $(config_$(CONFIG)) -o $@

# The instruction sets of the machine that CC compiles for.
target := $(shell $(CC) -dumpmachine)
ISAS := $(if $(filter x86_64%,$(target)),avx512 avx2) $(if $(filter aarch64%,$(target)),neon) scalar
isa_avx2   := -mavx2 -mfma
isa_avx512 := -mavx512f -mavx512dq -mavx512bw -mavx512vl -mavx2 -mfma -mprefer-vector-width=512

# ---- sources --------------------------------------------------------------

# name.c is compiled once per instruction set; name.<isa>.c replaces it there.
common_kernels := kernels caches
kernels := $(filter-out $(common_kernels),$(sort $(foreach f,$(wildcard harness/kernels/*.c),\
             $(firstword $(subst ., ,$(notdir $f))))))
kernel_objects := $(common_kernels:%=$(B)/harness/kernels/%.o) \
                  $(foreach i,$(ISAS),$(kernels:%=$(B)/harness/kernels/%.$i.o))
objects_of = $(patsubst %.c,$(B)/%.o,$(sort $(wildcard $1)))
base_objects  := $(call objects_of,harness/base/*.c)
graph_objects := $(call objects_of,harness/graph/*.c harness/graph/ops/*.c)
host_objects  := $(call objects_of,$(foreach d,train perf store stats report,harness/$d/*.c) datasets/*/*.c datasets/*.c)
cli_objects   := $(call objects_of,harness/cli/*.c)
plugins := $(notdir $(wildcard plugins/*))
tests   := $(patsubst tests/%.c,%,$(wildcard tests/t_*.c))

host_libs := -lsqlite3 -ljansson -lz -lm -ldl

# ---- products -------------------------------------------------------------

all: $(B)/bench $(plugins:%=$(B)/plugins/bench-%.so) $(if $(filter release,$(CONFIG)),bench)

$(B)/libnn.so: $(base_objects) $(kernel_objects) $(graph_objects)
	$(link) -shared -Wl,-soname,libnn.so $^ -lm

$(B)/bench: $(cli_objects) $(host_objects) $(B)/libnn.so
	$(link) $(cli_objects) $(host_objects) -L$(B) -lnn -Wl,-rpath,'$$ORIGIN:$$ORIGIN/../lib' $(host_libs)

bench: $(B)/bench
	ln -sf $< $@

define plugin_rule
$(B)/plugins/bench-$1.so: $(patsubst %.c,$(B)/%.o,$(wildcard plugins/$1/*.c)) $(B)/libnn.so
	@mkdir -p $$(@D)
	$$(link) -shared $$(filter %.o,$$^) -L$(B) -lnn -lm
endef
$(foreach p,$(plugins),$(eval $(call plugin_rule,$p)))

# Each kernel once per instruction set: a hand-tuned name.isa.c beside name.c
# replaces it for that set only, because its rule comes first.
define kernel_rules
$(B)/harness/kernels/%.$1.o: harness/kernels/%.$1.c $(B)/flags ; $$(compile_kernel)
$(B)/harness/kernels/%.$1.o: harness/kernels/%.c $(B)/flags ; $$(compile_kernel)
$(B)/harness/kernels/%.$1.o: compile_kernel = @mkdir -p $$(@D); \
    $(CC) $(cflags) $(if $(filter release,$(CONFIG)),-O3) $(isa_$1) -ffp-contract=off -fno-math-errno \
    -DKN_ISA=$1 -DKN_VEC='"kernels/vec_$1.h"' -MMD -MP -c -o $$@ $$<
endef
$(foreach i,$(ISAS),$(eval $(call kernel_rules,$i)))

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(cflags) -DBENCH_VERSION='"$(VERSION)"' -MMD -MP -c -o $@ $<

# Rewritten only when the flags differ, so that a change of flags rebuilds.
$(B)/flags: FORCE
	@mkdir -p $(B)
	@echo '$(CC) $(cflags) $(LDFLAGS)' | cmp -s - $@ || echo '$(CC) $(cflags) $(LDFLAGS)' >$@

# ---- tests ----------------------------------------------------------------

# Tests see the insides of the library, so they link its objects, not libnn.so.
$(B)/tests/t_%: $(B)/tests/t_%.o $(base_objects) $(kernel_objects) $(graph_objects) $(host_objects)
	$(link) $^ -rdynamic $(host_libs)

$(B)/tests/b_%: $(B)/tests/b_%.o $(base_objects) $(kernel_objects) $(graph_objects)
	$(link) $^ -lm -ldl

.PHONY: all check check-neon clean FORCE
FORCE:
clean:
	rm -rf build bench
.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)
