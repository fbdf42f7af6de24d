# `make run` and `make test` need nothing but Python 3.11 or newer and make. Everything else goes into .venv, from the lock.

PYTHON ?= python3
# More than there are cores: many tests wait for a server, or for a limit to pass.
JOBS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 3)))
# An installation each, of processes that wait for one another most of the time.
E2E_JOBS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))
PYTEST_ARGS ?=
# Processes that share a card.
GPU_JOBS ?= $(shell echo $$(( ($$(getconf _NPROCESSORS_ONLN) + 1) / 2 )))
# NIST's own program, which is no part of this project; docs/credit.md says how it is built.
TOOL ?= ea_non_iid

VENV := .venv
OLDEST := .venv-oldest
BIN := $(VENV)/bin
# The installed package is the checkout itself; the stamps say for which files .venv was made.
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
# pip as its user configured it, but it speaks of errors only. The lock is complete, so nothing is resolved (--no-deps):
# only what it names is installed, and only with the hash that it names.
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
INSTALL := $(PIP) install --no-deps --require-hashes
# COVERAGE=1 keeps what a suite saw beside what the suites before it saw; COVERAGE=judge also fails under 90 % in all. To
# watch all processes makes `make test` half as slow again, or more, so .ci/run does without.
COVER_1 := --cov --cov-append --cov-report= --cov-fail-under=0
COVER_judge := --cov --cov-append --cov-report=term
COVER := $(COVER_$(COVERAGE))
PYTEST := $(BIN)/python -m pytest $(COVER)
ON_A_CARD := $(BIN)/python -m pytest -m gpu -o faulthandler_timeout=900 entropy_assets_tests/core/extraction/test_on_a_card.py
# What NIST's programs say of sequences that all have, and the speed of each standard's part.
STATISTICS := $(wildcard ../shared/data/statistics)
SP800 := $(patsubst benchmarks/%.py,%,$(wildcard benchmarks/sp800_22.py benchmarks/sp800_90b.py))
SEQUENCES ?= 4000
# The interpreter of an environment with the packages that benchmarks/peer_calls.py names, and the seconds of each.
PEERS_PYTHON ?= python3
PEERS_LIMIT ?= 900
# What an image installs, on Linux: a part of what is locked. Without numba, which is a third of one.
IMAGE_LOCK := $(BIN)/uv pip compile --quiet --upgrade --no-universal --python-platform linux --constraint requirements-deploy.lock
# Images of containers, and where those that are made here are named.
IMAGES ?= serve pipeline kubernetes
LOCAL := localhost/entropy-assets
# The reference images beside the checkout, if they are there.
REFERENCE := $(wildcard $(addprefix ../shared/data/,sample sample/shared_only bench hostile))

# Where tests of real processes stand: to import all others for them takes as long as some of them.
PROCESSES = $(shell grep -rlE 'mark\.(e2e|browser)' --include='test_*.py' entropy_assets_tests | sort)
# Bytecode is kept, whatever the shell says of it: else each of hundreds of processes compiles the project again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test quick e2e slow chaos distributed nightly bench serving instructions flame growth feedsday replay soak calibration image images credit nist rawnoise sp800 sp800peers sp800calibration sp800iid streamyear gpu oldest lint format types contracts validate check lock advisories clean

help: ## what there is
	@sed -n 's/^\([a-z0-9]*\):.*## /\1	/p' Makefile | expand -t 12

run: $(RUNTIME) ## embedded server, Dagster and the HTTP service on the bundled images; Ctrl-C stops them
	@exec $(BIN)/entropy-assets up --samples --camera

test: $(DEV) ## the test suite, on every core (all but the suites below)
	@$(BIN)/python -m entropy_assets_tests.compiled_loops
	@$(PYTEST) -n $(JOBS) --dist worksteal $(PYTEST_ARGS)

quick: $(DEV) ## the part of it that is about images, blocks and stores, in a minute
	@$(PYTEST) -n $(JOBS) --dist worksteal $(addprefix entropy_assets_tests/,core images stores) $(PYTEST_ARGS)

# In the order of names: those that leave refused batches behind come after those that look at the pages.
e2e: $(DEV) ## real processes, and a browser if there is chromium
	@$(PYTEST) -m "e2e or browser" -n $(E2E_JOBS) --dist loadfile --no-loadscope-reorder $(PROCESSES) $(PYTEST_ARGS)

slow: $(DEV) ## statistics over many blocks, kill -9 at many points
	@$(PYTEST) -m "slow and not e2e and not browser" -n $(JOBS) --dist worksteal $(PYTEST_ARGS)

# Not under coverage: what it is about is what happens at full speed.
chaos: $(DEV) ## faults on the whole service under load, every duplicate counted; CHAOS_REPORT=file writes the table
	@CHAOS_REPORT=$(CHAOS_REPORT) $(BIN)/python -m pytest -m chaos entropy_assets_tests/chaos $(PYTEST_ARGS)

distributed: $(DEV) ## machines of their own, PostgreSQL, an object store and Celery, each part killed once; as root
	@$(PYTEST) -m distributed -o faulthandler_timeout=1800 entropy_assets_tests/distributed $(PYTEST_ARGS)

# A part of the suite, chosen by PYTEST_ARGS, is not the table of all faults.
nightly: $(DEV) ## chaos with ten million draws: writes benchmarks/CHAOS.md in a quarter of an hour, if all passed
	@CHAOS_DRAWS=10000000 CHAOS_REPORT=$(or $(CHAOS_REPORT),$(if $(PYTEST_ARGS),,benchmarks/CHAOS.md)) $(BIN)/python -m pytest -m chaos -o faulthandler_timeout=3600 \
	  entropy_assets_tests/chaos $(PYTEST_ARGS)

bench: $(DEV) ## how fast it is here; a target that is missed is a word in a table
	@for one in extraction hashing validation gate streaming ledger; do echo "== $$one"; OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.$$one || exit 1; done

serving: $(DEV) ## how fast the service is beside the bare server: writes benchmarks/SERVING.md; needs wrk, and nginx for its row
	@$(BIN)/python -m benchmarks.serving

instructions: $(DEV) ## what an answer costs in instructions, part by part: its part of benchmarks/SERVING.md; needs valgrind
	@$(BIN)/python -m benchmarks.instructions

flame: $(DEV) ## where an answer's time goes, as a picture: writes docs/speed.svg; needs wrk
	@$(BIN)/python -m benchmarks.flame docs/speed.svg

growth: $(DEV) ## what grows with the batches, up to 10,000: writes benchmarks/GROWTH.md in some minutes
	@$(BIN)/python -W ignore -m benchmarks.growth > benchmarks/GROWTH.md.part
	@mv benchmarks/GROWTH.md.part benchmarks/GROWTH.md

feedsday: $(DEV) ## a day of six feeds with faults, from their servers to the pool's consumers: writes benchmarks/FEEDS_DAY.md
	@$(BIN)/python -W ignore -m benchmarks.feeds_day > benchmarks/FEEDS_DAY.md.part
	@mv benchmarks/FEEDS_DAY.md.part benchmarks/FEEDS_DAY.md

replay: $(DEV) ## is an exposure that was spent refused among a million, and at what cost: writes benchmarks/REPLAY.md
	@$(BIN)/python -W ignore -m benchmarks.replay > benchmarks/REPLAY.md.part
	@mv benchmarks/REPLAY.md.part benchmarks/REPLAY.md

soak: $(DEV) ## eight hours' worth of requests in 20 minutes: does the memory stay where it is? needs wrk
	@$(BIN)/python -m benchmarks.soak

calibration: $(DEV) ## size and power of the tests, by simulation: writes benchmarks/CALIBRATION.md in some minutes
	@$(BIN)/python -m benchmarks.calibration > benchmarks/CALIBRATION.md.part
	@mv benchmarks/CALIBRATION.md.part benchmarks/CALIBRATION.md

images: $(DEV) ## what each reference image is worth, else each bundled one: writes benchmarks/IMAGES.md
	@$(BIN)/python -m benchmarks.images $(REFERENCE) > benchmarks/IMAGES.md.part
	@mv benchmarks/IMAGES.md.part benchmarks/IMAGES.md

credit: $(DEV) ## what frames of known min-entropy are credited, against the truth: writes benchmarks/CREDIT.md in a minute
	@$(BIN)/python -m benchmarks.credit > benchmarks/CREDIT.md.part
	@mv benchmarks/CREDIT.md.part benchmarks/CREDIT.md

nist: $(DEV) ## what NIST's tool says of the samples: writes benchmarks/NIST_TOOL.md; TOOL=path/of/ea_non_iid
	@$(BIN)/python -m benchmarks.nist_tool $(TOOL) $(filter-out %/hostile,$(REFERENCE)) > benchmarks/NIST_TOOL.md.part
	@mv benchmarks/NIST_TOOL.md.part benchmarks/NIST_TOOL.md

rawnoise: $(DEV) ## what both standards say of raw noise, image by image: writes benchmarks/RAW_NOISE.md in a minute
	@$(BIN)/python -m benchmarks.raw_noise $(filter %/bench,$(REFERENCE)) entropy_assets/samples > benchmarks/RAW_NOISE.md.part
	@mv benchmarks/RAW_NOISE.md.part benchmarks/RAW_NOISE.md

sp800: $(DEV) ## SP 800-22 and SP 800-90B: every reference value, and the speed: writes benchmarks/SP800.md
	@{ echo "# SP 800-22 and SP 800-90B: values and speed"; echo; echo "Written by \`make sp800\`."; echo; \
	  if [ -n "$(STATISTICS)" ]; then $(BIN)/python -m benchmarks.sp800_22_values $(STATISTICS) || exit 1; echo; \
	    $(BIN)/python -m benchmarks.sp800_90b_values $(STATISTICS) || exit 1; fi; \
	  for one in $(SP800); do echo; echo "## Speed: $$one"; echo; $(BIN)/python -m benchmarks.$$one || exit 1; done; } > benchmarks/SP800.md.part
	@mv benchmarks/SP800.md.part benchmarks/SP800.md

sp800peers: $(DEV) ## other packages on the same files: writes benchmarks/SP800_PEERS.md; PEERS_PYTHON=an interpreter that has them
	@$(BIN)/python -m benchmarks.peers $(STATISTICS) --python $(PEERS_PYTHON) --limit $(PEERS_LIMIT) > benchmarks/SP800_PEERS.md.part
	@mv benchmarks/SP800_PEERS.md.part benchmarks/SP800_PEERS.md

sp800calibration: $(DEV) ## are the P-values of SP 800-22 uniform? writes benchmarks/SP800_CALIBRATION.md in 20 minutes
	@$(BIN)/python -m benchmarks.sp800_22_calibration --sequences $(SEQUENCES) > benchmarks/SP800_CALIBRATION.md.part
	@$(BIN)/python -m benchmarks.sp800_22_calibration --first $(SEQUENCES) --sequences $$((5 * $(SEQUENCES) / 2)) \
	  --tests longest_run,spectral,overlapping_template,linear_complexity >> benchmarks/SP800_CALIBRATION.md.part
	@mv benchmarks/SP800_CALIBRATION.md.part benchmarks/SP800_CALIBRATION.md

sp800iid: $(DEV) ## how often does the IID track reject what is IID? writes benchmarks/SP800_IID_CALIBRATION.md in half an hour
	@$(BIN)/python -m benchmarks.sp800_90b_iid_calibration > benchmarks/SP800_IID_CALIBRATION.md.part
	@mv benchmarks/SP800_IID_CALIBRATION.md.part benchmarks/SP800_IID_CALIBRATION.md

streamyear: $(DEV) ## how often does the nightly report alarm in a year? writes benchmarks/STREAM_YEAR.md in some minutes
	@$(BIN)/python -m benchmarks.stream_year > benchmarks/STREAM_YEAR.md.part
	@mv benchmarks/STREAM_YEAR.md.part benchmarks/STREAM_YEAR.md

image: $(DEV) ## the images of deploy/ with buildah, as root, and their tests; BASE=, SERVE_BASE= as deploy/image.sh has them
	@[ -n "$(BASE)" ] || sh deploy/base.sh
	@for one in $(IMAGES); do PYTHON=$(BIN)/python BASE=$(or $(BASE),$(LOCAL)-base) BUILD_BASE=$(or $(BASE),$(LOCAL)-build-base) \
	  SERVE_BASE=$(or $(SERVE_BASE),$(LOCAL)-serve-base) sh deploy/image.sh $$one || exit 1; done
	@$(BIN)/python -m pytest -m slow -o faulthandler_timeout=900 entropy_assets_tests/deploy/test_image.py $(PYTEST_ARGS)

# CuPy is in no lock, since few machines have a card: pip install -e '.[gpu]' into .venv. PYTEST_ARGS=-rs tells of what is skipped.
# The check at the start comes first and alone: it fills the folder for kernels, and where it fails the rest is for nothing.
# Then several processes share the card: of a small frame each takes as long to launch the kernels as to compute it in memory.
gpu: $(DEV) ## a card against NumPy, digest by digest, and its speed: writes benchmarks/GPU.md; GPU_FRAMES=random frames
	@$(ON_A_CARD) -k start_up $(or $(PYTEST_ARGS),-q -rs)
	@$(ON_A_CARD) -k "not start_up" -n $(GPU_JOBS) --dist worksteal $(or $(PYTEST_ARGS),-q -rs)
	@$(BIN)/python -m benchmarks.gpu > benchmarks/GPU.md.part
	@mv benchmarks/GPU.md.part benchmarks/GPU.md

oldest: $(OLDEST)/.made ## the same blocks on the oldest NumPy and SciPy that pyproject.toml allows
	@$(BIN)/python -m entropy_assets_tests.versions compare $(BIN)/python $(OLDEST)/bin/python

lint: $(DEV) ## style
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(DEV) ## makes the style so
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(DEV) ## mypy, strict on core, stores and serving
	@$(BIN)/mypy

contracts: $(DEV) ## who may import whom
	@$(BIN)/lint-imports

validate: $(DEV) ## Dagster loads what workspace.yaml names
	@PYTHONWARNINGS=ignore $(BIN)/dagster definitions validate --workspace workspace.yaml --log-level warning

check: ## all that must be green before a change lands
	@.ci/run

lock: $(DEV) ## newest versions that pyproject.toml allows, with hashes
	@$(BIN)/uv pip compile --quiet --upgrade --extra deploy --group build pyproject.toml --output-file requirements-deploy.lock
	@$(BIN)/uv pip compile --quiet --upgrade --extra all --group build --constraint requirements-deploy.lock pyproject.toml --output-file requirements.lock
	@$(BIN)/uv pip compile --quiet --upgrade --extra deploy --group dev --constraint requirements-deploy.lock pyproject.toml --output-file requirements-dev.lock
	@$(IMAGE_LOCK) --group build --output-file deploy/locks/build.lock
	@$(IMAGE_LOCK) $(addprefix --extra ,serve objects postgres) pyproject.toml --output-file deploy/locks/serve.lock
	@$(IMAGE_LOCK) $(addprefix --extra ,dagster feeds objects postgres raw serve) pyproject.toml deploy/locks/engines.in --output-file deploy/locks/pipeline.lock
	@$(IMAGE_LOCK) --extra deploy pyproject.toml $(addprefix --no-emit-package ,numba llvmlite) --output-file deploy/locks/kubernetes.lock

# Of its own environment, since it is no part of the lock. --strict: a version that no database knows is no good news.
advisories: $(DEV) ## known vulnerabilities of what is locked; asks a database on the network, and fails without an answer
	@$(BIN)/uv tool run --quiet pip-audit --strict --no-deps --disable-pip --progress-spinner off -r requirements-dev.lock

clean: ## everything that make made, the environment too; var/ stays, since it holds the ledger
	@rm -rf $(VENV) $(OLDEST) build dist *.egg-info htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed, but '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)." \
	       "Name another one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' can't make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
	  echo "making $(VENV) (a minute, once)"; $(PYTHON) -m venv --clear $(VENV); }
	@touch $@

$(RUNTIME): $(VENV)/.made requirements.lock setup.py pyproject.toml
	@$(INSTALL) -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): $(RUNTIME) requirements-dev.lock
	@$(INSTALL) -r requirements-dev.lock
	@touch $@

# The locked packages of .venv, under NumPy and SciPy of its own, which Python finds first.
$(OLDEST)/.made: $(DEV) pyproject.toml entropy_assets_tests/versions.py
	@$(BIN)/python -m venv --clear $(OLDEST)
	@pins=$$($(BIN)/python -m entropy_assets_tests.versions floors) && \
	  $(OLDEST)/bin/python -m pip -qq --disable-pip-version-check install --no-deps --only-binary :all: $$pins
	@packages='import sysconfig; print(sysconfig.get_path("purelib"))' && \
	  $(BIN)/python -c "$$packages" > "$$($(OLDEST)/bin/python -c "$$packages")/locked.pth"
	@$(OLDEST)/bin/python -m pip -q --disable-pip-version-check check
	@touch $@
