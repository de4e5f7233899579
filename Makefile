# `make` lists the targets. Nothing here needs root, a service or a compiler.

VENV   := .venv
BIN    := $(VENV)/bin
# The first Python from 3.11 on; `make PYTHON=/path/to/python run` chooses another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
            $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
ARGS   ?=
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# The ready-made argon2 is for any x86-64. Where a compiler stands ready, the same locked release is built for what this processor
# can do, which more than halves the time of a password hash (decision 0003); where that fails, the ready-made one stays. The name
# of the stamp says for what it was built: an environment that finds itself on another processor gets another one.
ARGON2_CFLAGS := $(shell for f in avx512f avx2; do grep -qw $$f /proc/cpuinfo 2>/dev/null && echo -m$$f && break; done)
ARGON2 := $(VENV)/.argon2$(ARGON2_CFLAGS)

.DEFAULT_GOAL := help
.PHONY: help run test setup lint bench soak docs sdk messages interop lock clean

help:  ## list the targets
	@awk -F ':.*##' '/^[a-z]+:.*##/ {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(ARGON2)  ## install on first use, then serve http://localhost:8000 and the demo relying party
	@$(BIN)/idp init >/dev/null
	@exec $(BIN)/idp serve --demo $(ARGS)

test: $(VENV)/.installed-test  ## the whole suite (ARGS="-k pkce" and so on are passed to pytest)
	@$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

setup: $(VENV)/.installed-test  ## install everything that tests and linters need, start nothing

lint: $(VENV)/.installed-test  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd sdk/python && $(CURDIR)/$(BIN)/mypy

bench: $(VENV)/.installed-test  ## throughput and latency beside other servers, as ratios of one run
	$(BIN)/python -m bench $(ARGS)

soak: $(VENV)/.installed-test  ## five minutes of load with workers killed at random, an audit of the database, then ten of fuzzing
	$(BIN)/python -m pytest tests/soak -m soak -s $(ARGS)
	IDP_TEST_FUZZ_EXAMPLES=150 $(BIN)/python -m pytest tests/api/test_fuzzed.py $(ARGS)

docs: $(VENV)/.installed-test  ## write docs/settings.md and docs/specs.md anew
	$(BIN)/python docs/generate_settings.py
	$(BIN)/python docs/generate_specs.py

sdk: $(VENV)/.installed-test  ## write the SDKs' types and methods anew from the documents of the services
	$(BIN)/python sdk/generate.py

messages: $(VENV)/.installed-test  ## collect the sentences of pages and mails and update every catalogue
	$(BIN)/python docs/generate_messages.py

interop: $(VENV)/.installed-test  ## run relying parties of others against the product and write docs/interop.md anew
	rm -rf var/interop
	IDP_TEST_INTEROP_RECORDS=$(CURDIR)/var/interop $(BIN)/python -m pytest -n 2 tests/interop --ignore=tests/interop/test_matrix.py
	$(BIN)/python docs/generate_interop.py var/interop

lock: $(VENV)/.installed-test  ## resolve the dependencies of setup.cfg anew into the two lock files
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	    --custom-compile-command 'make lock' --extra build --output-file requirements.lock setup.cfg
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	    --custom-compile-command 'make lock' --extra build --extra test --extra lint --constraints requirements.lock \
	    --output-file requirements-test.lock setup.cfg

clean:  ## remove the environment, the data in var/ and what tools left behind
	rm -rf $(VENV) var build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf sdk/typescript/dist sdk/typescript/node_modules sdk/python/build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or run make PYTHON=/path/to/python." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "$(PYTHON) cannot make a virtual environment: install the module for it (Debian: python3-venv)." >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(ARGON2): $(VENV)/.installed
	@awk '/^argon2-cffi-bindings==/ {found = 1} found {print} found && !/\\$$/ {exit}' requirements.lock > $(VENV)/argon2.txt
	@if ls $(VENV)/.argon2* >/dev/null 2>&1; then \
	  $(PIP) --require-hashes --no-deps --force-reinstall -r $(VENV)/argon2.txt && rm -f $(VENV)/.argon2*; \
	fi
	@if [ -n "$(ARGON2_CFLAGS)" ] && command -v cc >/dev/null && command -v cmake >/dev/null; then \
	  CFLAGS="-O3 $(ARGON2_CFLAGS)" $(PIP) --require-hashes --no-deps --no-build-isolation --no-cache-dir --force-reinstall \
	    --no-binary argon2-cffi-bindings -r $(VENV)/argon2.txt >/dev/null 2>&1 \
	  && echo "Built argon2 for this processor ($(ARGON2_CFLAGS))." || echo "argon2 stays as it came: it could not be built here."; \
	fi
	@touch $@

# Only what is locked, checked against its hash. setup.cfg is a prerequisite because it names the packages.
$(VENV)/.installed: $(VENV)/.made requirements.lock setup.cfg
	@echo "Installing the locked dependencies (about ten seconds) ..."
	@$(PIP) --require-hashes -r requirements.lock
	@PYTHONWARNINGS=ignore $(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-test: $(ARGON2) requirements-test.lock
	@echo "Installing what the tests need ..."
	@$(PIP) --require-hashes -r requirements-test.lock
	@touch $@
