# Everything runs from a locked environment in .venv, which the first target that needs it makes.

UV_VERSION := 0.13.9
PYTHON := $(shell for p in python3.12 python3.13 python3.14 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && echo $$p && break; done)
UV := UV_PROJECT_ENVIRONMENT=.venv .venv/bin/uv
RUN := .venv/bin/python
JOBS ?= 2
PARALLEL := -n $(JOBS) --dist loadfile --no-loadscope-reorder  # a file's tests share what they make and compile

# Tests start many processes, and each would compile all of JAX's modules anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help quickstart test test-slow test-real test-processors test-optimised lint format benchmarks small-base pod lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 14

quickstart: .venv/run  ## install, train a HAT and a subword model on the standard library, compare them
	$(RUN) experiments/quickstart.py --out=runs/quickstart

test: .venv/test lint  ## install, check style and types, run the tests
	.venv/bin/pytest $(PARALLEL) --durations=15

test-slow: .venv/test  ## what takes long: training runs, more kinds of models and meshes, a 16 GB checkpoint
	.venv/bin/pytest -m slow --durations=15

# Checkpoints are held against transformers, too, where LEXITOK_TORCH_PYTHON names a Python that has it and torch.
test-real: .venv/real  ## all tests of tokenizers and checkpoints, with the real Gemma 3 270M
	.venv/bin/pytest -m '' tests/text tests/hub --durations=15

test-processors: .venv/test  ## the tests as processors with other instructions would run them
	for isa in SSE4_2 AVX AVX2 AVX512; do \
		XLA_FLAGS=--xla_cpu_max_isa=$$isa .venv/bin/pytest $(PARALLEL) || exit 1; done

test-optimised: .venv/test  ## models, losses, decoders and ops with XLA's optimisations, without which all other tests run
	LEXITOK_OPTIMISED=1 .venv/bin/pytest $(PARALLEL) tests/ops tests/nn tests/interfaces tests/models tests/distill tests/inference

lint: .venv/test  ## ruff and pyrefly
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/pyrefly check

format: .venv/test  ## let ruff mend what it can
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

benchmarks: .venv/run  ## speed of splitters, data pipeline, training step and decoding on this machine
	$(RUN) experiments/benchmarks/splitters.py
	$(RUN) experiments/benchmarks/pipeline.py
	$(RUN) experiments/benchmarks/train_step.py
	$(RUN) experiments/benchmarks/decode.py

small-base: .venv/run  ## train the small model that transfers are measured on
	$(RUN) experiments/train.py --config=configs/small_base.py --workdir=runs/small_base

pod: .venv/test  ## compile the training step of configs/hat_v2.py:pod for a TPU pod, without one
	$(RUN) tpu/compile.py --config=configs/hat_v2.py:pod --topology=v5e:4x4

lock: .venv/bin/uv  ## resolve the dependencies anew
	$(UV) lock --upgrade

clean:  ## remove the environment and caches, keep runs
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis

.venv/bin/uv:
	@test -n "$(PYTHON)" || { echo "lexitok needs Python 3.12 or newer; with pyenv: pyenv install 3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# A file a kind of environment; `test` has all of `run`.
.venv/run: .venv/bin/uv pyproject.toml uv.lock
	$(UV) sync --frozen --quiet --inexact
	@touch $@

.venv/test: .venv/bin/uv pyproject.toml uv.lock
	$(UV) sync --frozen --quiet --extra test
	@touch $@ .venv/run

.venv/real: .venv/test
	$(UV) sync --frozen --quiet --inexact --extra test --extra real
	@touch $@
