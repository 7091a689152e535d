# x402 Gateway. `make help` lists what there is.
#
# Every source is found by its folder; a new file needs no change here. Variants build
# beside one another: the release in build/, with a movable clock in build/test/, with
# clang and sanitizers in build/asan/ (and build/gcc-asan/ for the unit suites).

.DEFAULT_GOAL := all
SHELL := /bin/bash

B ?= build
VARIANT ?= release
NGINX_SRC ?= /usr/share/nginx/src
NGINX_OBJS := build/nginx

# To build and to run; and what the tests need besides.
PACKAGES := nginx nginx-dev libsecp256k1-dev libsqlite3-dev libjansson-dev \
	libcurl4-openssl-dev libssl-dev libmicrohttpd-dev libxml2-dev libpango1.0-dev \
	libcairo2-dev fonts-inter fonts-noto-core fonts-wqy-microhei pkg-config gcc make nodejs npm \
	ca-certificates
TEST_PACKAGES := libcmocka-dev clang libclang-rt-14-dev chromium sqlite3 clang-tidy cppcheck \
	valgrind

WARNINGS := -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wswitch-enum -Wcast-qual -Wundef -Wvla -Wformat=2 -Werror
CPPFLAGS += -Iinclude -Isrc -D_GNU_SOURCE
CFLAGS += -std=c11 -g -fPIC -fstack-protector-strong -fvisibility=hidden $(WARNINGS)
LDFLAGS += -Wl,-z,relro -Wl,-z,now

ifeq ($(VARIANT),release)
CFLAGS += -O2
CPPFLAGS += -D_FORTIFY_SOURCE=2
endif
ifeq ($(VARIANT),test)
CFLAGS += -O2
CPPFLAGS += -DX402_TEST_CLOCK=1
endif
ifeq ($(VARIANT),asan)
CFLAGS += -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
CPPFLAGS += -DX402_TEST_CLOCK=1
LDFLAGS += -fsanitize=address,undefined
ifeq ($(CC),clang)
LDFLAGS += -shared-libasan -Wl,-rpath,$(dir $(shell clang -print-file-name=libclang_rt.asan-x86_64.so))
endif
endif
ifeq ($(VARIANT),tsan)
CFLAGS += -O1 -fno-omit-frame-pointer -fsanitize=thread
CPPFLAGS += -DX402_TEST_CLOCK=1
LDFLAGS += -fsanitize=thread
endif

objects = $(patsubst %.c,$(B)/obj/%.o,$(wildcard $(1)))

CORE := $(call objects,src/core/*.c src/evm/*.c)
# Text files that are linked in.
texts = $(patsubst %,$(B)/obj/%.o,$(wildcard $(1)))
SCHEMAS := $(call texts,src/ledger/*.sql)
WEB := $(call texts,web/*.html web/*.css web/*.js) $(B)/obj/web.o
LEDGER := $(call objects,src/ledger/*.c) $(SCHEMAS)
REPORT := $(call objects,src/report/*.c)
SETTLE := $(call objects,src/settle/*.c)
CLI_MAIN := $(call objects,src/cli/main.c)
CLI := $(filter-out $(CLI_MAIN),$(call objects,src/cli/*.c))
MODULE := $(call objects,src/nginx/*.c)
SERVICES_MAIN := $(call objects,services/main.c)
SERVICES := $(filter-out $(SERVICES_MAIN),$(call objects,services/*.c))
UNIT_TESTS := $(patsubst tests/unit/%.c,$(B)/tests/%,$(wildcard tests/unit/*/*_test.c))
MODELS := $(patsubst tests/model/%.c,$(B)/model/%,$(wildcard tests/model/*.c))
FUZZERS := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/*_fuzz.c))
SERVICES_FUZZERS := $(patsubst %,$(B)/fuzz/%_fuzz,page answers)

# What only the services use.
SERVICES_PACKAGES := libxml-2.0 pangocairo fontconfig
SERVICES_CPPFLAGS = $(patsubst -I%,-isystem%,$(shell pkg-config --cflags $(SERVICES_PACKAGES)))
LIBS_SERVICES = $(shell pkg-config --libs $(SERVICES_PACKAGES)) -lmicrohttpd -ljansson -lcurl -lm

.PHONY: all help deps test-deps run test unit model e2e attack soak bench fuzz proof format format-check lint clean \
	nginx-headers test-builds

all: $(B)/x402 $(B)/ngx_http_x402_module.so $(if $(SERVICES),$(B)/x402-services)

help:
	@echo "make deps    install the Debian and npm packages (needs root for the former)"
	@echo "make test-deps          and those that only the tests need"
	@echo "make         build build/x402 and build/ngx_http_x402_module.so"
	@echo "make run     a paid call on this machine: chain, services, gateway, settler"
	@echo "make test    every test"
	@echo "make unit tsan model e2e     parts of it"
	@echo "make bench   what a call costs, beside plain proxying and Node; QUICK=1 for a look"
	@echo "make attack  what attacks on the gateway and on the reference stack come to"
	@echo "make soak    mixed traffic, reloads, kills and faults for SOAK_SECONDS (600)"
	@echo "make fuzz    each fuzz target for FUZZ_SECONDS (10), FUZZ_JOBS (1) at a time"
	@echo "make proof   the long forms: analysis, every allocation failed, soak, fuzzing; hours"
	@echo "make format lint clean"

# ---------------------------------------------------------------- objects and programs

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# web/status.css becomes the text x402_web_status_css, src/ledger/schema.sql
# x402_ledger_schema_sql.
$(SCHEMAS) $(WEB): $(B)/obj/%.o: $(B)/gen/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(B)/gen/%.c: % src/embed.sh
	@mkdir -p $(@D)
	sh src/embed.sh x402_$(subst -,_,$(subst .,_,$(subst /,_,$(*:src/%=%)))) < $< > $@

# The list of web/, by name.
$(B)/gen/web.c: $(wildcard web/*.html web/*.css web/*.js) src/embed-list.sh
	@mkdir -p $(@D)
	sh src/embed-list.sh $(filter web/%,$^) > $@

NGINX_CPPFLAGS := -isystem $(NGINX_OBJS)/src/core \
	-isystem $(NGINX_OBJS)/src/event -isystem $(NGINX_OBJS)/src/event/modules \
	-isystem $(NGINX_OBJS)/src/os/unix -isystem $(NGINX_OBJS)/objs \
	-isystem $(NGINX_OBJS)/src/http -isystem $(NGINX_OBJS)/src/http/modules \
	-isystem $(NGINX_OBJS)/src/http/v2
$(B)/obj/src/nginx/%.o: CPPFLAGS += $(NGINX_CPPFLAGS)
$(MODULE): | $(NGINX_OBJS)/objs/ngx_auto_config.h

# Ours over libsecp256k1's arithmetic, all of which is in headers.
GROUP_CPPFLAGS := -isystem third_party
GROUP := $(patsubst %,$(B)/obj/src/evm/%.o,fixed_base generator known_key recover8)
$(GROUP): CPPFLAGS += $(GROUP_CPPFLAGS)
ifeq ($(VARIANT),release)
$(GROUP): CFLAGS += -O3
endif

# The headers of the distribution's nginx, configured as it was configured.
nginx-headers $(NGINX_OBJS)/objs/ngx_auto_config.h:
	@test -f $(NGINX_SRC)/conf_flags || { \
	  echo "nginx's headers are missing: install the package nginx-dev (make deps)" >&2; exit 1; }
	@mkdir -p build && rm -rf $(NGINX_OBJS) && cp -r $(NGINX_SRC) $(NGINX_OBJS)
	@cd $(NGINX_OBJS) && . ./conf_flags && ./configure "$${NGX_CONF_FLAGS[@]}" > configure.log \
	  || { tail -n 20 configure.log >&2; exit 1; }

$(B)/libx402.a: $(CORE)
	@rm -f $@
	ar rcs $@ $^

$(B)/libledger.a: $(LEDGER)
	@rm -f $@
	ar rcs $@ $^

$(B)/libreport.a: $(REPORT)
	@rm -f $@
	ar rcs $@ $^

$(B)/libsettle.a: $(SETTLE)
	@rm -f $@
	ar rcs $@ $^

$(B)/libcli.a: $(CLI)
	@rm -f $@
	ar rcs $@ $^

LIBS_CORE := -lsecp256k1 -lcrypto
LIBS_LEDGER := -lsqlite3
LIBS_SETTLE := -lcurl -ljansson

$(B)/x402: $(CLI_MAIN) $(B)/libcli.a $(B)/libsettle.a $(B)/libreport.a $(B)/libledger.a $(B)/libx402.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_SETTLE) $(LIBS_LEDGER) $(LIBS_CORE) -lpthread

# Symbolic: nginx has an ngx_modules of its own, which must not stand in for ours.
$(B)/ngx_http_x402_module.so: $(MODULE) $(WEB) $(B)/libreport.a $(B)/libledger.a $(B)/libx402.a
	$(CC) $(LDFLAGS) -shared -Wl,-Bsymbolic -o $@ $^ $(LIBS_LEDGER) $(LIBS_CORE)

$(SERVICES) $(SERVICES_MAIN): CPPFLAGS += $(SERVICES_CPPFLAGS)

$(B)/libservices.a: $(SERVICES)
	@rm -f $@
	ar rcs $@ $^

$(B)/x402-services: $(SERVICES_MAIN) $(B)/libservices.a $(B)/libx402.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_SERVICES) $(LIBS_CORE) -lpthread

# ------------------------------------------------------------------------------- tests

$(B)/tests/%: tests/unit/%.c $(B)/libcli.a $(B)/libsettle.a $(B)/libreport.a $(B)/libledger.a $(B)/libx402.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -Itests $(CFLAGS) -MMD -MP -DX402_VECTORS='"$(CURDIR)/tests/vectors"' $(LDFLAGS) -o $@ $< \
	  $(filter %.a,$^) $(LIBS_SETTLE) $(LIBS_LEDGER) $(LIBS_CORE) -lcmocka -lpthread

# Against libsecp256k1's arithmetic.
$(B)/tests/evm/field8_test $(B)/tests/evm/recover8_edge_test: CPPFLAGS += $(GROUP_CPPFLAGS)

# Where the test says what is recovered together, if anything.
$(B)/tests/evm/signer_together_test: LDFLAGS += \
  -Wl,--wrap=x402_recover8_is_here -Wl,--wrap=x402_recover8

# Where memory runs out on demand.
$(B)/tests/memory/%: LDFLAGS += $(patsubst %,-Wl$(comma)--wrap=%,malloc calloc realloc aligned_alloc strdup)
comma := ,

# The module's way to the ledger, with a loop of its own in place of nginx.
NGINX_TESTED := $(patsubst %,$(B)/obj/src/nginx/%.o,admission batch completion credit limit reader settling tally)
NGINX_LOOP := $(call objects,tests/unit/nginx/loop.c tests/unit/nginx/caller.c)
$(NGINX_LOOP): CPPFLAGS += -Itests $(NGINX_CPPFLAGS)
$(NGINX_LOOP): | $(NGINX_OBJS)/objs/ngx_auto_config.h
$(B)/tests/nginx/%: tests/unit/nginx/%.c $(NGINX_LOOP) $(NGINX_TESTED) $(B)/libreport.a $(B)/libledger.a $(B)/libx402.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -Itests $(NGINX_CPPFLAGS) $(CFLAGS) -MMD -MP $(LDFLAGS) -o $@ $< \
	  $(filter %.o %.a,$^) $(LIBS_LEDGER) $(LIBS_CORE) -lcmocka -lpthread

# Where another worker does something meanwhile.
$(B)/tests/nginx/forgeries_test: LDFLAGS += -Wl,--wrap=x402_verify_many

$(B)/tests/services/%: tests/unit/services/%.c $(B)/libservices.a $(B)/libx402.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(SERVICES_CPPFLAGS) -I. -Itests $(CFLAGS) -MMD -MP -DX402_VECTORS='"$(CURDIR)/tests/vectors"' $(LDFLAGS) -o $@ $< \
	  $(filter %.a,$^) $(LIBS_SERVICES) $(LIBS_CORE) -lcmocka -lpthread

$(B)/model/%: tests/model/%.c $(B)/libsettle.a $(B)/libledger.a $(B)/libx402.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -Itests $(CFLAGS) -MMD -MP $(LDFLAGS) -o $@ $< $(filter %.o,$^) \
	  $(filter %.a,$^) $(LIBS_SETTLE) $(LIBS_LEDGER) $(LIBS_CORE) -lpthread
# This one has parts, in a folder.
$(B)/model/settlement_model: $(call objects,tests/model/settlement/*.c)

$(B)/differential/%: tests/differential/%.c $(B)/libx402.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_CORE)

$(B)/fuzz/%: tests/fuzz/%.c $(B)/libcli.a $(B)/libsettle.a $(B)/libreport.a $(B)/libledger.a \
  $(B)/libx402.a
	@mkdir -p $(@D)
	clang $(CPPFLAGS) -Itests $(CFLAGS) -fsanitize=fuzzer,address,undefined -o $@ $< $(filter %.a,$^) \
	  $(LIBS_SETTLE) $(LIBS_LEDGER) $(LIBS_CORE) -lpthread

$(SERVICES_FUZZERS): $(B)/fuzz/%: tests/fuzz/%.c $(B)/libservices.a $(B)/libx402.a
	@mkdir -p $(@D)
	clang $(CPPFLAGS) -I. $(CFLAGS) -fsanitize=fuzzer,address,undefined -o $@ $< $(filter %.a,$^) \
	  $(LIBS_SERVICES) $(LIBS_CORE) -lpthread

.PHONY: differential-programs
differential-programs: $(B)/differential/answers

.PHONY: unit-here model-here fuzz-here
# From the end of the alphabet: what writes takes longest, and would be waited for.
unit-here: $(UNIT_TESTS)
	@printf '%s\n' $(UNIT_TESTS) | sort -r | xargs -n 1 -P "$$(nproc)" sh tests/unit/run.sh
model-here: $(MODELS)
	@printf '%s\n' $(MODELS) | xargs -n 1 -P "$$(nproc)" env
fuzz-here: $(FUZZERS)
	@sh tests/fuzz/run.sh $(FUZZERS)

# With SAN=1 these are the programs the tests use: a movable clock, nothing else changed.
test-builds: test-deps
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory B=build/test VARIANT=test all bench-programs differential-programs
	@$(MAKE) --no-print-directory B=build/asan VARIANT=asan CC=clang all bench-programs differential-programs

unit:
	@$(MAKE) --no-print-directory B=build/gcc-asan VARIANT=asan CC=gcc unit-here
	@$(MAKE) --no-print-directory B=build/asan VARIANT=asan CC=clang unit-here

model:
	@$(MAKE) --no-print-directory B=build/test VARIANT=test model-here

fuzz:
	@$(MAKE) --no-print-directory B=build/fuzzed VARIANT=asan CC=clang \
	  CFLAGS='-std=c11 -g -O1 -fPIC -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined' \
	  LDFLAGS= fuzz-here

e2e: test-builds
	@sh tests/e2e/run.sh

# What has threads, under ThreadSanitizer, and what these are made of. Some that have one
# thread and take long are left out.
TSAN_TESTS := $(filter-out %/fault_test %/storage_test %/sighting_test, \
	$(filter $(foreach t,core ledger settle report nginx,$(B)/tests/$(t)/%),$(UNIT_TESTS)))
# These know by a socket what their server's thread has done; elsewhere what is read from
# files and sockets puts nothing in order, or SQLite's files would hide our races.
TSAN_BY_SOCKET := $(patsubst %,$(B)/tests/settle/%_test,balances remote_http rpc)
.PHONY: tsan tsan-here
tsan-here: $(TSAN_TESTS)
	@printf '%s\n' $(filter-out $(TSAN_BY_SOCKET),$(TSAN_TESTS)) | \
	  TSAN_OPTIONS=io_sync=0 xargs -n 1 -P "$$(nproc)" sh tests/unit/run.sh
	@sh tests/unit/run.sh $(TSAN_BY_SOCKET)
tsan:
	@$(MAKE) --no-print-directory B=build/tsan VARIANT=tsan CC=clang tsan-here

test:
	@sh tests/run.sh

deps:
	@sh packaging/deps.sh $(PACKAGES)

test-deps:
	@sh packaging/deps.sh $(PACKAGES) $(TEST_PACKAGES)

run:
	@sh packaging/run.sh

$(B)/bench/%: bench/%.c $(B)/libreport.a $(B)/libledger.a $(B)/libx402.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_LEDGER) $(LIBS_CORE)

# The tests sell by them, too.
.PHONY: bench-programs
bench-programs: $(addprefix $(B)/bench/,load payments ledger floor)

attack: test-builds
	@X402_BUILD=build/test node tests/attack/run.mjs gateway reference

soak: test-deps
	@$(MAKE) --no-print-directory B=build/test VARIANT=test all
	@X402_BUILD=build/test node tests/soak/run.mjs

bench: test-deps
	@$(MAKE) --no-print-directory all bench-programs
	@X402_BUILD=$(B) node bench/run.mjs

# ------------------------------------------------------------------------------- style

SOURCES = $(shell git ls-files '*.c' '*.h' ':!third_party')

format:
	clang-format -i $(SOURCES)

format-check:
	clang-format --dry-run -Werror $(SOURCES)

# The analyzer takes minutes: LINT_CHECKS= runs it, too.
LINT_CHECKS ?= --checks=-clang-analyzer-*
LINTED = $(filter src/%.c services/%.c,$(SOURCES))

# cppcheck does without nginx's headers: they have more configurations than it looks at.
# clang-tidy has a process for each file: of a second one its analyzer takes each va_list for
# uninitialized.
lint: | $(NGINX_OBJS)/objs/ngx_auto_config.h
	@cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,portability,performance \
	  --suppressions-list=tests/lint/cppcheck.txt --inline-suppr \
	  --template='{file}:{line}: {id}: {message}' $(CPPFLAGS) -I. $(LINTED)
	@printf '%s\n' $(LINTED) | nice xargs -P "$$(nproc)" -n 1 sh -c \
	  'clang-tidy --quiet $(LINT_CHECKS) "$$@" -- -std=c11 $(CPPFLAGS) $(GROUP_CPPFLAGS) $(SERVICES_CPPFLAGS) $(NGINX_CPPFLAGS) 2> /dev/null' lint

# The long forms of what CI does briefly: hours. X402_... are those tests' own.
PROOF_FUZZ_SECONDS ?= 900
proof: test-builds
	@$(MAKE) --no-print-directory lint LINT_CHECKS=
	@X402_FAIL_STRIDE=1 $(MAKE) --no-print-directory unit model
	@X402_DIFFERENTIAL=20000 X402_VALGRIND=200 E2E_BUILDS=build/test \
	  sh tests/e2e/run.sh differential valgrind
	@$(MAKE) --no-print-directory attack
	@$(MAKE) --no-print-directory soak
	@$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=$(PROOF_FUZZ_SECONDS)

clean:
	rm -rf build

-include $(shell find $(B)/obj $(B)/tests $(B)/model -name '*.d' 2>/dev/null)
