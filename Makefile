# One set of commands, for people and for CI. `make help` lists them.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3.11
BIN := .venv/bin
STAMP := .venv/.installed
BENCH := .venv-bench
SHOP ?= $(or $(RECSYS_SHOP),examples/complete_journey/shop.yaml)
NIGHT ?=
ARGS ?=
# All tests run in a few processes, a file in one of them: its fixtures are made once. Files stay in their order, so
# that the long ones do not come last.
SIDE_BY_SIDE := -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

export RECSYS_SHOP := $(SHOP)
# Idle OpenMP threads sleep: they would spin on cores that the other processes need.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: help install bench demo up down airflow test lint docs clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

install: $(STAMP) ## make .venv and install the pinned requirements

$(STAMP): requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	touch $(STAMP)

bench: $(STAMP) $(BENCH)/.installed ## make .venv-bench, the environment of the peers of `python -m benchmarks...`

$(BENCH)/.installed: requirements-bench.txt
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements-bench.txt
	touch $@

demo: $(STAMP) ## run the demo shop's night through Airflow and print it (NIGHT=YYYY-MM-DD for another night)
	@$(BIN)/python -m tools.demo $(if $(NIGHT),--night $(NIGHT))

up: $(STAMP) ## start Airflow for SHOP=FILE (default: the demo shop); prints URL and password
	@$(BIN)/python -m tools.embedded up

down: $(STAMP) ## stop what `make up` started
	@$(BIN)/python -m tools.embedded down

airflow: $(STAMP) ## Airflow's own command line, e.g. ARGS="dags list-runs recsys_nightly"
	@$(BIN)/python -m tools.embedded airflow $(ARGS)

test: $(STAMP) ## run the tests (ARGS="tests/dags -k night" for some)
	@$(BIN)/python -m pytest $(or $(ARGS),$(SIDE_BY_SIDE))

lint: $(STAMP) ## check style, types, and that docs/dags.md says what the DAGs say
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tools.dag_docs --check

docs: $(STAMP) ## write docs/dags.md again from the DAGs
	@$(BIN)/python -m tools.dag_docs

clean: ## stop the servers; remove all that was made, and every home in .recsys here or in examples (live lists too)
	@[ ! -e $(STAMP) ] || $(BIN)/python -m tools.embedded down --all
	rm -rf .venv $(BENCH) .airflow .airflow-postgres .recsys .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	find examples -name '.recsys' -type d -prune -exec rm -rf {} +
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
