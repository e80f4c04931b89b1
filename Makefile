# Everything goes through one virtual environment, .venv, made on first use and updated when the requirements change.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
REQUIREMENTS := settings.ini setup.py constraints.txt
# The versions that the tests last ran with; make LATEST=1 takes the newest instead.
INSTALL = $(BIN)/pip install --quiet --quiet --disable-pip-version-check $(if $(LATEST),,--constraint constraints.txt)

.DEFAULT_GOAL := help
.PHONY: help install install-dev demo explore test test-slow test-browser findings step docs clean

help:  ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(f"viewneti needs Python 3.10 or newer; $(PYTHON) is {v[0]}.{v[1]}. Use make PYTHON=...") if v < (3, 10) else 0'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(REQUIREMENTS) | $(BIN)/python
	@echo "Installing viewneti and its libraries: a few minutes the first time"
	$(INSTALL) --editable .
	@touch $@

$(VENV)/.installed-dev: $(REQUIREMENTS) | $(BIN)/python
	@echo "Installing viewneti, its libraries and the tools for working on it: a few minutes the first time"
	$(INSTALL) --editable '.[dev]'
	@touch $@ $(VENV)/.installed $(VENV)/.installed-notebooks

$(VENV)/.installed-notebooks: $(REQUIREMENTS) | $(BIN)/python
	@echo "Installing viewneti, its libraries and Jupyter: a few minutes the first time"
	$(INSTALL) --editable '.[notebooks]'
	@touch $@ $(VENV)/.installed

install: $(VENV)/.installed  ## The environment for using viewneti
install-dev: $(VENV)/.installed-dev  ## The environment for working on viewneti

demo: install  ## Learn the view tokens of one scene of the embedded world; results in runs/demo
	$(BIN)/viewneti demo

explore: $(VENV)/.installed-notebooks  ## Turn a camera around an object in the browser; stop with Ctrl-C
	$(BIN)/viewneti explore

test: install-dev  ## Every test: the notebooks and tests/
	$(BIN)/python tools/run_tests.py

test-slow: install-dev  ## The same, with the cells marked slow and the slow tests
	$(BIN)/python tools/run_tests.py --slow

test-browser: install-dev  ## The site and the explorer in a real browser (Chromium or Chrome)
	$(BIN)/python -m pytest -q tests/browser

findings: PAGE ?= one_scene
findings: install-dev  ## Execute a page of findings again, PAGE=one_scene; what is in runs/ is not learned again
	@test -f nbs/findings/$(PAGE).ipynb || { echo "PAGE: found '$(PAGE)', expected one of $(basename $(notdir $(wildcard nbs/findings/*.ipynb)))"; exit 2; }
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.timeout=-1 nbs/findings/$(PAGE).ipynb

step: install-dev  ## Bring notebooks, package and README in step: run before each commit
	$(BIN)/nbdev_clean
	$(BIN)/nbdev_export
	$(BIN)/python tools/ship.py
	$(BIN)/python tools/readme.py

docs: install-dev  ## The documentation site in _docs, its links checked
	$(BIN)/python tools/docs.py

clean:  ## Remove what can be made again, but not the environment and not runs/
	rm -rf _docs _proc build dist .pytest_cache
	find viewneti tools nbs tests -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
	find nbs -name .ipynb_checkpoints -prune -exec rm -rf {} +
