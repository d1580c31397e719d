# `make` alone says what there is. Everything lives in .venv; PYTHON=... names the Python that makes it.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup page check test demo cluster bench format clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.ready-dev ## make .venv with everything for development (only when something has changed)
	@:

page: ## build the web page (only when its sources have changed)
	@$(PYTHON) tools/page.py

check: setup ## ruff, mypy and import-linter, in seconds
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo >.venv/imports.log 2>&1 || { cat .venv/imports.log; exit 1; }

test: preflight-test setup page check ## check, then every test; ARGS='-k name' goes to pytest
	@$(BIN)/python -m pytest $(ARGS)

demo: .venv/.ready page ## start the demo and its web page; DEMO_EXIT=1 ends it when its workflow has ended
	@$(BIN)/python examples/demo.py

cluster: preflight-cluster setup page ## start RabbitMQ, Redis, MariaDB and two of each service here; ARGS=--help says more
	@$(BIN)/python -m tools.cluster $(ARGS)

bench: setup ## measure; ARGS names the benchmark, as in ARGS="embedded --uvloop"
	@$(BIN)/python -m benchmarks $(ARGS)

format: setup ## put imports and layout in order
	@$(BIN)/ruff check --quiet --fix-only
	@$(BIN)/ruff format --quiet

clean: ## remove .venv, caches and what was built
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist clients/*/dist examples/react-app/dist services/taskpath_services/gateway/page
	@find . -name node_modules -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: preflight-test preflight-cluster
preflight-test preflight-cluster: preflight-%:
	@PYTHON='$(PYTHON)' sh tools/preflight.sh $*

# Two stamps of one environment: what runs Taskpath, and what develops it as well.
.venv/.ready: pyproject.toml constraints.txt
	@$(call install,.)
	@touch $@

.venv/.ready-dev: pyproject.toml constraints.txt
	@$(call install,.[dev])
	@touch .venv/.ready $@

# An environment whose Python is gone is made anew.
define install
set -e; \
PYTHON='$(PYTHON)' sh tools/preflight.sh setup; \
if ! $(BIN)/python -c '' 2>/dev/null; then \
    rm -rf .venv; \
    $(PYTHON) -m venv .venv; \
fi; \
$(BIN)/python tools/page.py; \
echo 'taskpath: installing into .venv' >&2; \
$(PIP) -qq install --constraint constraints.txt --editable '$(1)'
endef
