# SPDX-License-Identifier: Apache-2.0
# What people and CI call. `make` alone says what there is.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The directory that `make scan` scans, and further arguments for the scanner.
DIR ?= /usr
ARGS ?=
# Set by CI: a compiler's warning fails the build.
STRICT ?=
# Passed on to `swift test`, as in `make test TEST_ARGS='--filter TidyTests'`.
TEST_ARGS ?=

# How long `make readers` and `make endure` take, and `make fuzz` with each target.
SECONDS ?= 60
# What `make fuzz` fuzzes, and with an INPUT what it runs once.
TARGET ?= frame block directory checkpoint manifest codec log store
INPUT ?=

# How often `make crash-loop` starts the service and ends it.
ROUNDS ?= 100

# In front of commands: what an interrupted run leaves behind goes with TMPDIR.
IN_TMPDIR = TMPDIR=$$(mktemp -d); export TMPDIR; trap 'rm -rf "$$TMPDIR"' EXIT;

# Debug and release builds keep a folder each, so that neither rebuilds the other's.
DEBUG := .build
RELEASE := .build-release
BENCHMARKS := .build-benchmarks
SOAK := .build-soak
MUTANTS := .build-mutants
ADDRESS := .build-address
THREAD := .build-thread
MICRO := .build-micro
FUZZING := .build-fuzz
RESULTS := $(BENCHMARKS)/results
OURS := Sources Tests Examples Benchmarks Fuzzing Package.swift

.PHONY: help scan test readers bench bench-quick bench-guard bench-store bench-micro endure bench-build bench-prerequisites compare \
    crash-loop soak life simulate mutants sanitize flips fuzz manual transcripts build format lint clean prerequisites

help: ## Say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

scan: prerequisites ## Build the directory scanner and scan DIR (default /usr), with the scanner's own ARGS
	@swift build --configuration release --scratch-path $(RELEASE) --product dirscan
	@status=0; $(RELEASE)/release/dirscan "$(DIR)" $(ARGS) || status=$$?; \
	if [ $$status -eq 3 ]; then \
	    echo "The scan is complete; the directories named above could not be read (dirscan ends with status 3)."; \
	else \
	    exit $$status; \
	fi

# STRICT reaches our own modules alone, and with it nothing but them is compiled anew.
test: prerequisites ## Build for debugging and run all tests (TEST_ARGS='--filter Name' for some)
	@swift test --disable-xctest --scratch-path $(DEBUG) $(if $(STRICT),-Xswiftc -warnings-as-errors) $(TEST_ARGS)

readers: prerequisites ## Let one process read a store that another one writes, for SECONDS (default 60)
	@swift build --configuration release --scratch-path $(RELEASE) --product storepair
	@$(RELEASE)/release/storepair run --seconds $(SECONDS)

crash-loop: prerequisites ## Kill a service under load ROUNDS times (default 100) and compare (ARGS='full', or another scenario)
	@swift build --configuration release --scratch-path $(RELEASE) --product crashloop
	@$(RELEASE)/release/crashloop $(if $(ARGS),$(ARGS),all) --rounds $(ROUNDS)

# Measures with the given arguments into RESULTS: machine, figures, tables, pictures.
define measure
@mkdir -p $(RESULTS)
@rm -f $(RESULTS)/*.svg
@{ date -u; git rev-parse HEAD; uname -srm; swift --version 2>&1 | head -1; \
lscpu 2>/dev/null | grep 'Model name' || true; \
dpkg-query --show 'libsqlite3-0' 'librocksdb[0-9]*' 'liblmdb0' 'libleveldb1d' 'liblz4-1' 2>/dev/null || true; } \
    > $(RESULTS)/machine.txt
@$(IN_TMPDIR) \
$(BENCHMARKS)/release/quern-bench --json $(RESULTS)/figures.jsonl $(1) | tee $(RESULTS)/tables.txt
@$(BENCHMARKS)/release/quern-bench plot $(RESULTS)/figures.jsonl $(RESULTS)
endef

# Only a run of everything that came to its end takes the place of the results that the repository has.
bench: bench-build ## Measure the store beside its peers and this machine's limits, all of it, into Benchmarks/results
	$(call measure,)
	@rm -rf Benchmarks/results
	@cp -r $(RESULTS) Benchmarks/results

compare: bench-build ## Measure some of it, into .build-benchmarks/results (ARGS='--only scan-238k --engine quern')
	$(call measure,$(ARGS))

bench-quick: ## The same with the slow works and peers cut short, under three minutes
	@$(MAKE) --no-print-directory compare ARGS="--quick $(ARGS)"

bench-guard: bench-build ## Say which figures got worse than Benchmarks/baseline.json (ARGS=--write writes it)
	@$(IN_TMPDIR) \
	$(BENCHMARKS)/release/quern-bench guard $(ARGS)

bench-store: bench-build ## Measure the store alone, in more detail (ARGS='scan --help' for one benchmark)
	@$(IN_TMPDIR) \
	$(BENCHMARKS)/release/quern-bench $(if $(ARGS),$(ARGS),all)

endure: bench-build ## Keep a scheduler under full load for SECONDS (default 60), draw memory and descriptors
	@mkdir -p $(RESULTS)
	@$(IN_TMPDIR) \
	$(BENCHMARKS)/release/quern-bench endurance --seconds $(SECONDS) --directory $(RESULTS)

bench-micro: prerequisites ## Measure inner loops by themselves, with their spread (ARGS='--filter Codec.*')
	@$(IN_TMPDIR) \
	swift package --package-path Benchmarks/Micro --scratch-path $(MICRO) --disable-sandbox benchmark \
	    --no-progress $(ARGS)

bench-build: bench-prerequisites
	@# Of packages that this one depends on the package manager sees new files only when it plans anew.
	@rm -f $(BENCHMARKS)/release.yaml
	@swift build --configuration release --package-path Benchmarks --scratch-path $(BENCHMARKS)

# Built for release, yet with the internals that tests may see; so in a folder of its own.
soak: prerequisites ## Compare a store with a model over a million random operations (QUERN_SEED=n replays)
	@$(IN_TMPDIR) \
	export QUERN_SOAK_OPERATIONS="$${QUERN_SOAK_OPERATIONS:-1000000}"; \
	swift test --disable-xctest --configuration release --scratch-path $(SOAK) -Xswiftc -enable-testing \
	    --filter SoakTests

life: prerequisites ## Live 5,000 lives of tasks beside a model (QUERN_LIFE_SEEDS=n; QUERN_SEED=n replays one)
	@export QUERN_LIFE_SEEDS="$${QUERN_LIFE_SEEDS:-$${QUERN_SEED:+1}}"; \
	export QUERN_LIFE_SEEDS="$${QUERN_LIFE_SEEDS:-5000}"; \
	swift test --disable-xctest --configuration release --scratch-path $(SOAK) -Xswiftc -enable-testing \
	    --filter LifeCycleTests

simulate: prerequisites ## Live SEEDS lives (default 10,000) on disks that fail (QUERN_SEED=n replays one)
	@export QUERN_SIMULATIONS="$(or $(SEEDS),$${QUERN_SEED:+1})"; \
	export QUERN_SIMULATIONS="$${QUERN_SIMULATIONS:-10000}"; \
	swift test --disable-xctest --configuration release --scratch-path $(SOAK) -Xswiftc -enable-testing \
	    --filter $(if $(QUERN_SEED),SimulationTests,'SimulationTests|FaultSweepTests|CrashTests|StoreFaultTests|CompactionInPlaceTests')

mutants: prerequisites ## Break promises on purpose and let the simulator find each (SEEDS=n, ARGS='skipped-sync')
	@Tests/Mutants/run "$$PWD/$(MUTANTS)" $(ARGS)

# Few tests at a time, so that each keeps its limit: they take ten times as long. What is left when a process exits is no
# leak. The folder of the second one is kept apart: every module is built anew for it.
sanitize: export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH := 4
sanitize: prerequisites ## Run the tests under the address sanitizer and the thread sanitizer (ARGS='--filter Name')
	@ASAN_OPTIONS=detect_leaks=0 swift test --disable-xctest --sanitize=address --scratch-path $(ADDRESS) $(ARGS)
	@TSAN_OPTIONS="suppressions=$$PWD/Tests/thread-sanitizer.supp" swift test --disable-xctest \
	    --sanitize=thread -Xswiftc -DQUERN_THREAD_SANITIZER \
	    -Xswiftc -disable-upcoming-feature -Xswiftc MemberImportVisibility --scratch-path $(THREAD) $(ARGS)

flips: prerequisites ## Flip each byte of three golden stores, one at a time: an error or the right data
	@QUERN_EVERY_BYTE=1 swift test --disable-xctest --configuration release --scratch-path $(SOAK) \
	    -Xswiftc -enable-testing --filter GoldenFlipTests

# Optimized, and with our assertions. Both sanitizers in one word: of two the compiler counts the last for coverage.
# A finding ends the run, and the file in .build-fuzz/findings has its bytes.
fuzz: prerequisites ## Fuzz decoders with libFuzzer and ASan (TARGET=frame SECONDS=60; INPUT=file runs that once)
	@swift build --configuration release --package-path Fuzzing --scratch-path $(FUZZING) --product quern-fuzz \
	    --sanitize fuzzer -Xswiftc -sanitize=fuzzer,address -Xcc -fsanitize=address -Xswiftc -enable-testing \
	    -Xswiftc -parse-as-library -Xswiftc -assert-config -Xswiftc Debug
	@export SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=quarantine_size_mb=64; \
	for target in $(TARGET); do \
	    export QUERN_FUZZ_TARGET=$$target; \
	    corpus=$(FUZZING)/corpus/$$target; \
	    mkdir -p $$corpus $(FUZZING)/findings; \
	    lengths=-max_len=4096; \
	    case $$target in manifest) lengths=-max_len=256;; store) lengths='-max_len=65 -len_control=0';; esac; \
	    QUERN_FUZZ_SEEDS=$$corpus $(FUZZING)/release/quern-fuzz; \
	    echo "make fuzz: $$target"; \
	    $(FUZZING)/release/quern-fuzz $$lengths -timeout=20 -rss_limit_mb=1024 -malloc_limit_mb=128 \
	        -artifact_prefix=$(FUZZING)/findings/$$target- -print_final_stats=1 $(ARGS) \
	        $(or $(INPUT),-max_total_time=$(SECONDS) $$corpus); \
	done

manual: prerequisites ## Write docs/quern.1 and docs/quern.md anew, from what the commands say of themselves
	@QUERN_WRITE_DOCUMENTATION=1 swift test --disable-xctest --scratch-path $(DEBUG) --filter ToolDocumentationTests

transcripts: prerequisites ## Run the commands in docs/transcripts again, on a scan of /usr
	@swift build --configuration release --scratch-path $(RELEASE) --product dirscan
	@swift build --configuration release --scratch-path $(RELEASE) --product quern
	@docs/transcripts/run $(RELEASE)/release

build: prerequisites ## Build everything for release
	@swift build --configuration release --scratch-path $(RELEASE)

format: ## Rewrite the sources in the project's format
	@swift format --in-place --recursive $(OURS)

lint: ## Check the format and style of the sources, and change nothing
	@swift format lint --strict --recursive $(OURS)
	@clang -fsyntax-only -Wall -Wextra -Werror -I Sources/CQuernKernels/include Sources/CQuernKernels/*.c

clean: ## Remove what was built
	@rm -rf $(DEBUG) $(RELEASE) $(BENCHMARKS) $(SOAK) $(MICRO) $(FUZZING) $(MUTANTS) $(ADDRESS) $(THREAD)

# The system's LZ4 with its header, and pkg-config, by which the package manager finds it.
prerequisites:
	@if pkg-config --exists liblz4 2>/dev/null; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then \
	    echo "quern needs liblz4, its header and pkg-config. Install them and run make again:" >&2; \
	    echo "  Fedora: dnf install lz4-devel pkgconf    macOS: brew install lz4 pkgconf" >&2; \
	    exit 1; \
	fi; \
	as_root=(env DEBIAN_FRONTEND=noninteractive); \
	if [ "$$(id -u)" -ne 0 ]; then as_root=(sudo "$${as_root[@]}"); fi; \
	echo "Installing liblz4-dev and pkg-config"; \
	"$${as_root[@]}" apt-get update -qq; \
	"$${as_root[@]}" apt-get install -qq -y liblz4-dev pkg-config

# The libraries of the peers: for the benchmarks alone.
bench-prerequisites: prerequisites
	@if [ -e /usr/include/sqlite3.h ] && [ -e /usr/include/rocksdb/c.h ] && [ -e /usr/include/lmdb.h ] && \
	    [ -e /usr/include/leveldb/c.h ]; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then \
	    if command -v brew >/dev/null; then brew install sqlite rocksdb lmdb leveldb; exit; fi; \
	    echo "The benchmarks need sqlite3, rocksdb, lmdb and leveldb with their headers." >&2; \
	    exit 1; \
	fi; \
	as_root=(env DEBIAN_FRONTEND=noninteractive); \
	if [ "$$(id -u)" -ne 0 ]; then as_root=(sudo "$${as_root[@]}"); fi; \
	echo "Installing the peers of the benchmarks"; \
	"$${as_root[@]}" apt-get update -qq; \
	"$${as_root[@]}" apt-get install -qq -y libsqlite3-dev librocksdb-dev liblmdb-dev libleveldb-dev
