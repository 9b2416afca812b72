# Two commands set everything up on a fresh machine with Python 3.11: `make demo` and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(abspath $(BIN)):$(PATH)
# Where an image sets it, every start would compile all it imports anew: two thirds of the time of a start.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-bucket test-qlora test-sampler test-gpu proofs snapshots up check fix e2e journeys pictures messages bench bench-agreement bench-io bench-queue bench-queue-growth bench-queue-harm bench-queue-peer bench-training clean

help: ## Show what each target does
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.ready ## Create .venv from the lock (torch: a local wheel, CUDA or CPU build)

$(VENV)/.ready: deploy/requirements/dev.lock deploy/setup.sh
	PYTHON=$(PYTHON) VENV=$(VENV) bash deploy/setup.sh
	@touch $@

demo: setup ## One lap of RLHF with real parts, then the site at http://127.0.0.1:8000 (DATA=folder: real judgments; ALSO="dpo grpo")
	python manage.py demo $(if $(DATA),--data $(DATA)) $(ALSO:%=--also %)

up: setup ## The site and its workers, embedded, under one supervisor
	python manage.py up

test: setup ## Unit and integration tests
	python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-bucket: setup ## Artifacts in a bucket of OpenStack Swift, which checks signatures (installs it into var/swift first)
	cmp -s deploy/requirements/swift.lock var/swift/installed.lock || ($(PYTHON) -m venv --clear var/swift && var/swift/bin/python -m pip install --quiet --no-deps --require-hashes -r deploy/requirements/swift.lock && cp deploy/requirements/swift.lock var/swift/installed.lock)
	CONCORD_TEST_SWIFT=var/swift/bin python -m pytest tests/bucket tests/integration/test_bucket.py tests/integration/test_checkpoints_in_bucket.py tests/integration/test_two_hosts.py

test-qlora: setup ## Training beside weights in 4 bits (installs bitsandbytes into var/qlora first)
	cmp -s deploy/requirements/qlora.lock var/qlora/installed.lock || (rm -rf var/qlora && python -m pip install --quiet --no-deps --require-hashes --target var/qlora -r deploy/requirements/qlora.lock && cp deploy/requirements/qlora.lock var/qlora/installed.lock)
	PYTHONPATH=var/qlora python -m pytest tests/qlora

test-sampler: setup ## PPO and GRPO on a real vLLM server, on the CPU (installs it into var/vllm first)
	cmp -s deploy/requirements/vllm.lock var/vllm/installed.lock || bash tests/sampler/install.sh var/vllm
	CONCORD_TEST_VLLM=var/vllm/bin/python python -m pytest tests/sampler

test-gpu: setup ## Training on a CUDA GPU: kernels, every algorithm, resumed runs
	python -m pytest tests/gpu

e2e: setup ## The whole loop and the three roles in a real browser
	python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/browser --ignore tests/browser/test_pictures.py
	python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -o faulthandler_timeout=1800 tests/e2e

proofs: setup ## Every algorithm killed (kill -9) and resumed bit for bit; a small model unfit as a judge
	python -m pytest -n 2 tests/proofs

journeys: setup ## Film a labeler's morning, an admin's and an engineer's into var/journeys
	RECORD=var/journeys python -m pytest tests/browser/test_journeys.py tests/browser/test_first_label.py tests/e2e/test_three_roles.py

pictures: setup ## Every state of the labeler's pages in both themes into var/pictures (DATA=folder: the data of `make demo`)
	PICTURES=var/pictures DATA=$(DATA) python -m pytest tests/browser/test_pictures.py

check: setup ## Lint, types, import contracts, migrations
	ruff format --check .
	ruff check .
	DATABASE_URL=postgres://unused@127.0.0.1:1/unused mypy annotation training workers deploy manage.py
	lint-imports --no-logo
	DATABASE_URL=postgres://unused@127.0.0.1:1/unused python manage.py makemigrations --check --dry-run

fix: setup ## Format and mend what can be mended
	ruff format .
	ruff check --fix .

snapshots: setup ## Freeze the public surfaces anew: OpenAPI, specs
	DATABASE_URL=postgres://unused@127.0.0.1:1/unused python -m tests.surfaces

messages: setup ## Collect the texts to translate and compile the catalogs (Debian: apt install gettext)
	python manage.py makemessages -l de --no-location --no-wrap -i tests -i var -i $(VENV)
	python manage.py makemessages -l de -d djangojs --no-location --no-wrap -i tests -i var -i $(VENV) -i vendor
	python manage.py compilemessages -i $(VENV)

bench: setup ## Ratios against peers, measured in one run
	python -m pytest tests/bench -s

bench-agreement: setup ## A million judgments beside krippendorff, evalica, statsmodels, scikit-learn; then the page
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m tests.bench.agreement
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m tests.bench.agreement_page

bench-queue: setup ## The labeling queue under load, beside Label Studio (docs/benchmarks.md)
	python -m tests.bench.queue

bench-queue-peer: setup ## The same beside Label Studio 1.23 in one run (installs it in var/bench/peer first)
	python -m tests.bench.queue --peer --labelers 1,8,64

bench-queue-growth: setup ## What a label costs among 1,000 and 1,000,000 comparisons, counted
	python -m tests.bench.queue --growth

bench-queue-harm: setup ## A minute of labeling while workers and connections are killed
	python -m tests.bench.queue --harm

bench-io: setup ## Imports and exports: time and memory, beside Label Studio (docs/benchmarks.md)
	python -m tests.bench.inout

bench-training: setup ## Trainers beside TRL 1.16 (PPO: 1.12) and `generate`: CPU, FLOPs, memory, equal losses
	python -m tests.bench.training

clean: ## Remove what was generated (the environment and var/)
	rm -rf $(VENV) var .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
