# Every target needs a Debian 12 or 13 machine, and brings what it misses by itself.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules --warn-undefined-variables
.DEFAULT_GOAL := help

# Ansible, Molecule and ansible-lint start one another by name.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYTHONUNBUFFERED := 1

# Folders of tests, cheap ones first; what is not written yet is left out.
fast_tests := $(wildcard tests/unit tests/stacks tests/repository)
all_tests := $(fast_tests) $(wildcard tests/roles tests/scenarios tests/end_to_end)
# Roles that stand alone, and the three of them that `make test` takes.
roles := $(patsubst roles/%/molecule/default/molecule.yml,%,$(wildcard roles/*/molecule/default/molecule.yml))
roles_of_test := $(filter name_service time_service firewall,$(roles))
# Which tests by their marks; all of them where it is empty.
marks :=

.PHONY: help environment install lab verify destroy check check_format check_lint check_types \
	check_yaml check_roles check_tests check_scenarios check_everything test test_full test_roles \
	benchmark lock clean

help: ## 0 | Print this help
	@awk 'BEGIN {FS = " ## | \\| "} \
	  /^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z_]+:.* ## / {split($$1, name, ":"); printf "  make %-12s %10s min  %s\n", name[1], $$2, $$3}' \
	  $(firstword $(MAKEFILE_LIST))
	@printf '\nMinutes on 2 cores; in brackets the first time on a bare machine.\n'

##@ Build a province on this machine (root)
lab: install ## 15 (30) | Create, configure and verify the lab province, and report
	@code=0; province provision lab || code=$$?; \
	[ $$code = 0 ] || [ $$code = 3 ] || exit $$code; \
	province verify lab || code=$$?; \
	province report lab || code=$$?; \
	exit $$code

verify: install ## 2 | Ask the running lab again whether it meets the architecture
	province verify lab

destroy: environment ## 1 | Remove the lab and everything that it left on this machine
	province destroy lab --yes

##@ Test
check: environment ## 3 (5) | Format, lint, types, and the tests that need no machines
	@$(MAKE) --no-print-directory --keep-going --output-sync=target -j2 \
	  check_format check_lint check_types check_yaml check_roles check_tests

test: install ## 35 (50) | The lab from nothing to nothing, and everything below it (root)
	@$(MAKE) --no-print-directory check_everything roles='$(roles_of_test)' marks='not thorough'

test_full: install ## 90 | The same with every scenario, and what takes its time (root)
	@$(MAKE) --no-print-directory check_everything

test_roles: install ## 30 | Molecule over every role that stands alone, or roles='time_sync ...' (root)
	@$(MAKE) --no-print-directory check_scenarios

benchmark: install ## 10 | Measure time and memory of the plan, the preview and the lab (root)
	python tests/benchmarks/benchmark_preview.py

##@ Look after the checkout
install: environment ## 0 (8) | Packages, Python environment, Pulumi engine, step-ca
	@python -m infra.tools

environment: ## 0 (2) | Packages and the locked Python environment only
	@.ci/install

lock: environment ## 0 | Write requirements.lock anew from pyproject.toml, versions kept where they can be
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-header --quiet --output-file requirements.lock

clean: ## 0 | Remove what the checks and the environment left in this checkout
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .ansible
	find $(wildcard infra policies tests roles playbooks) -name __pycache__ -prune -exec rm -rf {} +

# The parts of `check` and `test`; each can be called alone in an installed checkout. Scenarios wait
# more than they compute, so the checks run beside them.
check_everything:
	@$(MAKE) --no-print-directory --keep-going --output-sync=target -j2 \
	  check_scenarios check_roles check_format check_lint check_types check_yaml
	@echo 'test: pytest -m "$(marks)" $(all_tests)'
	@pytest -m "$(marks)" $(all_tests)

check_format:
	ruff format --check .

check_lint:
	ruff check .

check_types:
	mypy

check_yaml:
	yamllint --strict .

# ansible.cfg refuses to run without an inventory, but roles are read here and run nowhere.
check_roles:
	ANSIBLE_INVENTORY_UNPARSED_FAILED=false ansible-lint --offline

check_tests:
	pytest --quiet -m "not engine" $(fast_tests)

check_scenarios:
	@failed=''; \
	for role in $(roles); do \
	  echo "molecule test: $$role"; \
	  (cd "roles/$$role" && molecule test) || failed="$$failed $$role"; \
	done; \
	[ -z "$$failed" ] || { echo "molecule test: failed:$$failed" >&2; exit 1; }
