# Everything a contributor needs: `make help`. The first run creates .venv and installs into it; nothing else is needed
# than Python 3.11 or newer, make and a network.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python

# The interpreter decides which environment is right: another PYTHON makes a new one.
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null)
READY := $(VENV)/.python-$(or $(VERSION),missing)
RUNTIME := $(VENV)/.installed-runtime
DEVELOP := $(VENV)/.installed-develop
JUDGES := $(VENV)/.installed-judges
PEERS := $(VENV)/.installed-peers

# What an editable install depends on: the generated kratos.wire is part of it.
SOURCES := pyproject.toml hatch_build.py $(shell find proto -name '*.proto') \
	src/kratos/tools/failure.py $(wildcard src/kratos/tools/codegen/*.py)

HELLO := examples/helloworld
PYTEST := $(PY) -m pytest
# On every core.
PARALLEL := -n auto --dist worksteal

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := help
# What `make bench` measures: how often, how long each time, and where the figures are kept.
ROUNDS := 3
SECONDS := 3
FIGURES := build/bench
# All that is logged while `make test` runs; each line of it has to parse.
JOURNAL := build/journal
# Scripts that only print.
PRINTING := $(wildcard $(foreach name,middleware resilience dispatch codec binding balance generate lint cache,benchmarks/$(name).py))

.PHONY: help run generate test test-slow interop conformance browser test-all check lint format types arch unit surface golden bench figures plots chaos clean

help: ## Show what can be made
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  PYTHON=python3.13 in front or behind chooses the interpreter; it is $(PYTHON) $(VERSION) now"

run: $(RUNTIME) ## Serve examples/helloworld on HTTP and gRPC, until Ctrl-C
	$(PY) -m kratos.tools.cli generate $(HELLO)
	@cd $(HELLO) && KRATOS_ENV=development exec $(CURDIR)/$(PY) -m helloworld

generate: $(RUNTIME) ## Generate the code of the examples
	$(PY) -m kratos.tools.cli generate $(HELLO)

test: $(DEVELOP) ## Run the test suite
	rm -rf $(JOURNAL)
	KRATOS_JOURNAL=$(JOURNAL) $(PYTEST) $(PARALLEL) -m "not slow and not conformance and not interop and not browser"
	$(PY) tests/journal.py $(JOURNAL)
	$(PY) -m kratos.tools.cli generate $(HELLO)
	cd $(HELLO) && $(CURDIR)/$(PY) -m pytest -q tests

test-slow: $(JUDGES) ## Run what takes long: growth over many calls, whole projects
	$(PYTEST) -m slow

interop: $(DEVELOP) ## Run the tests against Kratos for Go, Connect's conformance suite and the OpenTelemetry Collector; needs Go
	$(PYTEST) -q -m interop tests/interop

conformance: $(DEVELOP) ## Let schemathesis judge document and server, and send requests at random
	$(PYTEST) -q -m conformance tests/conformance tests/fuzz

browser: $(DEVELOP) ## Run the tests in a browser; needs Chromium
	$(PYTEST) -q -m browser tests/browser

test-all: $(JUDGES) ## Run every test there is, and the coverage gates
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered --fail-under=95
	$(BIN)/coverage report --include='$(VOCABULARY)' --fail-under=100

# Covered to the last branch.
empty :=
comma := ,
space := $(empty) $(empty)
WORDS := errors metadata live operation call handler service registry/* selector/* resilience/*
VOCABULARY := $(subst $(space),$(comma),$(foreach word,$(WORDS),*/kratos/$(word).py))

check: lint types arch unit ## Run what must pass before a commit: lint, types, architecture, unit tests

lint: $(DEVELOP) ## Look for mistakes and for untidy formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEVELOP) generate ## Check the types, with two checkers
	$(BIN)/mypy
	$(BIN)/basedpyright

arch: $(DEVELOP) ## Check floors, budgets, import weight and public surface
	$(PYTEST) -q $(PARALLEL) tests/arch

unit: $(DEVELOP) ## Run the unit tests
	$(PYTEST) -q $(PARALLEL) -m "not slow" tests/unit

format: $(DEVELOP) ## Format the code and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

surface: $(DEVELOP) ## Write down the public surface; review the diff
	$(PY) tests/arch/surface.py

golden: $(DEVELOP) ## Write the golden files of the generator anew; review the diff
	KRATOS_GOLDEN=write $(PYTEST) -q tests/golden tests/tools/caching

bench: $(PEERS) ## Run the benchmarks, half an hour, and write docs/performance.md: ROUNDS=3 SECONDS=3
	@$(PYTEST) -q --collect-only tests/golden >/dev/null  # generates the messages they use
	rm -rf $(FIGURES)
	@mkdir -p $(FIGURES)
	@for script in unary everything order streams stalled; do \
		$(PY) benchmarks/$$script.py --rounds $(ROUNDS) --seconds $(SECONDS) --json $(FIGURES)/$$script.json || exit 1; done
	@$(PY) benchmarks/events.py --rounds $(ROUNDS) --json $(FIGURES)/events.json
	@$(PY) benchmarks/memory.py --json $(FIGURES)/memory.json
	@$(PY) benchmarks/client.py --json $(FIGURES)/client.json
	@for script in $(PRINTING); do echo "$$script"; \
		$(PY) $$script > $(FIGURES)/$$(basename $$script .py).txt || exit 1; done
	@$(MAKE) --no-print-directory figures

figures: $(DEVELOP) ## Write docs/performance.md from what `make bench` has measured
	$(PY) benchmarks/report.py $(FIGURES)

plots: $(DEVELOP) ## Draw docs/resilience.svg and .png from a simulation: what limiter, breaker and retry do
	$(PY) -m pip install --quiet --group plots
	$(PY) benchmarks/curves.py

chaos: $(DEVELOP) ## Overload servers, fail nodes and take etcd away, seven minutes; judges it, draws it into docs
	$(PY) -m pip install --quiet --group plots
	@$(PYTEST) -q --collect-only tests/golden >/dev/null  # generates the messages they use
	$(PY) benchmarks/faults.py --docs docs

clean: ## Remove the environment and everything generated
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.*
	rm -rf src/kratos/wire tests/fixtures tests/.kratos tests/interop/.kratos tests/interop/gen tests/interop/connect/.kratos tests/interop/connect/gen $(HELLO)/.kratos $(HELLO)/helloworld/gen
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Kratos for Python needs Python 3.11 or newer; $(PYTHON) is $(or $(VERSION),not there)." >&2; \
		echo "Choose another one: make $(MAKECMDGOALS) PYTHON=python3.13" >&2; exit 1; }
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade 'pip>=25.1'
	@touch $@

$(RUNTIME): $(READY) $(SOURCES)
	$(PY) -m pip install --quiet --editable '.[tools]'
	@touch $@

$(DEVELOP): $(READY) $(SOURCES)
	$(PY) -m pip install --quiet --editable '.[all]' --group dev
	@touch $@ $(RUNTIME)

$(JUDGES): $(DEVELOP)
	$(PY) -m pip install --quiet --group deploy
	@touch $@

$(PEERS): $(DEVELOP)
	$(PY) -m pip install --quiet --group bench
	@touch $@
