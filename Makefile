# `make figure` and `make test` do all set-up themselves, in virtual environments of this folder.
PYTHON ?= python3
VENV := .venv
OLDEST := .venv-oldest
BIN := $(VENV)/bin

.PHONY: figure test test-slow browser lint types test-oldest fuzz wheel baseline docs docs-figures benchmark benchmark-quick mutants clean
.DELETE_ON_ERROR:

figure: $(VENV)/installed
	@mkdir -p figures
	$(BIN)/python -m mpl_skyheat -o figures/skyheat.png

test: $(VENV)/installed-test
	$(BIN)/python -m pytest --mpl -n auto -m "not slow"

# What takes long and seldom fails: the scripts of `examples`, and code that is compiled afresh.
test-slow: $(VENV)/installed-test
	$(BIN)/python -m pytest --mpl -n auto -m slow

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-dev
	$(BIN)/mypy

# (With a cache of its own: two numbas would overwrite each other's code.)
test-oldest: $(OLDEST)/installed
	NUMBA_CACHE_DIR=$(CURDIR)/$(OLDEST)/numba $(OLDEST)/bin/python -m pytest --mpl -n auto

# Tests of properties on other examples than those of every run, and N random calls: as many more
# with `make fuzz N=10000 SEED=3`. A failure prints how to make its call again.
N ?= 300
SEED ?= 20
fuzz: $(VENV)/installed-test
	HYPOTHESIS_PROFILE=fuzzing $(BIN)/python -m pytest -m hypothesis -n auto
	FUZZ_CALLS=$(N) FUZZ_SEED=$(SEED) $(BIN)/python -m pytest -q -n auto tests/fuzz/test_calls.py

# Plant faults in copies of the package: a named test must find each.
mutants: $(VENV)/installed-test
	$(BIN)/python tools/mutants.py

# Build the sdist and the wheel, and draw with the wheel in a fresh environment. DIST=dist keeps them.
wheel: $(VENV)/installed-release
	$(BIN)/python tools/check_wheel.py $(if $(DIST),--keep '$(DIST)')

# Draw the reference images anew. Open every old and new one before committing them.
baseline: $(VENV)/installed-test
	$(BIN)/python -m pytest tests/test_images.py -W ignore --mpl-generate-path=baseline_images

# The site, with its gallery, in docs/_build/html. It needs no network; warnings are errors.
docs: $(VENV)/installed-docs
	MPLBACKEND=agg $(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "the site is in docs/_build/html/index.html"

# The figures of the README and of the site's pages.
docs-figures: $(VENV)/installed-test
	$(BIN)/python -m mpl_skyheat -o docs/figures/skyheat.png
	$(BIN)/python examples/field_survey.py docs/figures/field_survey.png
	$(BIN)/python examples/every_axes.py docs/figures/every_axes.png
	$(BIN)/python examples/beside_the_peers.py docs/figures/beside_the_peers.png
	$(BIN)/python tools/tutorial_figures.py

# Live maps in a real browser. Installs Debian's chromium, if there is none (as root).
browser: $(VENV)/installed-test
	test -x /usr/bin/chromium || apt-get install -y chromium
	$(BIN)/python -m pip install --quiet -e '.[test-browser]'
	$(BIN)/python -m pytest -ra tests/browser

# The numbers of the README and of the site; CATALOGUE is a table of stars for the figure beside STILTS.
benchmark: $(VENV)/installed-test
	$(BIN)/python benchmarks/recipe.py --write
	$(BIN)/python benchmarks/statistics_of_maps.py --write
	$(BIN)/python benchmarks/live.py --write
	$(BIN)/python benchmarks/past_memory.py --write
	$(BIN)/python benchmarks/large.py --write $(if $(CATALOGUE),--catalogue '$(CATALOGUE)')

# That the benchmarks run, and that their answers are right.
benchmark-quick: $(VENV)/installed-test
	$(BIN)/python benchmarks/recipe.py --quick
	$(BIN)/python benchmarks/statistics_of_maps.py --quick
	$(BIN)/python benchmarks/live.py --quick
	$(BIN)/python benchmarks/past_memory.py --quick
	$(BIN)/python benchmarks/large.py --quick

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mpl_skyheat needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e .
	@touch $@

$(VENV)/installed-test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[test,test-peers,test-axes]'
	@touch $@ $(VENV)/installed

$(VENV)/installed-docs: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[docs]'
	@touch $@ $(VENV)/installed

$(VENV)/installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	@touch $@ $(VENV)/installed

$(VENV)/installed-release: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[release]'
	@touch $@ $(VENV)/installed

# The floors of pyproject.toml.
$(OLDEST)/installed: pyproject.toml tools/oldest.py
	$(PYTHON) -m venv --clear $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --upgrade pip
	$(OLDEST)/bin/python tools/oldest.py > $(OLDEST)/constraints.txt
	$(OLDEST)/bin/python -m pip install --quiet -e '.[test]' -c $(OLDEST)/constraints.txt
	@touch $@

clean:
	rm -rf $(VENV) $(OLDEST) figures docs/_build docs/api docs/auto_gallery
