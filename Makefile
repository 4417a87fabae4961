# Two commands: make demo, make test. Both run as root on a fresh Debian 12 machine.
.DEFAULT_GOAL := help
.PHONY: help demo test test-unit lint target clean venv

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: venv ## make three Docker targets nodes, twice, and show what they look like then
	scripts/with-docker $(BIN)/python -m tests.targets.demo

test: venv lint ## all tests: lint, types, units, and end to end on Docker targets
	scripts/with-docker sh -c '$(BIN)/python -m tests.targets build && $(BIN)/python -m pytest'

test-unit: venv ## the tests that need no Docker
	$(BIN)/python -m pytest -m "not targets"

lint: venv ## ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

target: venv ## start the demo's targets and leave them running, to play with
	KUBENODE_KEEP_DOCKER=1 scripts/with-docker $(BIN)/python -m tests.targets up

clean: ## remove targets with their volumes and images, the environment and caches
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m tests.targets clean --images || true; fi
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist *.egg-info

venv: $(READY)

$(READY): pyproject.toml constraints.txt scripts/make-venv
	PYTHON=$(PYTHON) scripts/make-venv $(VENV)
	@touch $@
