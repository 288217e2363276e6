# make demo   deblur the example photo with the weights in this repository
# make test   run the linter and the tests
# Both make a virtual environment in .venv first, if it is not there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test slow-test lint clean
export TF_CPP_MIN_LOG_LEVEL ?= 2

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; assert (3, 10) <= sys.version_info < (3, 14), f"Python 3.10 to 3.13 is needed, this is {sys.version}"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[test]"
	touch $@

demo: $(VENV)/installed
	$(BIN)/python -m examples.demo

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

test: lint
	$(BIN)/python -m pytest

slow-test: $(VENV)/installed
	$(BIN)/python -m pytest -m slow

clean:
	rm -rf $(VENV) build dist *.egg-info demo
