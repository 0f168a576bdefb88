# README's two commands are `make demo` and `make test`; everything else stands behind them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= auto

.PHONY: demo test e2e bench check format install screenshots clean

demo: install ## everything on this machine with a simulated LiveKit: server, console, callers
	$(BIN)/usher demo $(ARGS)

test: install ## unit, integration, contract, acceptance, migration and architecture tests
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --ignore tests/e2e --ignore tests/benchmark $(ARGS)

e2e: install ## the main job against the real livekit-server, a real livekit-agents worker and rtc clients
	USHER_CONTRACT=livekit-server $(BIN)/pytest tests/e2e tests/contract/livekit_behaviour -p no:xdist $(ARGS)

bench: install ## the figures of the README, as ratios against a baseline in the same run
	$(BIN)/python -m tests.benchmark $(ARGS)

check: install ## lint, format, types, import order
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

screenshots: install ## every console page in light and dark, wide and narrow, into .cache/screenshots; ARGS=--readme: the README's
	$(BIN)/python -m tests.browser.screenshots $(ARGS)

install: $(STAMP) ## the virtual environment with everything the other targets need

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Usher needs Python 3.11 or later: make PYTHON=python3.12 install"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[postgres,dev]'
	touch $@

clean:
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache *.egg-info
