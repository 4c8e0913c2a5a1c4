# Everything a person or CI runs. `make` alone lists the targets.
#
# PYTHON  any interpreter from 3.11; found by itself
# VENV    where the environment goes (default .venv); nothing outside it is changed

SHELL  := /bin/bash
VENV   ?= .venv
# The first of these that runs, is new enough and makes environments (a name in PATH may be a shim that does not run).
# The distribution's comes first: it is built with optimisations, and the suite takes a fifth less than with one that a
# version manager has built without.
PYTHON ?= $(shell for p in /usr/bin/python3 python3 python3.13 python3.12 python3.11 python3.14; do \
            "$$p" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
            && { echo "$$p"; break; }; done)

BIN     := $(VENV)/bin
PIP     := $(BIN)/python -m pip --disable-pip-version-check --quiet install
# A lock names everything: without a resolver nobody looks for newer versions of what another package asks for.
HASHED  := $(PIP) --no-deps --require-hashes -r
SELF    := $(PIP) --no-deps --no-build-isolation --editable .
RUNTIME := $(VENV)/.runtime
DEV     := $(VENV)/.dev
export PYTHONUNBUFFERED := 1
# Without it each of the suite's processes compiles the program and the tests again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help build build-dev demo test coverage slow ops properties any-order test-compiled check format generate pictures lock wheel deb vm-test install-test clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "no Python from 3.11 found; give one: make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(RUNTIME): requirements.lock requirements-build.lock pyproject.toml | $(BIN)/python
	$(HASHED) requirements.lock
	$(HASHED) requirements-build.lock
	$(SELF)
	$(BIN)/python -m pip --disable-pip-version-check check
	@touch $@

$(DEV): requirements-dev.lock pyproject.toml | $(BIN)/python
	$(HASHED) requirements-dev.lock
	$(SELF)
	$(BIN)/python -m pip --disable-pip-version-check check
	@$(BIN)/python -m pytest --collect-only -qq >/dev/null || true  # compiled once, not by each process of the first run
	@touch $(RUNTIME) $@

build: $(RUNTIME)  ## the environment the daemon runs in
build-dev: $(DEV)  ## that, and what tests and checks need

demo: build  ## a simulated RingCentral, the daemon against it, and the calls it recorded
	@$(BIN)/ringledger demo

SUITE = $(BIN)/python -m pytest -n 4 --dist worksteal --ignore=tests/ops --ignore=tests/postgresql -m "not slow and not crash"

test: build-dev  ## the suite
	$(SUITE)

coverage: build-dev  ## the suite and make slow, and how much of each room they cover: none below its floor
	@mkdir -p build
	$(subst not slow and ,,$(SUITE)) -q --cov --cov-report=json:build/coverage.json --cov-report=
	$(BIN)/python .ci/floors.py build/coverage.json

OF ?= tests
slow: build-dev  ## offices in which everything goes wrong, large exports, upgrades killed anywhere (two minutes of their own); OF: a part
	$(BIN)/python -m pytest -q -n 3 --dist worksteal --ignore=tests/ops --ignore=tests/postgresql -m slow $(OF)

ops: build-dev  ## the daemon as a service: units, sandbox, full disks, a database that goes away (two minutes of its own)
	$(BIN)/python -m pytest -q -n 3 --dist worksteal tests/ops

.PHONY: postgresql postgresql-offices postgresql-proofs
postgresql: build-dev  ## the ledger's contract on a PostgreSQL server of its own, and whole daemons on it (Debian: postgresql)
	TEST_DATABASE=postgresql CYCLES=8 $(BIN)/python -m pytest -q -n 4 --dist worksteal tests/postgresql tests/ledger tests/crash/test_kill.py --ignore=tests/ledger/file --ignore=tests/ledger/schema

postgresql-offices: build-dev  ## every office and trouble of tests/service on a PostgreSQL server, in real time (a quarter of an hour)
	TEST_DATABASE=postgresql $(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not sqlite" tests/service

# Not here: what is about a file (marked sqlite), what shows how fast one machine is, and a day's memory.
SERVER_PROOFS := $(addprefix tests/proofs/test_,$(addsuffix .py,holes letters office_day outages receiver throttling))
postgresql-proofs: build-dev  ## the long proofs that touch the ledger, on a PostgreSQL server (half an hour on a busy machine)
	TEST_DATABASE=postgresql PROOFS=1 LETTERS=$${LETTERS:-20000} $(BIN)/python -m pytest -q $(SERVER_PROOFS)

SPEC ?=
.PHONY: conformance
conformance: build-dev  ## the simulator's answers against the platform's own description: SPEC=openapi.yml
	@test -n "$(SPEC)" || { echo "give RingCentral's OpenAPI description: make conformance SPEC=openapi.yml" >&2; exit 64; }
	$(BIN)/python tests/conformance/refresh.py --check "$(SPEC)"
	$(BIN)/python -m pytest -q tests/conformance

ROUNDS ?= 100000
.PHONY: fuzz
fuzz: build-dev  ## ROUNDS damaged inputs over everything that reads what others have written; what fails is kept
	$(BIN)/python -m tests.fuzz.run --rounds $(ROUNDS)

EXAMPLES ?= 1000
properties: build-dev  ## the rules of the state machine, and every other property, on EXAMPLES random examples each
	EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -q -n auto --ignore=tests/ops --ignore=tests/postgresql -m hypothesis

SEED ?= 1
any-order: build-dev  ## EXAMPLES true calls from SEED on in any order of arrival, doubled, lost by a quarter: the same row, the true one
	EXAMPLES=$(EXAMPLES) SEED=$(SEED) ORDERS=1000 $(BIN)/python -m pytest -q -n auto -m "not hypothesis" tests/generator tests/domain

check: build-dev  ## style, types, imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file .ci/tests.ini -p tests
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -q tests/test_house.py

format: build-dev  ## let ruff put the code in order
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

generate: build-dev  ## rewrite the files that are made from the code
	$(BIN)/python -m ringledger.config.model > config/ringledger.schema.json
	$(BIN)/python -m ringledger.observability.logging > docs/log-events.md
	$(BIN)/python -m ringledger.cli.reference > docs/commands.md
	$(BIN)/python -m ringledger.cli.manual docs
	$(BIN)/python -m ringledger.ledger.schema.calls docs/database.md
	$(BIN)/python .ci/sbom.py > docs/sbom.cdx.json

pictures: build-dev  ## draw docs/top-*.svg and docs/*.png anew: `top` and `serve` as the program shows them (chromium)
	$(BIN)/python tests/cli/pictures.py
	$(BIN)/python -m tests.web.pictures

BENCHES := $(wildcard tests/bench/bench_*.py)
ifneq ($(BENCHES),)
.PHONY: bench
bench: build-dev  ## measure
	@set -e; for bench in $(BENCHES); do echo "== $$bench"; $(BIN)/python $$bench; done
endif

BASE ?= 03712d0
RUNS ?= 3
.PHONY: bench-compare
bench-compare: build-dev  ## this tree against the commit BASE in one run, taking turns (compiled too, after make test-compiled)
	$(BIN)/python tests/bench/compare.py $(BASE) --runs $(RUNS)

CYCLES ?= 50

.PHONY: crash proofs
crash: build-dev  ## kill the daemon CYCLES times, half with each feed (SEED): nothing is lost, nothing is doubled
	CYCLES=$(CYCLES) SEED=$(SEED) $(BIN)/python -m pytest -q tests/crash

RATE ?= 1000
SECONDS ?= 300
.PHONY: backlog
backlog: build-dev  ## a flood of RATE events a second for SECONDS, killed twice: caught up within 30 s of each start
	PROOFS=1 RATE=$(RATE) SECONDS=$(SECONDS) $(BIN)/python -m pytest -q tests/proofs/test_backlog.py

proofs: build-dev  ## the long proofs: days of events lost, a feed cut for an hour, a daemon stopped for a day, the platform's limits, a receiver down, 500 accounts
	PROOFS=1 $(BIN)/python -m pytest -q tests/proofs

# No address goes into a lock: the index is the business of the machine that installs.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
           --no-strip-extras --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock"

lock: build-dev  ## the newest versions into the locks
	$(COMPILE) --upgrade pyproject.toml --group dev --extra web --extra postgresql --output-file requirements-dev.lock
	$(COMPILE) --constraint requirements-dev.lock pyproject.toml --extra web --extra postgresql --output-file requirements.lock
	$(COMPILE) --constraint requirements-dev.lock --group build --output-file requirements-build.lock

COMPILED ?= auto

wheel: build-dev  ## dist/*.whl, its tracker compiled where a C compiler is at hand (COMPILED=0: plain)
	rm -f dist/*.whl
	RINGLEDGER_COMPILE=$(COMPILED) $(BIN)/python -m hatchling build --target wheel

test-compiled: build-dev  ## the tests of what is compiled against a compiled wheel (a C compiler, Python's headers)
	rm -rf build/wheel build/installed
	RINGLEDGER_COMPILE=1 $(BIN)/python -m hatchling build --target wheel --directory build/wheel
	$(BIN)/python -m zipfile -e build/wheel/ringledger-*.whl build/installed
	RINGLEDGER_TRACKER=compiled PYTHONPATH=build/installed $(BIN)/python -m pytest -q -n 2 tests/domain tests/generator tests/ledger/write tests/test_compiled.py

vm-test install-test: COMPILED = 0  # they install it for another Python

deb: wheel  ## dist/ringledger_*.deb, for a Debian with the Python of this one (dpkg-deb)
	PIP_PYTHON=$(BIN)/python .ci/deb

vm-test: build deb  ## a real systemd in a virtual machine runs it (VM_CHECKS=short; root, mmdebstrap, e2fsprogs, qemu-system-x86)
	PYTHON=$(BIN)/python tests/vm/build
	tests/vm/run

install-test: build-dev wheel  ## the documented installation into an empty prefix, from the wheel and the lock
	RINGLEDGER_INSTALL_TEST=1 $(BIN)/python -m pytest -q tests/ops/test_install.py

clean:  ## all that can be made again
	rm -rf dist build .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache $(VENV)
