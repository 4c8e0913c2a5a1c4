# Everything a person or CI runs. `make` alone lists the targets.
#
# PYTHON  any interpreter from 3.11; found by itself
# VENV    where the environment goes (default .venv); nothing outside it is changed

SHELL  := /bin/bash
VENV   ?= .venv
# The first of these that runs and is new enough (a name in PATH may be a shim that does not run).
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
            "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)

BIN     := $(VENV)/bin
PIP     := $(BIN)/python -m pip --disable-pip-version-check --quiet install
# A lock names everything: without a resolver nobody looks for newer versions of what another package asks for.
HASHED  := $(PIP) --no-deps --require-hashes -r
SELF    := $(PIP) --no-deps --no-build-isolation --editable .
RUNTIME := $(VENV)/.runtime
DEV     := $(VENV)/.dev
export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.PHONY: help build build-dev demo test slow ops properties check format generate pictures lock wheel vm-test install-test clean

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
	@touch $(RUNTIME) $@

build: $(RUNTIME)  ## the environment the daemon runs in
build-dev: $(DEV)  ## that, and what tests and checks need

demo: build  ## a simulated RingCentral, the daemon against it, and the calls it recorded
	@$(BIN)/ringledger demo

test: build-dev  ## the suite, with the coverage of the domain
	$(BIN)/python -m pytest -n 3 --dist worksteal --cov --cov-report=term --ignore=tests/ops -m "not slow and not crash"

slow: build-dev  ## offices in which everything goes wrong, large exports (two minutes of their own)
	$(BIN)/python -m pytest -q -n 3 --dist worksteal --ignore=tests/ops -m slow

ops: build-dev  ## the daemon as a service: units, sandbox, full disks, a database that goes away (two minutes of its own)
	$(BIN)/python -m pytest -q -n 3 --dist worksteal tests/ops

SPEC ?=
.PHONY: conformance
conformance: build-dev  ## the simulator's answers against the platform's own description: SPEC=openapi.yml
	@test -n "$(SPEC)" || { echo "give RingCentral's OpenAPI description: make conformance SPEC=openapi.yml" >&2; exit 64; }
	$(BIN)/python tests/conformance/refresh.py --check "$(SPEC)"
	$(BIN)/python -m pytest -q tests/conformance

EXAMPLES ?= 1000
properties: build-dev  ## the rules of the state machine on EXAMPLES random stories each
	EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -q -n auto tests/domain/test_properties.py

check: build-dev  ## style, types, imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -q tests/test_house.py

format: build-dev  ## let ruff put the code in order
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

generate: build-dev  ## rewrite the files that are made from the code
	$(BIN)/python -m ringledger.settings > config/ringledger.schema.json
	$(BIN)/python -m ringledger.logs > docs/log-events.md
	$(BIN)/python -m ringledger.cli.reference > docs/commands.md
	$(BIN)/python -m ringledger.cli.manual docs
	$(BIN)/python .ci/sbom.py > docs/sbom.cdx.json

pictures: build-dev  ## draw docs/top-*.svg anew: `top` as the program shows it
	$(BIN)/python tests/cli/pictures.py

BENCHES := $(wildcard tests/bench/bench_*.py)
ifneq ($(BENCHES),)
.PHONY: bench
bench: build-dev  ## measure
	@set -e; for bench in $(BENCHES); do echo "== $$bench"; $(BIN)/python $$bench; done
endif

CYCLES ?= 50
SEED   ?= 1

.PHONY: crash proofs
crash: build-dev  ## kill the daemon CYCLES times, half with each feed (SEED): nothing is lost, nothing is doubled
	CYCLES=$(CYCLES) SEED=$(SEED) $(BIN)/python -m pytest -q tests/crash

proofs: build-dev  ## the long proofs: days of events lost, a feed cut for an hour, a daemon stopped for a day, the platform's limits, a receiver down
	PROOFS=1 $(BIN)/python -m pytest -q tests/proofs

# No address goes into a lock: the index is the business of the machine that installs.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
           --no-strip-extras --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock"

lock: build-dev  ## the newest versions into the locks
	$(COMPILE) --upgrade pyproject.toml --group dev --output-file requirements-dev.lock
	$(COMPILE) --constraint requirements-dev.lock pyproject.toml --output-file requirements.lock
	$(COMPILE) --constraint requirements-dev.lock --group build --output-file requirements-build.lock

wheel: build-dev  ## dist/*.whl
	rm -f dist/*.whl
	$(BIN)/python -m hatchling build --target wheel

vm-test: build wheel  ## a real systemd in a virtual machine runs it (VM_CHECKS=short; root, mmdebstrap, e2fsprogs, qemu-system-x86)
	PYTHON=$(BIN)/python tests/vm/build
	tests/vm/run

install-test: build-dev wheel  ## the documented installation into an empty prefix, from the wheel and the lock
	RINGLEDGER_INSTALL_TEST=1 $(BIN)/python -m pytest -q tests/ops/test_install.py

clean:  ## all that can be made again
	rm -rf dist build .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache $(VENV)
