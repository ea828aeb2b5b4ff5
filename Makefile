# The commands of the project; each does its own set-up. PYTHON=... names the Python to use.
.DELETE_ON_ERROR:
.PHONY: demo test search bench conformance lint lock browser-tools

VENV := .venv
BIN := $(VENV)/bin

demo: .venv
	$(BIN)/wijkstroom demo $(DEMO)

# On two processes: much of the time a test waits for a process or a socket.
test: .venv browser-tools lint
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

# Other examples each time, for the properties that hold whatever is given.
search: .venv
	$(BIN)/python -m pytest tests/property --hypothesis-profile=default

bench: .venv
	$(BIN)/python -m tests.benchmarks

# Two programs of others judge the OCPP endpoint; needs Node.js 20 or newer.
conformance: .venv
	npm ci --prefix tests/conformance/tools --ignore-scripts --no-audit --no-fund --loglevel=error
	$(BIN)/python -m tests.conformance

lint: .venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# What the tests need and Python's packages cannot bring: a real MQTT broker and a real browser.
browser-tools:
	@sh deploy/tools/install_test_tools.sh

# One virtual environment from the lock file; the stamp makes it again when the lock changed.
.venv: $(VENV)/.from-lock

$(VENV)/.from-lock: requirements.lock pyproject.toml deploy/tools/find_python.sh
	@python=$$(sh deploy/tools/find_python.sh) || exit 1; \
	echo "Setting up $(VENV) with $$python (once; some minutes)"; \
	"$$python" -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --only-binary :all: -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/python -c "from controller.dispatch.solve import load; load()"
	@touch $@

# Makes requirements.lock anew from pyproject.toml: hashes for every platform, no index addresses.
lock: .venv
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --group dev --python-version 3.12 --universal \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-header --upgrade --output-file requirements.lock
