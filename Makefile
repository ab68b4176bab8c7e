# make demo | test | check | audit | bench | benchall | clean
#
#   PYTHON=python3.12            which Python makes the environment (3.11 or newer)
#   TORCH=cpu                    PyTorch's CPU-only build, a tenth of the download (or cu126, cu130, ... for a CUDA version)
#   PIP_ARGS="..."               anything else pip should be told
#   JOBS=4                       processes that run the tests (each may load PyTorch: up to 3 GB)
#   BENCH="--only export"        what the scoreboard is told (make bench BENCH=--help)

PYTHON ?= python3
TORCH ?=
PIP_ARGS ?=
JOBS ?= 2
BENCH ?=

BIN := .venv/bin
STAMP := .venv/.installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test check audit bench benchall env clean

demo: env
	$(BIN)/goldsieve demo demo

test: env
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

check: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Known vulnerabilities of what is installed, as the package index tells them.
audit: env
	$(BIN)/pip-audit --local --progress-spinner off --desc off

bench: env
	$(BIN)/python -m benchmarks.scoreboard $(BENCH)

# Hours. A script that misses a target, or wants arguments, does not stop the others.
benchall: env
	@missed=; for script in $$(grep -l __main__ benchmarks/*.py | grep -v -e /train_ -e /scoreboard); do \
	    name=benchmarks.$$(basename $$script .py); echo "== $$name"; $(BIN)/python -m $$name || missed="$$missed $$name"; \
	done; echo "missed a target, or want arguments (--help tells which):$${missed:- none}"

env: $(STAMP)

# Torch first, so that what needs it later finds the chosen build and does not fetch the default one.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Goldsieve needs Python 3.11 or newer: make PYTHON=python3.12"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing into .venv (once; a few minutes, most of it PyTorch) ..."
ifneq ($(TORCH),)
	@$(PIP) $(PIP_ARGS) torch torchvision --index-url https://download.pytorch.org/whl/$(TORCH)
endif
	@$(PIP) $(PIP_ARGS) --editable '.[dev]'
	@touch $@

clean:
	rm -rf demo dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find manifests operators quality pipelines tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
