# One non-recursive Makefile. Objects go to build/$(CONFIG), so that release,
# sanitizer and coverage builds live side by side and never mix flags.
#
#   make                                 ./bench, libnn.so and the plugins
#   make demo                            installs what is missing, builds, trains, reports
#   make check [CONFIG=asan|tsan|cov]    the test suite (TAP, run by prove)
#   make check-neon                      the kernels' tests for AArch64, under qemu-user
#   make install DESTDIR= PREFIX=        program, library, plugins, headers, man page
#   make tidy | format | deps | clean    CC=clang builds with clang, V=1 shows the commands

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
cflags  = -std=c17 -D_POSIX_C_SOURCE=200809L -fPIC -fno-semantic-interposition $(WARN) $(OPENMP) -Iharness -I. $(CFLAGS) $(config_$(CONFIG))
say     = $(if $(V),,@printf '  %-4s %s\n' '$1' '$(patsubst $(B)/%,%,$@)';)
link    = $(call say,LINK) $(CC) $(LDFLAGS) $(OPENMP) $(config_$(CONFIG)) -o $@

# The instruction sets of the machine that CC compiles for.
target := $(shell $(CC) -dumpmachine)
ISAS := $(if $(filter x86_64%,$(target)),avx512 avx2) $(if $(filter aarch64%,$(target)),neon) scalar
# Of kernels' many copies no more debug information than lines: with all of it they compile twice as long.
lines_only := $(if $(filter -g%,$(CFLAGS)),-g1)
# Of gemm_*.c: scalars that gcc joins into vectors compete with the sums.
no_slp_gemm := -fno-tree-slp-vectorize
isa_avx2   := -mavx2 -mfma
isa_avx512 := -mavx512f -mavx512dq -mavx512bw -mavx512vl -mavx2 -mfma -mprefer-vector-width=512

# ---- sources --------------------------------------------------------------

# name.c is compiled once per instruction set; name.<isa>.c replaces it there.
common_kernels := kernels caches count
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
# These stand on base and kernels alone, and so does what they test.
kernel_tests := $(filter t_attend t_kernels t_math t_norm t_pool t_random t_gemm t_conv t_group_conv t_winograd,$(tests))

host_libs := -lsqlite3 -ljansson -lz -llzma -ljpeg -lpng -lm -ldl

# PAPI counts more events than the kernel names: its header suffices, the library is looked for
# at run time. PAPI= builds without.
PAPI ?= $(shell printf '\043include <papi.h>\n' | $(CC) $(CFLAGS) -E -x c - >/dev/null 2>&1 && echo yes)
$(B)/harness/perf/counters_papi.o: private cflags += $(if $(PAPI),-DHAVE_PAPI)

# Google Benchmark times `bench kernels` where its header is, through a shim that is loaded at
# run time: the only C++. GBENCH= builds without.
CXX    ?= g++
GBENCH ?= $(shell printf '\043include <benchmark/benchmark.h>\n' | $(CXX) -std=c++17 -E -x c++ - >/dev/null 2>&1 && echo yes)

# ---- products -------------------------------------------------------------

all: $(B)/bench $(if $(GBENCH),$(B)/bench-gbench.so) $(plugins:%=$(B)/plugins/bench-%.so) $(if $(filter build/release,$(B)),bench)

$(B)/libnn.so: $(base_objects) $(kernel_objects) $(graph_objects) harness/libnn.map
	$(link) -shared -Wl,-soname,libnn.so.1 -Wl,-Bsymbolic -Wl,--version-script=harness/libnn.map \
	    $(filter %.o,$^) -lm
	@ln -sf libnn.so $(B)/libnn.so.1

$(B)/bench: $(cli_objects) $(host_objects) $(B)/libnn.so
	$(link) $(cli_objects) $(host_objects) -L$(B) -lnn -Wl,-rpath,'$$ORIGIN:$$ORIGIN/../lib' $(host_libs)

$(B)/bench-gbench.so: harness/perf/gbench.cc harness/perf/gbench.h $(B)/flags
	@mkdir -p $(@D)
	$(call say,CXX) $(CXX) -std=c++17 -fPIC -shared -Wall -Wextra -Iharness $(CFLAGS) $(config_$(CONFIG)) \
	    -o $@ $< -lbenchmark

# What `make demo` and CI need; the second group only for the tests and the tools.
packages      := libsqlite3-dev libjansson-dev zlib1g-dev liblzma-dev libjpeg62-turbo-dev libpng-dev gnuplot-nox dataset-fashion-mnist
test_packages := libbenchmark-dev perl pkg-config sqlite3 gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
tool_packages := clang clang-tidy clang-format cppcheck libomp-dev

bench: $(B)/bench
	ln -sf $< $@

# A plugin takes nn_…() from whoever loads it: the program, by its libnn.so, or a test.
define plugin_rule
$(B)/plugins/bench-$1.so: $(patsubst %.c,$(B)/%.o,$(wildcard plugins/$1/*.c)) Makefile
	@mkdir -p $$(@D)
	$$(link) -shared $$(filter %.o,$$^) -lm
endef
$(foreach p,$(plugins),$(eval $(call plugin_rule,$p)))

# Fields that the ABI appends are 0 in the rows of tables that were written before.
$(B)/plugins/%.o: private cflags += -Wno-missing-field-initializers

# Each kernel once per instruction set: a hand-tuned name.isa.c beside name.c
# replaces it for that set only, because its rule comes first.
define kernel_rules
$(B)/harness/kernels/%.$1.o: harness/kernels/%.$1.c $(B)/flags ; $$(compile_kernel)
$(B)/harness/kernels/%.$1.o: harness/kernels/%.c $(B)/flags ; $$(compile_kernel)
$(B)/harness/kernels/%.$1.o: compile_kernel = @mkdir -p $$(@D); $(if $(V),set -x;,printf '  %-4s %s\n' CC '$$(patsubst $(B)/%,%,$$@)';) \
    $(CC) $(cflags) $(lines_only) $(if $(filter release,$(CONFIG)),-O3) $(isa_$1) $$(no_slp_$$(word 1,$$(subst _, ,$$(*F)))) -ffp-contract=off -fno-math-errno \
    -DKN_ISA=$1 -DKN_VEC='"kernels/vec_$1.h"' -MMD -MP -c -o $$@ $$<
endef
$(foreach i,$(ISAS),$(eval $(call kernel_rules,$i)))

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC) $(CC) $(cflags) -DBENCH_VERSION='"$(VERSION)"' -MMD -MP -c -o $@ $<

# Rewritten only when the flags differ, so that a change of flags rebuilds.
$(B)/flags: FORCE
	@mkdir -p $(B)
	@printf '%s\n' '$(CC) $(cflags)' '$(LDFLAGS) $(config_$(CONFIG)) $(host_libs)' 'PAPI=$(PAPI)' >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

# ---- first run ------------------------------------------------------------

# Debian and its children: installs what is missing, by root or with sudo; otherwise says how.
define install_packages
@missing=; for p in $1; do \
    dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; \
done; \
[ -z "$$missing" ] && exit 0; \
command -v apt-get >/dev/null || { echo "missing:$$missing (names of Debian's packages)"; exit 1; }; \
if [ "$$(id -u)" = 0 ]; then sudo=; elif sudo -n true 2>/dev/null; then sudo=sudo; else \
    echo "missing packages; install them with:"; \
    echo "    sudo apt-get install -y --no-install-recommends$$missing"; exit 1; fi; \
echo "installing$$missing"; \
$$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
    $$sudo apt-get install -y -qq --no-install-recommends $$missing >/dev/null
endef

deps:
	$(call install_packages,$(packages))
deps-check:
	$(call install_packages,$(packages) $(test_packages))
deps-all:
	$(call install_packages,$(packages) $(test_packages) $(tool_packages))

demo: deps
	@$(MAKE) --no-print-directory -j$$(nproc) all
	./bench run lenet5 mlp filters
	./bench report

# Which code this is (commit, local changes, flags), for the provenance of every run.
$(B)/build_info.h: $(B)/flags FORCE
	@sh harness/perf/build_info.sh $(B)/flags >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
$(B)/harness/perf/build.o: $(B)/build_info.h
$(B)/harness/perf/build.o: private cflags += -I$(B)

# Text that .incbin puts into the program.
$(B)/harness/store/migrations.o: $(wildcard harness/store/*.sql)
$(B)/harness/report/assets.o: $(wildcard reports/*.gp reports/*.css)

# ---- tests ----------------------------------------------------------------

$(kernel_tests:%=$(B)/tests/%): $(B)/tests/%: $(B)/tests/%.o $(base_objects) $(kernel_objects)
	$(link) $^ -lm

# Tests see the insides of the library, so they link its objects, not libnn.so.
$(B)/tests/t_%: $(B)/tests/t_%.o $(base_objects) $(kernel_objects) $(graph_objects) $(host_objects)
	$(link) $^ -rdynamic $(host_libs)

# Plugins that break their word, one way each.
test_plugins := $(patsubst tests/plugins/%.c,$(B)/tests/plugins/bench-%.so,$(wildcard tests/plugins/*.c))
$(B)/tests/plugins/bench-%.so: $(B)/tests/plugins/%.o
	$(link) -shared $^ -lm
$(addprefix $(B)/tests/,t_golden t_plugin t_worker): | $(test_plugins)
$(addprefix $(B)/tests/,t_golden t_worker t_audit t_forward t_twins): | $(plugins:%=$(B)/plugins/bench-%.so)

measuring := $(addprefix $(B)/harness/perf/,peak.o peers.o)
$(B)/tests/b_%: $(B)/tests/b_%.o $(measuring) $(base_objects) $(kernel_objects) $(graph_objects)
	$(link) $^ -rdynamic -lm -ldl

# A PAPI whose counts can be foretold, for tests/cli/counters.t.
$(B)/tests/libpapi.so: $(B)/tests/fake_papi.o
	$(link) -shared $^

# Tests that start the program find it in BENCH, and write to no database but their own.
check:
	@$(MAKE) --no-print-directory -j$$(nproc) all $(tests:%=$(B)/tests/%) $(B)/tests/libpapi.so
	$(if $(filter release,$(CONFIG)),@$(MAKE) --no-print-directory check-neon)
	BENCH=$(abspath $(B))/bench BENCH_BUILD=$(abspath $(B)) BENCH_CONFIG=$(CONFIG) \
	    prove -j$$(nproc) --timer --exec '' $(sort $(tests:%=$(B)/tests/%)) $(sort $(wildcard tests/cli/*.t))

# The NEON kernels on machines without: cross-compiled, run by an emulator.
neon_cc := aarch64-linux-gnu-gcc
ifneq ($(shell command -v $(neon_cc)),)
ifneq ($(shell command -v qemu-aarch64),)
neon := build/neon
neon_libc := $(dir $(shell $(neon_cc) -print-file-name=libc.so.6))
endif
endif
check-neon:
ifdef neon
	@$(MAKE) --no-print-directory -j$$(nproc) CC=$(neon_cc) B=$(neon) $(kernel_tests:%=$(neon)/tests/%)
	BENCH_QEMU=1 prove -j$$(nproc) --timer --exec 'qemu-aarch64 -L $(neon_libc)..' $(kernel_tests:%=$(neon)/tests/%)
else
	@echo "SKIP check-neon: needs $(neon_cc) and qemu-aarch64 (make deps-check installs them)"
endif

# ---- installation ---------------------------------------------------------

libdir := $(PREFIX)/lib
install: all
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin include lib/bench/plugins lib/pkgconfig share/man/man1)
	install $(B)/bench $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(B)/libnn.so $(DESTDIR)$(libdir)/libnn.so.1
	ln -sf libnn.so.1 $(DESTDIR)$(libdir)/libnn.so
	install -m 644 $(B)/plugins/*.so $(DESTDIR)$(libdir)/bench/plugins
	$(if $(GBENCH),install -m 644 $(B)/bench-gbench.so $(DESTDIR)$(libdir)/bench)
	install -m 644 harness/nn.h harness/plugin.h $(DESTDIR)$(PREFIX)/include
	install -m 644 bench.1 $(DESTDIR)$(PREFIX)/share/man/man1
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' harness/bench-plugin.pc.in \
	    >$(DESTDIR)$(libdir)/pkgconfig/bench-plugin.pc

# ---- tools ----------------------------------------------------------------

c_files := $(wildcard harness/*/*.c harness/graph/ops/*.c plugins/*/*.c datasets/*.c datasets/*/*.c tests/*.c)
h_files := $(wildcard harness/*.h harness/*/*.h plugins/*/*.h datasets/*.h datasets/*/*.h tests/*.h)

# One file after the other on each core; kernels as the widest instruction set has them, or as their own.
tidy_with  = printf '%s\n' $1 | xargs -P $$(nproc) -I{} clang-tidy --quiet {} -- -std=c17 -D_POSIX_C_SOURCE=200809L -Iharness -I. -I$(B) \
    -fopenmp -DBENCH_VERSION='"$(VERSION)"' $2 2>/dev/null | grep -E "(warning|error): " | grep -v '^/usr/' && fail=1
# The first of ISAS is the widest.
own_kernels := $(wildcard harness/kernels/*.*.c)
$(foreach i,$(ISAS),$(eval kernels_as_$i := $(filter %.$i.c,$(own_kernels))))
kernels_as_$(firstword $(ISAS)) += $(filter-out $(own_kernels),$(wildcard harness/kernels/*.c))
tidy: $(B)/build_info.h
	@fail=0; \
	$(call tidy_with,$(filter-out harness/kernels/%,$(c_files))); \
	$(foreach i,$(ISAS),$(if $(kernels_as_$i),$(call tidy_with,$(kernels_as_$i),$(isa_$i) -DKN_ISA=$i -DKN_VEC='"kernels/vec_$i.h"');)) \
	cppcheck --quiet --std=c11 -j $$(nproc) --enable=warning,portability --inline-suppr --error-exitcode=1 \
	    --suppress=missingInclude -Iharness -I. -DBENCH_VERSION='"$(VERSION)"' $(filter-out harness/kernels/%,$(c_files)) || fail=1; \
	exit $$fail

format:
	clang-format -i $(c_files) $(h_files)

clean:
	rm -rf build bench

.PHONY: all bench deps deps-check deps-all demo check check-neon install tidy format clean FORCE
FORCE:
.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)
