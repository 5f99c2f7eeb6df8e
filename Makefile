# make demo   set-up and the main job on embedded data, offline
# make test   set-up and the tests
# make check  set-up, lint, types and the tests

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

# Constrains the build's own environment too.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt

.PHONY: demo test check lint clean

demo: $(VENV)/installed-train
	rm -rf runs/demo
	$(BIN)/autodenoise train digits --out runs/demo
	$(BIN)/autodenoise evaluate runs/demo
	$(BIN)/python examples/noisy_digit.py runs/demo
	$(BIN)/autodenoise denoise runs/demo/noisy.png -o runs/demo/denoised.png --model runs/demo

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

check: lint test

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# One mark for each extra: the package is installed anew when what it needs changes.
$(VENV)/installed-%: pyproject.toml constraints.txt
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	touch $@

clean:
	rm -rf $(VENV) runs/demo
