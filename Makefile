# Every target sets up what it needs in .venv, from pip alone.
PYTHON ?= python3.11
BIN := .venv/bin
STAMP := .venv/installed

.PHONY: demo run test check bench lock clean

demo: $(STAMP)        ## the whole pipeline on a sample site; no mail leaves
	$(BIN)/gazet demo gazet-demo

run: $(STAMP)         ## run the site in this folder, or in SITE=…
	$(BIN)/gazet run $(if $(SITE),--site $(SITE))

test: $(STAMP)        ## all tests; those that need chromium say so when it is missing
	$(BIN)/python -m pytest -n 2 $(ARGS)

check: $(STAMP)       ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)       ## figures, as ratios against named peers of the same run; for serving: wrk and nginx, for sending: postfix
	$(BIN)/python -m bench

lock:                 ## pin all dependencies anew, with hashes and without addresses
	$(BIN)/pip-compile -q --upgrade --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
	  --no-header --no-annotate --strip-extras --allow-unsafe --extra dev -o requirements.lock pyproject.toml

clean:
	rm -rf .venv gazet-demo dist

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(STAMP)
