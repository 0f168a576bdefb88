# `make demo` and `make test` are all that a visitor needs; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# One more than there are cores: tests wait two fifths of their time.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
# Files in their own order: by default xdist runs those with the fewest tests last, and they are the longest.
BY_FILE := --dist loadfile --no-loadscope-reorder
# Bytecode is kept: each `usher` that a test starts would compile all of Usher again, a third of a second.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test lowest e2e bench check lint types imports format install notice reference texts dist audit screenshots clean

help: ## list these targets
	@sed -n 's/^\([a-z0-9]*\):[^#]*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r target text; do printf '  %-12s %s\n' "$$target" "$$text"; done

demo: install ## run everything on this machine with a simulated LiveKit: server, console, callers
	$(BIN)/usher demo $(ARGS)

test: install ## run all tests but e2e: unit, integration, contract, migration, acceptance, browser, architecture
	$(BIN)/pytest -n $(WORKERS) $(BY_FILE) --ignore tests/e2e --ignore tests/benchmark $(ARGS)

lowest: install ## run unit, integration, contract and migration tests with the lowest versions of dependencies that are allowed
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .cache/lowest/venv
	$(BIN)/uv pip compile --quiet --resolution lowest-direct --extra postgres --python $(BIN)/python --output-file .cache/lowest/constraints.txt pyproject.toml
	$(BIN)/uv pip install --quiet --python .cache/lowest/venv --constraints .cache/lowest/constraints.txt --editable '.[postgres,dev]'
	.cache/lowest/venv/bin/pytest -n $(WORKERS) $(BY_FILE) tests/unit tests/integration tests/contract tests/migration $(ARGS)

e2e: install ## run the main flows and the contract on the real livekit-server with real agents; builds it with Go
	USHER_CONTRACT=livekit-server $(BIN)/pytest -n 2 $(BY_FILE) tests/e2e tests/contract/livekit_behaviour $(ARGS)

bench: install ## print figures as ratios against a baseline in the same run; ARGS names some of them
	$(BIN)/python -m tests.benchmark $(ARGS)

check: lint types imports ## run what needs no tests: lint, types and imports

lint: install ## check rules and format with ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install ## check types with mypy, strictly, the tests included
	$(BIN)/mypy

imports: install ## check with import-linter that packages import in one direction
	$(BIN)/lint-imports

format: install ## format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

notice: install ## write the licences of third parties into app/NOTICE.md
	$(BIN)/python -m tests.architecture.third_parties

reference: install ## write the pages of app/docs/reference that are made of the code
	$(BIN)/python -m tests.architecture.documentation.reference_pages

texts: install ## list the texts of the console in messages.pot, and add new ones to each language
	$(BIN)/python -m tests.architecture.translations.extraction

dist: install ## build wheel and sdist into dist, with the list of all that the wheel needs (SBOM, CycloneDX)
	rm -rf dist
	$(BIN)/uv build --quiet --no-create-gitignore --out-dir dist
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .cache/dist/venv
	$(BIN)/uv pip install --quiet --python .cache/dist/venv "$$(ls dist/*.whl)[postgres]"
	$(BIN)/uv tool run --quiet --from cyclonedx-bom cyclonedx-py environment .cache/dist/venv --pyproject pyproject.toml --output-reproducible --output-file dist/livekit-usher.cdx.json

audit: dist ## look up the known vulnerabilities of all that the wheel needs
	$(BIN)/uv pip freeze --python .cache/dist/venv --exclude livekit-usher > .cache/dist/requirements.txt
	$(BIN)/uv tool run --quiet pip-audit --strict --no-deps --disable-pip --requirement .cache/dist/requirements.txt

screenshots: install ## take a picture of every console page into .cache/screenshots; ARGS=--readme: those of the README
	$(BIN)/python -m tests.browser.screenshots $(ARGS)

install: $(STAMP) ## make .venv with everything that the other targets need

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Usher needs Python 3.11 or later: make PYTHON=python3.12 install"; exit 2; }
	@echo "Making $(VENV) with everything that Usher and its tests need: one to three minutes."
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --editable '.[postgres,dev]'
	@touch $@
	@echo "Done. The program is $(BIN)/usher." 

clean: ## remove .venv and everything that tools have made
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
