# make run    the main job in demo form: no hardware, no broker, no data needed; Ctrl-C ends it
# make test   lint, types and tests; `make check` is the same without the attempt to install Mosquitto
# make clean  away with the virtual environment and the caches
#
# All set-up happens in .venv, once, and again when pyproject.toml or constraints.txt changed. PYTHON=... chooses the
# interpreter (3.11 or later), WORKERS=... says how many processes share the tests (0: none but this one), ARGS=... goes to
# pytest. Plain PyPI ships torch with CUDA, some gigabytes:
# PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make run takes the CPU build.

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
FRESH := import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.12 python3.11 python3.13; do \
	$$p -c '$(FRESH)' 2>/dev/null && { echo $$p; break; }; done)
WORKERS ?= 2
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-virtualenv -c constraints.txt

.PHONY: run test check lint types tests mosquitto clean
.DEFAULT_GOAL := check

run: $(VENV)/.ready-to-run
	@$(BIN)/streamaffect run --demo || [ $$? -eq 130 ]

test: mosquitto check

check: lint types tests

lint: $(VENV)/.ready-to-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready-to-test
	$(BIN)/mypy

tests: $(VENV)/.ready-to-test types lint
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

$(BIN)/python:
	@[ -n "$(PYTHON)" ] || { echo "error: no Python 3.11 or later with venv here: install python3 and python3-venv," \
		"or say PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.ready-to-run: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing into $(VENV): once, some minutes"
	@$(INSTALL) -e '.[cpu,adapt]'
	@touch $@

$(VENV)/.ready-to-test: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing into $(VENV): once, some minutes"
	@$(INSTALL) -e '.[cpu,adapt,dev]'
	@touch $@ $(VENV)/.ready-to-run

# Where they may not be installed the tests that need them are skipped and say so, but under CI=true they fail.
mosquitto:
	@for program in mosquitto mosquitto_sub openssl; do command -v $$program >/dev/null || missing=1; done; \
	[ -z "$$missing" ] || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes \
		apt-get install -y -qq --no-install-recommends mosquitto mosquitto-clients openssl >/dev/null; } \
		|| echo "no Mosquitto here, and not installed: apt-get install mosquitto mosquitto-clients openssl" >&2

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
