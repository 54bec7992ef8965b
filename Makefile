# Every target does its own set-up; continuous integration calls only these.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
DOCS_STAMP := $(VENV)/.set-up-docs
# What the main job is told beside its data, for instance ARGS="--set fit.epochs=2".
ARGS ?=
# A folder that holds DUTS-TR-Image and DUTS-TR-Mask; empty takes the embedded corpus.
DUTS_ROOT ?=
# Where a real model goes: apart from those that ship, whose id the recipe has. What ARGS says goes over it.
REAL := --model-dir build/real/model/tiny
FUZZ_SECONDS ?= 60

.PHONY: help setup model-saliency test check format core fuzz bench docs clean

help: ## show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: $(STAMP) ## make the virtual environment with everything pinned

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed, this is " + sys.version'
# A second python3 over a standing environment would mix the two, so it is made once.
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

model-saliency: $(STAMP) ## train, gate, export and register a saliency model
ifeq ($(strip $(DUTS_ROOT)),)
	$(BIN)/vmaf-train run saliency_student --replace $(ARGS)
	$(BIN)/vmaf-train verify --model-dir build/model/tiny
	@echo
	@echo "That was the smoke model. The real one, from a folder with DUTS-TR-Image and DUTS-TR-Mask:"
	@echo "    make model-saliency DUTS_ROOT=/path/to/DUTS-TR"
else
	$(BIN)/vmaf-train run saliency_student --data '$(DUTS_ROOT)' $(REAL) $(ARGS)
endif

test: $(STAMP) ## run all checks and tests, the C core's too where there is a compiler
	$(MAKE) check
	if command -v $${CC:-cc} >/dev/null; then $(MAKE) core; else echo "no C compiler: the C core was not tested"; fi
	$(BIN)/python -m pytest

check: $(STAMP) ## lint, types, import direction, and that nothing generated is stale
	$(BIN)/ruff check ai
	$(BIN)/ruff format --check ai
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vmaf-train verify

format: $(STAMP) ## rewrite the sources in the one format
	$(BIN)/ruff check --fix ai
	$(BIN)/ruff format ai

core fuzz: export PATH := $(abspath $(BIN)):$(PATH)

core: $(STAMP) ## build and test the C core with sanitizers
	[ -f build/core/build.ninja ] || meson setup build/core core -Db_sanitize=address,undefined -Db_lundef=false
	meson compile -C build/core
	meson test -C build/core --print-errorlogs

fuzz: $(STAMP) ## fuzz the C core, FUZZ_SECONDS for each reader
	sh core/fuzz/run.sh $(FUZZ_SECONDS)

bench: $(STAMP) ## run every benchmark
	for file in ai/benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python "$$file"; done

docs: $(DOCS_STAMP) ## build the documentation into build/site; a warning or a dead link fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "build/site/index.html; with search: $(BIN)/python -m http.server --directory build/site"

$(DOCS_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

clean: ## remove everything made here, the environment included
	rm -rf build $(VENV)
