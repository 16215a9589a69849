# What a contributor runs. `make demo` and `make test` need only Python 3.11 or newer, pip and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo docs test lint types pyright contracts unit quick package httpx2 bench bench-peers million workers ten-million ray demo-cluster coverage-table generated hardening logs hf real-model coverage clean

help:  ## show this list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(VENV)/.base: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.base pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(VENV)/.base  ## evaluate a small demo model, from nothing to a table
	$(BIN)/python -m themis quick-eval file examples/sums.jsonl --model builtin/demo_model --metric builtin/exact_match --store runs/demo.sqlite3

test: lint types contracts unit  ## everything below that is quick: lint, types, contracts, tests, docs and examples

lint: $(VENV)/.dev  ## style and formatting (ruff)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev  ## static types (mypy --strict)
	$(BIN)/mypy

pyright: $(VENV)/.dev  ## the public surface as pyright sees it
	PATH=$(abspath $(BIN)):$$PATH $(BIN)/pyright --verifytypes themis --ignoreexternal

contracts: $(VENV)/.dev  ## who may import whom (import-linter)
	$(BIN)/lint-imports

unit: $(VENV)/.dev  ## tests, laws, docs and examples (pytest)
	$(BIN)/python -m pytest -q -n auto --dist worksteal -m "not real_model and not hardening"

quick: $(VENV)/.dev  ## those of the tests that take less than a few seconds each; TESTS="tests/laws" for a part of them
	$(BIN)/python -m pytest -q -n auto --dist worksteal -m "not real_model and not slow and not hardening" $(TESTS)

package: $(VENV)/.dev  ## build sdist and wheel, check them, and try the wheel in an empty environment, which stays small
	$(BIN)/python .ci/package.py

httpx2: $(VENV)/.dev  ## the tests of providers with the other HTTP library
	HYPOTHESIS_PROFILE=brief THEMIS_HTTP_LIBRARY=httpx2 $(BIN)/python -m pytest -q -n auto -m "not slow" tests/effects/providers tests/effects/calls/test_credentials.py

$(VENV)/.cluster: $(VENV)/.base
	$(BIN)/python -m pip install --quiet --editable '.[dask,postgres]'
	@touch $@

$(VENV)/.ray: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --editable '.[ray]'
	@touch $@

ray: $(VENV)/.ray  ## runs by workers of Ray, which is installed first; PostgreSQL must be installed
	$(BIN)/python -m pytest -q -n 0 -m "" tests/laws/test_killed_workers.py -k Ray

demo-cluster: $(VENV)/.cluster  ## one run by Dask workers into PostgreSQL, both started here; PostgreSQL must be installed
	$(BIN)/python examples/cluster.py

# The scenarios, and the tests of every day that the table counts besides.
HARDENING := tests/hardening tests/effects/sandboxes/test_hostile.py tests/effects/sandboxes/test_left_behind.py \
  tests/effects/calls/test_malicious.py tests/laws/test_odd_values.py tests/e2e/test_html_report.py
hardening: $(VENV)/.dev  ## kills, power losses, full disks, faulty endpoints and attacks, for an hour; ends in a table
	$(BIN)/python -m pytest -q -n 0 -m "" $(HARDENING)

TOOLS := build/tools
$(TOOLS)/.installed:
	$(TOOLS_PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet inspect-ai lm-eval every-eval-ever pydantic-evals deepeval
	$(TOOLS)/bin/python -m pip install --quiet --no-deps harbor
	@touch $@

TOOLS_PYTHON ?= python3.12
logs: $(VENV)/.dev $(TOOLS)/.installed  ## other tools' logs against those tools, installed into build/tools (Python 3.12); ends in a table
	THEMIS_TOOLS_PYTHON=$(abspath $(TOOLS)/bin/python) $(BIN)/python -m pytest -q -n 0 -m "" tests/hardening/test_other_tools.py

million: $(VENV)/.dev  ## a million cases from a file into SQLite, reported, replayed and verified
	$(BIN)/python -m benchmarks.million

workers: $(VENV)/.dev  ## a million cases into PostgreSQL by one worker and by four; WORKERS="200000 1,2,4 0.25" for a quarter of a processor each
	$(BIN)/python -m benchmarks.many_workers $(WORKERS)

ten-million: $(VENV)/.dev  ## ten million cases into PostgreSQL by four workers; takes 30 GB of disk
	$(BIN)/python -m benchmarks.many_workers 10000000 4

generated: $(VENV)/.base  ## write the generated pages anew: the catalog's cards, the config's schema
	$(BIN)/python docs/reference/catalog_cards.py docs/reference/catalog
	$(BIN)/python -m themis schema > docs/reference/config.schema.json

coverage: $(VENV)/.dev  ## tests with branch coverage
	$(BIN)/coverage run -m pytest -q -m "not slow and not real_model and not hardening"
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered --sort=cover

docs: $(VENV)/.dev  ## build the documentation into site/; a broken link or a page that no list names is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

bench: $(VENV)/.dev  ## speed and memory, as ratios to a floor, a bare loop or an empty interpreter in the same run
	$(BIN)/python -m benchmarks $(BENCH)

coverage-table: $(VENV)/.dev  ## how often 95 % intervals hold the truth, and tests have their level and power
	$(BIN)/python benchmarks/coverage_simulation.py
	$(BIN)/python benchmarks/stopping_simulation.py
	$(BIN)/python benchmarks/coverage_of_statistics.py

bench-peers: $(VENV)/.dev  ## the same trivial evaluation with other packages, each installed into build/peers
	$(BIN)/python -m benchmarks.peers

$(VENV)/.hf: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --editable '.[hf]'
	@touch $@

hf: $(VENV)/.hf  ## tests of hf/... with PyTorch and transformers, which are installed first (some hundred MB)
	$(BIN)/python -m pytest -q -n 0 tests/effects/providers/test_hf.py

$(VENV)/.llama-cpp: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --editable '.[llama-cpp]'
	@touch $@

real-model: $(VENV)/.llama-cpp  ## tests against a real model, served on REAL_MODEL_URL and read from REAL_MODEL_FILE; compiles llama.cpp first
	$(BIN)/python -m pytest -q -n 0 -m real_model

clean:  ## remove what was built
	rm -rf $(VENV) build dist site .mypy_cache .pytest_cache .ruff_cache .hypothesis
