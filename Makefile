# Every task of the project. `make chat` is the program, `make test` the proof, `make check` the loop of a change.

# Where it is set, every start compiles three hundred modules again, in `make env` and in every test.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
SECONDS := 60
N := 200
RUNS := 300
MINUTES := 20
SEED := 1
DIST := dist
PLATFORMS :=
WORKERS := 2
# Tests wait for clocks and for programs of their own: meanwhile a third process uses the core.
TESTERS := 3
PIP := $(BIN)/python -m pip --disable-pip-version-check
READY := $(VENV)/ready
LOCKS := requirements.lock requirements-dev.lock
OPTIONAL := requirements-nats.lock requirements-keyring.lock requirements-pictures.lock requirements-reader.lock requirements-peers.lock requirements-fuzz.lock
FAST := not (network or terminal or crash or slow)
FAST_TESTS := tests/architecture tests/unit/protocol tests/unit/service/test_states.py tests/integration/test_two_engines.py tests/unit/cli/test_program.py tests/unit/tui/test_languages.py

# From the first version of Python to the one that is too new, as pyproject.toml has them.
comma := ,
BOUNDS := $(shell sed -n 's/^requires-python = ">=\(3\.[0-9]*\),<\(3\.[0-9]*\)".*/\1 \2/p' pyproject.toml)
SUITS := import sys; sys.exit(not ($(subst .,$(comma),$(word 1,$(BOUNDS)))) <= sys.version_info[:2] < ($(subst .,$(comma),$(word 2,$(BOUNDS)))))
# The first Python that suits and really starts: a version manager's shim may be there and not start.
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c '$(SUITS)' 2>/dev/null && echo $$name && break; done)

.PHONY: help env chat demo man test check lint format messages measure mutate fuzz model sim crash soak soak-files soak-bot bench screenshots snapshots relay-cluster pythons platforms lock dist bundle deb try-bundle clean

help:
	@echo "make chat    open Parlour"
	@echo "make demo    try Parlour out, among sample people who answer"
	@echo "make test    run every test"
	@echo "make check   format, lint, types, layers and the fast tests, in under 45 seconds"
	@echo "make format  format the code and mend what the linter can"
	@echo "make messages  collect the texts for the translators, and compile what they wrote"
	@echo "make man     write a manual page for each command, in build/man"
	@echo "make measure  print the figures of the source: sizes, wiring, inheritance, names, one text's way"
	@echo "make fuzz    feed every decoder what nobody thought of, for SECONDS=$(SECONDS) in all"
	@echo "make model   search the symbolic models of the protocol for attacks (needs maude)"
	@echo "make sim     RUNS=$(RUNS) seeded runs of whole engines under every fault, from SEED=$(SEED) on"
	@echo "make crash   kill real programs, and fail their calls, at every sync and N others per flow and fault"
	@echo "make soak    two real terminals talk for MINUTES=$(MINUTES), with cuts and kills (needs root)"
	@echo "make soak-files  a large file and many small ones, with cuts, kills and a full disk (needs root)"
	@echo "make soak-bot  a bot answers 5,000 commands and is killed 50 times, with its engine or alone (needs root)"
	@echo "make pythons    the tests but the slow ones on each Python here that suits (NEWEST=1: few, on the newest)"
	@echo "make platforms  the tests that need only Python, as if this were macOS and Windows"
	@echo "make mutate  change one place of the code N times, and see which changes no test notices"
	@echo "make bench   measure Parlour, bare libsodium and other implementations, and write docs/performance.md"
	@echo "make screenshots  pictures of every screen of the real program, in build/screenshots"
	@echo "make snapshots    store how every screen looks now, for the tests to compare"
	@echo "make relay-cluster  three relays and three NATS nodes on this machine, to try, until Ctrl-C"
	@echo "make dist    source archive and wheel, the same bytes at every build, and what is in them, in $(DIST)"
	@echo "make bundle  one file that runs without installation or internet on PLATFORMS (Linux, macOS, Windows)"
	@echo "make deb     a Debian package with every library in it (needs dpkg)"
	@echo "make try-bundle  new users start the bundle on hosts that have nothing, and talk (needs root)"
	@echo "make env     only make the environment in $(VENV)"
	@echo "make lock    resolve the dependencies anew"

env: $(READY)

chat: env
	@$(BIN)/parlour

demo: env
	@$(BIN)/parlour demo

test: env
	@$(BIN)/python -m pytest --numprocesses $(TESTERS) --dist loadscope

check: lint
	@$(BIN)/python -m pytest -q --numprocesses $(WORKERS) --dist worksteal -m "$(FAST)" $(FAST_TESTS)
	@$(BIN)/python -m tests.architecture.measure --over

lint: env
	@$(BIN)/ruff format --check --quiet . || { echo "make format mends this" >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy

format: env
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format .

man: env
	@$(BIN)/python -m chat.cli.manual build/man

messages: env
	@$(BIN)/python -m tests.support.catalogue

measure: env
	@$(BIN)/python -m tests.architecture.measure

pythons: env
	@$(BIN)/python -m tests.support.pythons --workers $(WORKERS) $(if $(NEWEST),--newest)

platforms: env
	@$(BIN)/python -m tests.support.platforms.run

mutate: env
	@$(BIN)/python -m tests.mutation.run --number $(N) --seed $(SEED) --workers $(WORKERS)

fuzz: env
	@$(BIN)/python -m tests.fuzz.run $(SECONDS)

model: env
	@$(BIN)/python -m tests.model.run

sim: env
	@$(BIN)/python -m tests.sim.run --runs $(RUNS) --seed $(SEED) --workers $(WORKERS)

crash: N = 4
crash: env
	@$(BIN)/python -m tests.crash.run --seed $(SEED) --number $(N) --workers $(WORKERS) --plants

soak: env
	@$(BIN)/python -m tests.soak.run --minutes $(MINUTES)

soak-files: env
	@$(BIN)/python -m tests.soak.files --seed $(SEED)

soak-bot: env
	@$(BIN)/python -m tests.soak.bot --seed $(SEED)

bench: env
	@$(BIN)/parlour bench --peers --json | $(BIN)/python -m chat.tools.bench.report

screenshots: env
	@$(BIN)/python -m tests.support.screens.real build/screenshots

snapshots: env
	@PARLOUR_WRITE_SNAPSHOTS=1 $(BIN)/python -m pytest -q tests/unit/tui/test_snapshots.py

relay-cluster: env
	@exec $(BIN)/python -m tests.support.relay.processes

# The build backend comes from the lock as well: without isolation nothing else is fetched.
$(READY): pyproject.toml $(LOCKS) $(OPTIONAL)
	@$(or $(PYTHON),false) -c '$(SUITS)' 2>/dev/null \
		|| { echo "Parlour needs a Python from $(word 1,$(BOUNDS)) on and before $(word 2,$(BOUNDS)); $(if $(PYTHON),$(PYTHON) is another,none was found) (make PYTHON=/path/to/python3)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "$(PYTHON) cannot make environments: install its venv module (Debian, Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	@echo "Making the environment in $(VENV) with $$($(PYTHON) --version); this takes a minute, once."
	@$(PIP) --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --quiet --require-hashes $(LOCKS:%=--requirement %)
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q chat tui protocol seeds
	@$(MAKE) --no-print-directory $(OPTIONAL:%=optional-%)
	@touch $@

# NATS is for relays that share their work, keyring for `parlour keyring`, Pillow for pictures in the history, apsw-sqlite3mc for a second look at databases. Not every peer, nor the fuzzer, has a wheel
# for every Python and machine. What does not install is left out.
.PHONY: $(OPTIONAL:%=optional-%)
$(OPTIONAL:%=optional-%): optional-%:
	@$(PIP) install --quiet --only-binary :all: --require-hashes --requirement $* 2>/dev/null \
		|| { parts=$$(mktemp -d) && awk '/^[a-z]/ { n++ } n { print > ("'$$parts'/" n) }' $* \
		&& for part in $$parts/*; do \
			$(PIP) install --quiet --no-deps --only-binary :all: --require-hashes --requirement $$part 2>/dev/null \
				|| echo "Left out, for a cluster of relays, the keyring, pictures, the second reader, comparisons and fuzzing only: $$(sed -n '1s/ .*//p' $$part) does not install here."; \
		done; rm -r $$parts; }

# uv's own lock names the registry, so only its export in requirements form stays.
EXPORT := $(BIN)/uv export --quiet --no-emit-project --format requirements-txt
lock: env
	@$(PIP) install --quiet --require-hashes --requirement requirements-uv.lock
	@$(BIN)/uv lock --quiet --upgrade
	@$(EXPORT) --no-default-groups --output-file requirements.lock
	@$(EXPORT) --only-group dev --output-file requirements-dev.lock
	@$(EXPORT) --only-group nats --output-file requirements-nats.lock
	@$(EXPORT) --only-group keyring --output-file requirements-keyring.lock
	@$(EXPORT) --only-group pictures --output-file requirements-pictures.lock
	@$(EXPORT) --only-group reader --output-file requirements-reader.lock
	@$(EXPORT) --only-group peers --output-file requirements-peers.lock
	@$(EXPORT) --only-group fuzz --output-file requirements-fuzz.lock
	@$(EXPORT) --only-group uv --output-file requirements-uv.lock
	@rm uv.lock

# Nothing here but `make bundle` needs the network; pip keeps the wheels of the last one.
dist: env
	@$(BIN)/python -m release.sources $(DIST)
	@$(BIN)/python -m release.sbom $(DIST)
	@$(BIN)/python -m release.sums $(DIST)

bundle: env
	@$(BIN)/python -m release.bundle $(DIST) $(PLATFORMS)
	@$(BIN)/python -m release.sbom $(DIST)
	@$(BIN)/python -m release.sums $(DIST)

$(DIST)/parlour.pyz: | env
	@$(MAKE) --no-print-directory bundle

deb: $(DIST)/parlour.pyz
	@$(BIN)/python -m release.deb $(DIST)/parlour.pyz $(DIST)
	@$(BIN)/python -m release.sums $(DIST)

try-bundle: $(DIST)/parlour.pyz
	@$(BIN)/python -m tests.soak.bundle $(DIST)/parlour.pyz

clean:
	@rm -rf $(VENV) tests/interop/node_modules build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage htmlcov .fuzz
