# Everything runs in .venv, which the first target that needs it creates.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OLDEST := .venv-oldest
export TOKENIZERS_PARALLELISM := true
export HF_HUB_DISABLE_TELEMETRY := 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-oldest check bench clean

help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

demo: $(VENV)/installed ## train on the bundled messages and show predictions (under 5 minutes on 2 cores)
	$(BIN)/enct5 demo

test: $(VENV)/installed ## run all tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2

$(OLDEST)/installed: pyproject.toml scripts/lower_bounds.py
	$(PYTHON) -m venv $(OLDEST)
	$(PYTHON) scripts/lower_bounds.py > $(OLDEST)/constraints.txt
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check -c $(OLDEST)/constraints.txt -e ".[dev]"
	@touch $@

test-oldest: $(OLDEST)/installed $(VENV)/installed ## run all tests with the oldest dependencies that pyproject.toml allows
	OMP_NUM_THREADS=1 $(OLDEST)/bin/python -m pytest -q -n 2

check: $(VENV)/installed ## lint, formatting, types and imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/installed ## measure quality on ../shared/data and write benchmarks/results
	$(BIN)/python benchmarks/out_of_scope.py
	$(BIN)/python benchmarks/quality.py
	$(BIN)/python benchmarks/fine_tuning.py
	$(BIN)/python benchmarks/initialisation.py
	$(BIN)/python benchmarks/many_labels.py
	$(BIN)/python benchmarks/inference.py --jobs 1
	$(BIN)/python benchmarks/quantisation.py
	$(BIN)/python benchmarks/training_speed.py
	$(BIN)/python benchmarks/tokens.py
	$(BIN)/python benchmarks/explanations.py

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) $(OLDEST) .pytest_cache .mypy_cache .ruff_cache
