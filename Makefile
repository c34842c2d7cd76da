# Everything runs in .venv, which the first target that needs it creates.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OLDEST := .venv-oldest
export TOKENIZERS_PARALLELISM := true
export HF_HUB_DISABLE_TELEMETRY := 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-oldest check docs bench clean

help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

demo: $(VENV)/installed ## train on the bundled messages and show predictions (under 5 minutes on 2 cores)
	$(BIN)/enct5 demo

# Neighbours stay on one worker, so that what a file's tests share is made once.
PYTEST := -m pytest -q -n 2 --dist worksteal
# The folders that start nothing slow, and of the others: the model held to T5's own and to the reference, losses, saving
# and loading, one run, predictions, mistakes of the command.
FAST := tests/data tests/files tests/metrics tests/tasks tests/text tests/tokenization \
	tests/model/test_modeling_enct5.py tests/model/test_losses.py tests/model/test_configuration_enct5.py \
	tests/model/test_other_labels.py tests/training/test_finish.py tests/inference/test_predictor.py tests/cli/test_mistakes.py

test: $(VENV)/installed ## run all tests
	OMP_NUM_THREADS=1 $(BIN)/python $(PYTEST)

test-fast: $(VENV)/installed ## run in a minute the tests that notice most
	OMP_NUM_THREADS=1 $(BIN)/python $(PYTEST) -m "not slow" $(FAST)

$(OLDEST)/installed: pyproject.toml scripts/lower_bounds.py
	$(PYTHON) -m venv $(OLDEST)
	$(PYTHON) scripts/lower_bounds.py > $(OLDEST)/constraints.txt
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check -c $(OLDEST)/constraints.txt -e ".[dev]"
	@touch $@

test-oldest: $(OLDEST)/installed $(VENV)/installed ## run all tests with the oldest dependencies that pyproject.toml allows
	OMP_NUM_THREADS=1 $(OLDEST)/bin/python $(PYTEST)

check: $(VENV)/installed ## lint, formatting, types and imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(VENV)/docs-installed: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	@touch $@

# Every warning is an error: a broken link, a public name without a docstring that can be read.
docs: $(VENV)/docs-installed ## build the docs site in build/docs
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -W --keep-going -q -b html -c docs . build/docs
	@echo "open build/docs/index.html"

bench: $(VENV)/installed ## measure quality on ../shared/data and write benchmarks/results
	$(BIN)/python benchmarks/out_of_scope.py
	$(BIN)/python benchmarks/quality.py
	$(BIN)/python benchmarks/fine_tuning.py
	$(BIN)/python benchmarks/initialisation.py
	$(BIN)/python benchmarks/many_labels.py
	$(BIN)/python benchmarks/inference.py --jobs 1
	$(BIN)/python benchmarks/bundled_speed.py --jobs 1
	$(BIN)/python benchmarks/long_texts.py --jobs 1
	$(BIN)/python benchmarks/several_tasks.py
	$(BIN)/python benchmarks/large_data.py
	$(BIN)/python benchmarks/serving.py --jobs 1
	$(BIN)/python benchmarks/quantisation.py
	$(BIN)/python benchmarks/training_speed.py
	$(BIN)/python benchmarks/explanations.py

clean: ## remove the virtual environment, the docs site and caches
	rm -rf $(VENV) $(OLDEST) build/docs .pytest_cache .mypy_cache .ruff_cache
