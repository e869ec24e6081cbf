# Stave: make, make run, make demo, make test, make test-kill, make fuzz, make bench, make bench-server, make install, make uninstall, make format, make clean.
BUILD ?= build
PREFIX ?= /usr/local
INSTALLED ?= $(BUILD)/installed.txt
JOBS ?= 2
CMAKE_FLAGS ?=
BENCH_FLAGS ?= --keys 1000000 --repeat 1
BENCH_SERVER_FLAGS ?=

CONFIGURE = cmake -S . -G Ninja -DSTAVE_WERROR=ON -DCMAKE_INSTALL_PREFIX=$(PREFIX) $(CMAKE_FLAGS)
COMPILE = cmake --build
CTEST = ctest --output-on-failure -j$(JOBS) --test-dir

KILLS ?= 500
FUZZ_SECONDS ?= 60

.PHONY: all run demo test test-packages test-plain test-address test-thread test-kill test-long fuzz bench bench-server install uninstall format clean

all:
	@command -v cmake >/dev/null && command -v ninja >/dev/null || \
		{ echo "To install what the build needs: scripts/install-packages.sh build"; exit 1; }
	$(CONFIGURE) -B $(BUILD) -DSTAVE_TESTS=OFF
	$(COMPILE) $(BUILD) -j$(JOBS)

# Installs what the build needs, builds, and starts the server on loopback with its data in ./stave-data.
run:
	scripts/install-packages.sh build
	$(MAKE) all
	BIN_DIR=$(BUILD)/bin scripts/run.sh

# The same, but shows the store at work on the package index of this system.
demo:
	scripts/install-packages.sh build
	$(MAKE) all
	BIN_DIR=$(BUILD)/bin scripts/demo.sh

# The tests three times: as released, under address and undefined, under thread sanitizers.
test: test-packages
	$(MAKE) test-plain
	$(MAKE) test-address
	$(MAKE) test-thread
	@scripts/skipped-tests.sh $(BUILD) build-asan build-tsan

test-packages:
	scripts/install-packages.sh test

test-plain:
	$(CONFIGURE) -B $(BUILD) -DSTAVE_TESTS=ON
	$(COMPILE) $(BUILD) -j$(JOBS)
	$(CTEST) $(BUILD)

test-address:
	$(CONFIGURE) -B build-asan -DSTAVE_TESTS=ON -DSTAVE_SANITIZE=address,undefined
	$(COMPILE) build-asan -j$(JOBS)
	$(CTEST) build-asan -LE tidy

# The thread sanitizer of gcc 12 needs addresses that are not randomised.
test-thread:
	$(CONFIGURE) -B build-tsan -DSTAVE_TESTS=ON -DSTAVE_SANITIZE=thread
	$(COMPILE) build-tsan -j$(JOBS)
	$$(setarch -R true 2>/dev/null && echo setarch -R) $(CTEST) build-tsan -LE 'tidy|single'

# Writers killed KILLS times; takes minutes. STAVE_TEST_SEED repeats a run.
test-kill: test-packages
	$(CONFIGURE) -B $(BUILD) -DSTAVE_TESTS=ON
	$(COMPILE) $(BUILD) -j$(JOBS)
	STAVE_TEST_KILLS=$(KILLS) $(BUILD)/tests/crash/test_kill
	STAVE_TEST_KILLS=$(KILLS) STAVE_TEST_KILL_KEYS=1000000 $(BUILD)/tests/crash/test_kill_storm

# The versions of tests that take longer: every point of failure, more crashes, and sizes across 4 GiB (6 GiB of disk).
test-long: test-packages
	$(CONFIGURE) -B $(BUILD) -DSTAVE_TESTS=ON
	$(COMPILE) $(BUILD) -j$(JOBS)
	STAVE_TEST_STRIDE=1 STAVE_TEST_STEP=1 STAVE_TEST_CUTS=100 STAVE_TEST_SEGMENTS=4000 STAVE_TEST_SLOW=1 \
		STAVE_TEST_ROUNDS=20 STAVE_TEST_KEYS=5000000 \
		$(CTEST) $(BUILD) -L 'unit|fault|crash' --timeout 3600

# Each fuzz target for FUZZ_SECONDS, with clang's libFuzzer; what it finds stays in build-fuzz/ and can be run by replay_*.
fuzz:
	scripts/install-packages.sh fuzz
	CC=clang $(CONFIGURE) -B build-fuzz -DSTAVE_TESTS=OFF -DSTAVE_FUZZ=ON -DSTAVE_SANITIZE=address,undefined,fuzzer-no-link
	$(COMPILE) build-fuzz -j$(JOBS)
	scripts/fuzz.sh build-fuzz $(FUZZ_SECONDS)

# Builds the benchmark and runs it: some minutes. BENCH_FLAGS: see docs/BENCHMARKS.md.
bench:
	scripts/install-packages.sh bench
	$(CONFIGURE) -B build-bench -DSTAVE_TESTS=OFF -DSTAVE_BENCH=ON
	$(COMPILE) build-bench -j$(JOBS)
	build-bench/bin/stave-bench $(BENCH_FLAGS)

# stave-server beside redis-server: throughput, CPU by command, memory a key, start. About ten minutes, 6 GB in /tmp.
bench-server:
	scripts/install-packages.sh test
	$(MAKE) all
	bench/server/main.py --stave stave=$(BUILD)/bin/stave-server $(BENCH_SERVER_FLAGS)

# What was installed is listed in a file that no later build or test writes, as root or not. The loader is told of the library.
install: all
	cmake --install $(BUILD)
	mv -f $(BUILD)/install_manifest.txt $(INSTALLED)
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" != 0 ] || PATH="$$PATH:/sbin" ldconfig

uninstall:
	sed 's|^|$(DESTDIR)|' $(INSTALLED) | xargs -r -d '\n' rm -f

format:
	git ls-files -co --exclude-standard '*.c' '*.h' | xargs -r python3 scripts/wrap-comments.py
	git ls-files -co --exclude-standard '*.c' '*.h' | xargs -r clang-format -i

clean:
	rm -rf build build-asan build-tsan build-fuzz build-bench
