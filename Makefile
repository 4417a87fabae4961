# Two commands: make demo, make test. Both run as root on a fresh Debian 12 machine.
.DEFAULT_GOAL := help
.PHONY: help demo vagrant-demo test test-targets test-vm test-unit test-pyinfra soak lint target box \
	bench bench-light bench-growth bench-all clean venv

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
HOSTS ?= 20
ANSIBLE := .cache/ansible

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: venv ## make three Docker targets nodes, twice, and show what they look like then
	scripts/with-docker $(BIN)/python -m tests.targets.demo

vagrant-demo: venv ## the same on virtual machines of Debian 12 and 13, with a real reboot
	scripts/with-libvirt $(BIN)/python -m tests.vm.demo

# lint has one busy processor, and the building of boxes and the targets' tests wait now and then
test: venv ## all tests: lint, types, units, Docker targets, virtual machines
	$(MAKE) --jobs=3 lint test-targets box
	$(MAKE) test-vm
	$(MAKE) test-pyinfra

test-targets: venv ## the tests without virtual machines: units, and end to end on Docker targets
	@scripts/install-missing chromium=chromium
	@scripts/with-docker $(BIN)/python -m tests.targets test

test-vm: venv ## the tests on virtual machines: a real kernel, real reboots, power cuts
	scripts/with-libvirt sh -c '$(BIN)/python -m tests.vm build && \
	  $(BIN)/python -m tests.vm test'

test-unit: venv ## the tests that need no Docker, no virtual machines and no browser
	$(BIN)/python -m pytest -m "not targets and not vm and not browser"

test-pyinfra: venv ## the tests of what pyinfra does not promise, with its oldest and newest release
	scripts/test-pyinfra $(VENV)

# each loop goes on when another has failed; the figures are those of the loops that ended
soak: venv ## kill loop, race, power loss and mutated answers at full length; figures into docs
	rm -rf .cache/soak
	@scripts/with-docker sh -ec '\
	  export KUBENODE_SOAK=1; \
	  if $(BIN)/python -m pytest -m soak --capture=no --durations=0; then passed=0; else passed=$$?; fi; \
	  $(BIN)/python -m tests.soak; \
	  exit $$passed'

lint: venv ## ruff, mypy, the order of rooms and shellcheck
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/shellcheck $$(git ls-files '*.sh' ':!tests')
	$(BIN)/shellcheck --norc scripts/* .ci/run $$(git ls-files 'tests/*.sh')

bench: venv $(ANSIBLE)/ready ## measure beside plain pyinfra and Ansible, on HOSTS=20 systemd hosts
	scripts/with-docker $(BIN)/python -m benchmarks systemd --hosts $(HOSTS) \
	  --ansible $(ANSIBLE)/bin/ansible-playbook

bench-light: venv ## measure facts and audit on HOSTS=200 hosts with sshd alone
	scripts/with-docker $(BIN)/python -m benchmarks sshd --hosts $(HOSTS)

bench-growth: venv ## measure 20, 1000 and 10000 simulated hosts
	$(BIN)/python -m benchmarks growth

bench-all: venv $(ANSIBLE)/ready ## all that benchmarks/README.md has, some hours
	@scripts/with-docker sh -ec '\
	  for hosts in 1 10 20; do \
	    $(BIN)/python -m benchmarks systemd --hosts $$hosts \
	      --ansible $(ANSIBLE)/bin/ansible-playbook; \
	  done; \
	  for hosts in 10 50 200; do $(BIN)/python -m benchmarks sshd --hosts $$hosts; done; \
	  $(BIN)/python -m benchmarks growth; \
	  $(BIN)/python -m benchmarks show'

target: venv ## start the demo's targets and leave them running, to play with
	KUBENODE_KEEP_DOCKER=1 scripts/with-docker $(BIN)/python -m tests.targets up

box: venv ## build Vagrant boxes of Debian 12 and 13, and say how to use them
	scripts/with-libvirt $(BIN)/python -m tests.vm build

clean: ## remove targets and machines with their images and boxes, the environment and caches
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m tests.targets clean --images || true; fi
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m tests.vm clean || true; fi
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist *.egg-info

venv: $(READY)

# of its own: what Ansible needs is not what kubenode needs
$(ANSIBLE)/ready: benchmarks/ansible-constraints.txt
	$(PYTHON) -m venv $(ANSIBLE)
	$(ANSIBLE)/bin/python -m pip install --quiet --disable-pip-version-check \
	  --constraint benchmarks/ansible-constraints.txt ansible
	@touch $@

$(READY): pyproject.toml constraints.txt scripts/make-venv
	PYTHON=$(PYTHON) scripts/make-venv $(VENV)
	@touch $@
