# The developer's targets, which .ci/run calls too. Each one first sets up .venv from uv.lock, with the uv on PATH, or else
# with one that it installs into .venv, at the version in uv.lock.

BIN := .venv/bin
READY := .venv/ready
PYTHON ?= python3
UV := $(shell command -v uv || echo $(BIN)/uv)
UV_VERSION := $(shell sed -n '/^name = "uv"$$/{n;s/version = "\(.*\)"/\1/p;}' uv.lock)

export MLFLOW_DISABLE_TELEMETRY := true
export UV_SYSTEM_CERTS ?= $(if $(wildcard /etc/ssl/certs/ca-certificates.crt),true,false)
export UV_PROJECT_ENVIRONMENT := .venv
unexport PYTHONDONTWRITEBYTECODE  # without bytecode, importing MLflow takes three times as long

.DEFAULT_GOAL := help
.PHONY: help install check test coverage test-slow test-torch test-long test-all bench run ui clean

help:  ## list these targets
	@sed -n 's/^\([a-z-]*\):.*  ## /make \1#/p' Makefile | while IFS='#' read -r verb says; do printf '%-16s %s\n' "$$verb" "$$says"; done

install: $(READY)  ## set up .venv from uv.lock (the other targets do so too)

$(READY): pyproject.toml uv.lock
	test -x "$(UV)" || { "$(PYTHON)" -m venv .venv && $(BIN)/python -m pip install --quiet "uv==$(UV_VERSION)"; }
	"$(UV)" sync --frozen
	echo "$(CURDIR)" >"$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/babysit.pth"
	printf '%s\n' '#!/bin/sh' 'exec "$$(dirname "$$(readlink -f "$$0")")/python" -P -m pipeline "$$@"' >$(BIN)/babysit
	chmod +x $(BIN)/babysit
	touch $@

run: $(READY)  ## run the default study through `mlflow run`; make run P="-e check -P seed=1"
	PATH="$(CURDIR)/$(BIN):$$PATH" mlflow run . --env-manager local $(P)

ui: $(READY)  ## open MLflow UI and Optuna Dashboard on the records, until Ctrl-C
	$(BIN)/python -m pipeline ui

test: $(READY)  ## run the tests that take seconds
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

coverage: $(READY)  ## the same, with their coverage; takes twice as long
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal --cov

test-slow: $(READY)  ## run the tests that take minutes, twenty in all
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m "slow and not long"

test-long: $(READY)  ## run the fuzzing and the soak that take an hour
	$(BIN)/python -m pytest -m long

# PyTorch is installed next to the environment, since only these tests may need it. PIP_FIND_LINKS may offer a wheel for
# processors only; PyPI's wheel brings two gigabytes of CUDA.
test-torch: $(READY)  ## compare layers, optimizers and schedules with PyTorch, installed into .venv/torch
	UV_FIND_LINKS="$$PIP_FIND_LINKS" "$(UV)" pip install --quiet --python .venv --target .venv/torch torch==2.13.0
	PYTHONPATH=.venv/torch $(BIN)/python -m pytest tests/nn/test_torch.py tests/nn/test_conv_torch.py tests/trials/test_torch_function.py

test-all: test test-slow test-torch test-long  ## run all of the tests

check: $(READY)  ## check style, formatting, types, and the dependencies for known vulnerabilities
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	@"$(UV)" audit --frozen --no-dev 2>.venv/audit.log || { test $$? -eq 1 || echo "audit: the database of vulnerabilities cannot be reached (.venv/audit.log)"; }

bench: $(READY)  ## measure the speed claims
	for name in training network recording diagnosis report overhead timeline; do echo "## $$name" && $(BIN)/python "benchmarks/$$name.py" || exit; done

clean:  ## remove .venv and caches; records stay
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
