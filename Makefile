# make demo   deblur the example photo with the weights in this repository
# make test   run the linters and the tests, in TEST_PROCESSES processes (default: 2), each with up to 2.5 GB of memory
# make train PRESET=one_step_lite FACES=crops/train [DEVELOPMENT=crops/development] [OUT=runs/one_step_lite] [FLAGS=...]
#             train a preset by its own recipe; FLAGS: additional flags of `python -m trainers`
# make results FACES=crops/development [OUT=docs/results.md] [FLAGS=...]
#             measure all trained presets and classical methods for OUT; measurements are kept in runs/results, so that
#             the same command resumes an interrupted run; FLAGS: additional flags of `deblur-zoo-eval`
# make web [PRESET=one_step_lite] [OUT=dist/web]
#             build the web app of examples/web for any web server; needs npm
# make docs   build the documentation site into site/; fails on a broken link
# Every target creates the virtual environment .venv first if needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TEST_PROCESSES ?= 2

.PHONY: demo test slow-test lint train results web docs clean

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 14), f"Python 3.11 to 3.13 is needed, this is {sys.version}"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[test]"
	touch $@

demo: $(VENV)/installed
	$(BIN)/python -m examples.demo

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/vulture

test: lint
	$(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile

slow-test: $(VENV)/installed
	$(BIN)/python -m pytest -m slow

# Checked before an environment is created.
ifneq ($(filter train,$(MAKECMDGOALS)),)
ifeq ($(and $(PRESET),$(FACES)),)
$(error PRESET and FACES must be given, as in: make train PRESET=one_step_lite FACES=crops/train)
endif
endif
ifneq ($(filter results,$(MAKECMDGOALS)),)
ifeq ($(FACES),)
$(error FACES must be given, as in: make results FACES=crops/development)
endif
endif

train: $(VENV)/installed
	$(BIN)/python -m trainers --preset "$(PRESET)" --faces "$(FACES)" --out "$(or $(OUT),runs/$(notdir $(PRESET:%/=%)))" \
		$(if $(DEVELOPMENT),--development "$(DEVELOPMENT)") $(FLAGS)

results: $(VENV)/installed
	$(BIN)/deblur-zoo-eval --preset all,unsharp_mask,wiener,richardson_lucy --protocol kernel_sizes,sharp_in,camera --speed \
		--second_pass --faces "$(FACES)" --out runs/results --document "$(or $(OUT),docs/results.md)" $(FLAGS)

web: $(VENV)/installed
	npm ci --prefix examples/web
	$(BIN)/python -m examples.web.build --preset "$(or $(PRESET),one_step_lite)" --out "$(or $(OUT),dist/web)"

$(VENV)/with-docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[docs]"
	touch $@

docs: $(VENV)/with-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

clean:
	rm -rf $(VENV) build dist site *.egg-info demo examples/web/node_modules
