# Everything happens in .venv; nothing but Python (3.11 or newer) and make has to be there.

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
CODE := $(wildcard domain tasks web bench tests)
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11

# Hundreds of processes are started by the tests: our modules are compiled once, even where that is switched off.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help run test planted lint bench chaos generate secrets lock clean

help: ## shows this list
	@grep -hE '^[a-z.]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z.]+):.*## /make \1\t/' | expand -t 14

run: .venv/.ready ## sets up what is missing and runs the whole pizzeria; Ctrl-C ends it
	@exec $(BIN)/pizzeria up

test: .venv ## runs every test: most wait more than they work, so four files at a time; then what measures time
	@$(BIN)/python -m pytest -m 'not alone' --numprocesses 4 --dist loadfile --no-loadscope-reorder
	@$(BIN)/python -m pytest -m alone

planted: .venv ## plants bugs, one after the other, and demands that a test catches each; BUGS names some of them
	@$(BIN)/python -m tests.planted $(BUGS)

lint: .venv ## checks style, types, the arrows between packages, and dependencies
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports
	$(BIN)/deptry .

bench: .venv/.ready-bench ## compares speed with Celery by hand, Dramatiq, DBOS, Procrastinate and more; on a quiet machine
	@$(BIN)/python -m bench
	@$(BIN)/python -m bench.http

chaos: .venv ## places orders while everything breaks, and reports; ARGS='--seed 7 --seconds 600 --orders 3000 --faults 150'
	@$(BIN)/python -m tests.chaos $(ARGS)

generate: .venv/.ready ## writes docker-compose.yml and the contracts of the events anew
	@$(BIN)/pizzeria generate

# Only the owner enters the folder; the files are open, since containers read them as users of their own.
secrets: ## makes up the passwords that docker-compose.yml wants, in the folder secrets
	@test ! -e secrets || { echo 'There are secrets already: remove the folder to make new ones.' >&2; exit 2; }
	@mkdir -m 700 secrets && cd secrets && echo '*' > .gitignore && \
	for name in postgres_password redis_password staff_password flower_password secret_key; do \
	  od -An -N24 -tx1 /dev/urandom | tr -d ' \n' > $$name; done; \
	printf 'postgresql://pizzeria:%s@postgres/pizzeria' "$$(cat postgres_password)" > database_url; \
	printf 'redis://:%s@redis:6379/0' "$$(cat redis_password)" > broker_url; chmod 444 *; mkdir -m 755 more
	@echo 'The passwords are in secrets; the staff log in with that in secrets/staff_password.'

# A folder is no reliable stamp (its time changes with its contents), so files inside are.
.PHONY: .venv
.venv: .venv/.ready .venv/.ready-dev ## sets up .venv with everything, tests included

.venv/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo 'Python 3.11 or newer is needed, and "$(PYTHON)" is not: name one, as in make PYTHON=python3.12 $(or $(MAKECMDGOALS),run)' >&2; exit 2; }
	@echo 'Making .venv with $(PYTHON).'
	@$(PYTHON) -m venv --clear .venv || { echo 'This Python cannot make a .venv: install its venv package (python3-venv on Debian).' >&2; exit 2; }
	@touch $@

.venv/.ready: .venv/.python requirements.lock pyproject.toml
	@echo 'Installing what the pizzeria needs (requirements.lock); the first time takes a minute or two.'
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --no-deps --no-build-isolation --config-settings editable_mode=compat -e .
	@touch $@
	@echo 'The pizzeria is set up.'

.venv/.ready-dev: .venv/.ready requirements-dev.lock
	@echo 'Installing what its tests need (requirements-dev.lock).'
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

.venv/.ready-bench: .venv/.ready requirements-bench.lock
	@echo 'Installing what the bench compares with (requirements-bench.lock).'
	@$(INSTALL) --require-hashes -r requirements-bench.lock
	@touch $@

lock: .venv/.python ## writes the lock files anew from pyproject.toml
	@$(INSTALL) uv
	@echo 'Resolving what the pizzeria needs.'
	@$(COMPILE) --group build pyproject.toml -o requirements.lock
	@echo 'Resolving what its tests need.'
	@$(COMPILE) --extra targets --group dev pyproject.toml -c requirements.lock -o requirements-dev.lock
	@echo 'Resolving what some of its targets need.'
	@$(COMPILE) --extra targets pyproject.toml -c requirements.lock -c requirements-dev.lock -o requirements-targets.lock
	@echo 'Resolving what its bench compares with.'
	@$(COMPILE) --group bench pyproject.toml -c requirements.lock -c requirements-dev.lock -o requirements-bench.lock

clean: ## removes .venv and what tools left behind; the pizzeria's data in var stay
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build *.egg-info
	find domain tasks web bench tests -name __pycache__ -type d -prune -exec rm -rf {} +
