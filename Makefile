# EchelonX: `make help` lists what there is to do.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv
PYTEST ?= $(BIN)/python -m pytest
EXPLORE := --hypothesis-profile=explore --randomly-seed=default
# Tests start many processes; where nothing compiled is kept, each compiles everything again.
unexport PYTHONDONTWRITEBYTECODE

SDK := .sdk
.PHONY: help setup demo run test explore chaos sdk lint check bench lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

# The locked packages, with hashes; uv where it can be had, pip otherwise.
define install
	@$(BIN)/python -c "import uv" 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.8 \
		|| echo "uv cannot be had; pip does the same, slower"
	@if [ -x $(UV) ]; then $(UV) pip install --quiet --python $(BIN)/python --require-hashes -r $(1); \
	else $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1); fi
	@if [ -x $(UV) ]; then $(UV) pip install --quiet --python $(BIN)/python --no-deps -e .; \
	else $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .; fi
	@touch $@
endef

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.runtime: requirements.lock pyproject.toml | .venv/bin/python
	$(call install,requirements.lock)

.venv/.dev: requirements-dev.lock pyproject.toml | .venv/bin/python
	$(call install,requirements-dev.lock)

setup: .venv/.dev ## create .venv with everything, for development

demo: .venv/.runtime ## import 2,418 people, launch a campaign, watch it land
	@$(BIN)/echelonx demo $(ARGS)

run: .venv/.runtime ## web, scheduler and workers in one process
	@$(BIN)/echelonx run $(ARGS)

test: export PYTHONHASHSEED = 0
test: .venv/.dev ## run the tests (on PostgreSQL too, where it can be reached)
	@$(PYTEST) -n 2 $(ARGS)

explore: .venv/.dev ## run the tests with new examples in a new order: may find what `make test` does not
	@$(PYTEST) -n 2 $(EXPLORE) $(ARGS)

chaos: .venv/.dev ## kill, freeze and cut off everything at full size (about an hour; CHAOS=file for its numbers)
	@ECHELONX_TEST_CHAOS=$(abspath $(or $(CHAOS),chaos.jsonl)) $(PYTEST) $(EXPLORE) tests/faults tests/api/test_walls.py $(ARGS)

sdk: .venv/.dev ## run Segment's own libraries against the collector (from npm and PyPI)
	@mkdir -p $(SDK)/node
	@npm install --silent --no-audit --no-fund --no-save --no-package-lock --prefix $(SDK)/node @segment/analytics-node@3.1.0 \
		|| { echo "npm cannot be reached: the Node library was not tried"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --no-deps --target $(SDK)/python analytics-python==1.4.post1 backoff==1.10.0 monotonic==1.6 \
		|| { echo "PyPI cannot be reached: the old Python library was not tried"; exit 1; }
	@ECHELONX_TEST_SDK=$(abspath $(SDK)) $(PYTEST) tests/sdk $(ARGS)

lint: .venv/.dev ## style, types, layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

check: lint test ## everything CI runs

bench: .venv/.dev ## measure (see bench/README.md); needs PostgreSQL and Debian's postfix
	@command -v smtp-sink >/dev/null || (apt-get update -qq && apt-get install -y -qq --no-install-recommends postfix)
	@$(BIN)/python -m bench $(ARGS)

lock: | .venv/bin/python ## write the lock files anew from pyproject.toml
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --extra scale pyproject.toml -o requirements.lock
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --extra scale --extra files --group dev pyproject.toml -o requirements-dev.lock

clean: ## remove the environment and caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis echelonx-demo
