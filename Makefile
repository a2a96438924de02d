# The one list of commands; CI runs exactly these.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# On a laptop one's own feeds are on the laptop; a setting in .env or the environment wins.
LOOPBACK := $(if $(shell grep -s '^LIFESTREAM_ALLOW_NETWORKS=' .env),,LIFESTREAM_ALLOW_NETWORKS=$${LIFESTREAM_ALLOW_NETWORKS-127.0.0.0/8,::1/128,localhost})

.PHONY: setup run demo test check format bench lock clean

setup: .venv/.ready ## the virtual environment; afterwards .venv/bin/lifestream works

run: setup ## serve this machine's stream on http://127.0.0.1:8000
	@$(LOOPBACK) $(BIN)/lifestream serve

demo: setup ## a throw-away stream with small publishers, moving within ten seconds
	@$(BIN)/lifestream demo

test: .venv/.dev ## the whole suite: unit, PostgreSQL, Redis, browser, on all processors
	$(BIN)/python -m pytest -n auto --dist worksteal

check: .venv/.dev ## formatter, linter, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.dev ## the benchmarks: a table, and bench/results.json
	$(BIN)/python -m bench

lock: .venv/.dev ## make both locks anew from pyproject.toml
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --group build pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --group build --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock

clean:
	rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "lifestream needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12 run" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || { echo "This Python lacks its venv module. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv .venv

.venv/.ready: requirements.lock pyproject.toml .venv/bin/python
	@echo "Setting up .venv (once) ..."
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: requirements-dev.lock .venv/.ready
	@echo "Setting up the tests' tools (once) ..."
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@
