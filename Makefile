# Yabam events. `make` alone lists what there is.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ANY_PYTHON = $(firstword $(wildcard $(BIN)/python) $(PYTHON))
PIP_INSTALL := install --quiet --disable-pip-version-check
UV_INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python
NODE_READY := node_modules/.package-lock.json
WORKERS ?= 6
# What the tests use beside Python and Java: a program and the Debian package that has it.
TOOLS := nginx:nginx-light promtool:prometheus curl:curl openssl:openssl mosquitto:mosquitto pgbouncer:pgbouncer pg_ctlcluster:postgresql node:nodejs npm:npm
# It is less than half as large as chromium, as it opens no window. The tests run with chromium, too.
BROWSER := chromium-headless-shell
# Tickets have Korean letters.
FONT := /usr/share/fonts/truetype/nanum/NanumGothicCoding.ttf
export PATH := $(PATH):/usr/sbin:/sbin
# Without compiled modules each process of ours takes seconds longer to start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup python node-packages tools-and-node-packages kafka-jars run kafka mqtt tools test test-browser test-fast pictures bench bench-quick bench-setup bench-sdk bench-sync bench-edits publish storm up down load-test chaos chaos-unprotected chaos-edits drills restore-drill upgrade-drill attack fuzz simulate \
	lint types format docs lists lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

setup: $(READY) ## Install everything into .venv

# The Python is that of .venv or, before there is one, the one that .venv will be made with.
python:
	@$(ANY_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 1; }

# pip gets uv, and uv the rest: the same files by the same hashes, in a fifth of pip's time. But pip has settings of its own for
# indexes, proxies and certificates, so where uv fails, pip tries.
$(READY): requirements.lock deploy/docker/build.lock pyproject.toml | python
	@echo "Installing the packages of requirements.lock into $(VENV): about ten seconds"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
		|| { echo "python3 -m venv failed; on Debian: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip $(PIP_INSTALL) --require-hashes -r <(awk '/^[^ ]/ { keep = /^uv==/ } keep' requirements.lock)
	@$(UV_INSTALL) --require-hashes -r deploy/docker/build.lock \
		&& $(UV_INSTALL) --require-hashes --no-build-isolation --compile-bytecode -r requirements.lock \
		|| { echo "uv could not install them; now pip tries to, which takes longer"; \
			$(BIN)/python -m pip $(PIP_INSTALL) --require-hashes -r deploy/docker/build.lock \
			&& $(BIN)/python -m pip $(PIP_INSTALL) --require-hashes --no-build-isolation -r requirements.lock; }
	@$(UV_INSTALL) --offline --no-deps --no-build-isolation -e .
	@touch $(READY)

node-packages: $(NODE_READY) ## Install what checks the browser's SDK and builds its examples (Node 20.19 or newer)

$(NODE_READY): package.json package-lock.json client_sdk/javascript/package.json
	@node -e 'const [a, b] = process.versions.node.split("."); process.exit(+(a < 20 || (a == 20 && b < 19)))' \
		|| { echo "Node 20.19 or newer is needed; this is $$(node --version)"; exit 1; }
	@echo "Installing the packages of package-lock.json into node_modules: a few seconds"
	@npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

run: $(READY) ## Start the whole system (KAFKA=host:port DATABASE=postgresql://… MQTT=host:port to use your own)
	@exec $(BIN)/python -m deploy.local $(if $(KAFKA),--kafka $(KAFKA)) $(if $(DATABASE),--database $(DATABASE)) $(if $(MQTT),--mqtt $(MQTT)) $(RUN_ARGS)

kafka: $(READY) ## Start a real Apache Kafka 4 on port 9092, without Docker
	@exec $(BIN)/python -m deploy.kafka $(KAFKA_ARGS)

mqtt: $(READY) ## Start a real Mosquitto on ports 1883 and 8883 (TLS), without Docker (MQTT_ARGS=…)
	@exec $(BIN)/python -m deploy.mqtt $(MQTT_ARGS)

tools: ## Install what the tests use beside Python and Java (Debian, as root): a browser, Node, nginx, promtool, Mosquitto, PgBouncer, PostgreSQL with TLS, a font
	@missing=""; for tool in $(TOOLS); do command -v $${tool%%:*} >/dev/null || missing="$$missing $${tool##*:}"; done; \
	test -e $(FONT) || missing="$$missing fonts-nanum"; \
	command -v $(BROWSER) >/dev/null || missing="$$missing $(BROWSER)"; \
	enough=""; test "$$missing" = " $(BROWSER)" && command -v chromium >/dev/null && enough=yes; \
	test -z "$$missing" && exit 0; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		test -n "$$enough" && exit 0; \
		echo "The tests use programs that are not here; on Debian, as root: apt-get install$$missing"; exit 1; fi; \
	echo "Installing$$missing, which the tests use"; \
	{ apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends $$missing >/dev/null; } || test -n "$$enough"

test: ## Run all tests (real Postgres, Apache Kafka, nginx and browser)
	@$(MAKE) --silent --jobs $(READY) tools-and-node-packages kafka-jars
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder $(TEST_ARGS)

# Node is one of the tools, so its packages come after them.
tools-and-node-packages: tools
	@$(MAKE) --silent $(NODE_READY)

# It uses no package, so it need not wait for .venv.
kafka-jars: | python
	@$(ANY_PYTHON) -m deploy.kafka --prepare

test-browser: $(READY) tools $(NODE_READY) ## Run the tests in a real browser only
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup tests/browser $(TEST_ARGS)

test-fast: $(READY) ## Run the tests of pure rules only
	@$(BIN)/python -m pytest -n $(WORKERS) tests/unit $(TEST_ARGS)

pictures: $(READY) ## Take the pictures in docs/images anew (PAGES="terminal sign-in table ops")
	@$(BIN)/python -m tests.browser.pictures $(PAGES)

bench: $(READY) ## Measure steps of orders, and compare a push with sse-starlette, Nchan, Durable Streams, Mercure, Centrifugo and C (BENCH_ARGS=…)
	@$(BIN)/python -m deploy.kafka --prepare
	@$(BIN)/python -m tests.bench.firehose
	@$(BIN)/python -m tests.bench.fanout $(BENCH_ARGS)
	@$(BIN)/python -m tests.bench.fanout.workers
	@$(BIN)/python -m tests.bench.fanout.many
	@$(BIN)/python -m tests.bench.fanout.slow
	@$(BIN)/python -m tests.bench.fanout.far --if-possible
	@$(BIN)/python -m tests.bench.idle
	@$(BIN)/python -m tests.bench.steps
	@$(BIN)/python -m tests.bench.fanout.report

bench-quick: $(READY) ## Show in two minutes whether an operation has become dearer (QUICK_ARGS=--keep)
	@$(BIN)/python -m deploy.kafka --prepare
	@$(BIN)/python -m tests.bench.quick $(QUICK_ARGS)

bench-setup: $(READY) ## Install what the benchmarks compare with (Debian, as root), and build the other servers (SOURCES=folder with their code)
	@apt-get install -y -qq nginx-light libnginx-mod-nchan gcc wrk postgresql-contrib
	@$(BIN)/python -m tests.bench.fanout.setup $(if $(SOURCES),--sources $(SOURCES))

bench-sync: $(READY) ## Compare Fetch Sync with SQLAlchemy, asyncpg and pgbench (BENCH_ARGS=…)
	@$(BIN)/python -m tests.bench.sync $(BENCH_ARGS)

bench-edits: $(READY) ## Compare edits of documents with plain SQLAlchemy (BENCH_ARGS=…)
	@$(BIN)/python -m tests.bench.edits $(BENCH_ARGS)

publish: $(READY) ## Write the figures of the benchmarks in build/ into docs/performance.md
	@$(BIN)/python -m tests.bench.sync.publish
	@$(BIN)/python -m tests.bench.fanout.report --write docs/performance.md

storm: $(READY) ## Let 5,000 clients sync at once, three times in a row (STORM_ARGS=…)
	@$(BIN)/python -m tests.bench.sync.storm $(STORM_ARGS)

up: $(READY) ## Start the whole system in Docker (PUBLIC=https://host the first time, PROFILE=secure)
	@$(BIN)/python -m deploy.docker.prepare $(if $(PUBLIC),--public $(PUBLIC))
	@docker compose -f deploy/compose.yaml $(if $(PROFILE),-f deploy/compose.$(PROFILE).yaml) up --detach --build --wait
	@. deploy/.env; echo "$$PUBLIC_URL/terminal  (a token: docker compose -f deploy/compose.yaml run --rm --no-deps core token --owner 1)"

down: ## Stop it; the volumes stay
	@docker compose -f deploy/compose.yaml down

load-test: $(READY) ## Load the whole system and prove nothing was lost (CLIENTS=n ORDERS=n FAULTS=a,b LOAD_ARGS=…)
	@$(BIN)/python -m deploy.kafka --prepare
	@exec $(BIN)/python -m deploy.load $(if $(CLIENTS),--clients $(CLIENTS)) $(if $(STORES),--stores $(STORES)) \
		$(if $(ORDERS),--orders $(ORDERS)) $(if $(DURATION),--duration $(DURATION)) $(if $(FAULTS),--faults $(FAULTS)) \
		$(if $(CORE),--core $(CORE)) $(if $(KEYS),--keys $(KEYS)) $(LOAD_ARGS)

chaos: $(READY) ## Break the real system in every way (SEED=n SCENARIO="a b" AGAIN=1 CHAOS_ARGS=…)
	@$(BIN)/python -m deploy.kafka --prepare
	@$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(SCENARIO),--scenario $(SCENARIO)) $(if $(AGAIN),--again) $(CHAOS_ARGS)

chaos-edits: $(READY) ## Edit documents through an hour of random disconnections (SECONDS=n SEED=n)
	@$(BIN)/python -m tests.chaos.offline $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

chaos-webhooks: $(READY) ## Kill senders of webhooks while receivers fail in every way (SECONDS=n)
	@$(BIN)/python -m tests.chaos.webhooks $(if $(SECONDS),--seconds $(SECONDS))

chaos-unprotected: $(READY) ## See each chaos scenario fail without its protection (SCENARIO="a b" CHAOS_ARGS=--control)
	@$(BIN)/python -m deploy.kafka --prepare
	@$(BIN)/python -m tests.chaos.unprotected $(if $(SCENARIO),--scenario $(SCENARIO)) $(CHAOS_ARGS)

restore-drill: $(READY) ## Lose the database, restore it to a point in time, and see what clients are told (DRILL_ARGS=--embedded)
	@$(BIN)/python -m deploy.kafka --prepare
	@$(BIN)/python -m tests.drills $(DRILL_ARGS)

drills: restore-drill upgrade-drill ## Both drills, one after the other: an hour

upgrade-drill: $(READY) ## Upgrade the previous release to this one under load, in several orders (DRILL_ARGS=…)
	@$(BIN)/python -m deploy.kafka --prepare
	@$(BIN)/python -m tests.drills.upgrading $(DRILL_ARGS)

attack: $(READY) ## Attack the real servers in full size, and print the figures (ATTACK_ARGS=…)
	@$(BIN)/python -m deploy.kafka --prepare
	@$(BIN)/python -m tests.attack $(ATTACK_ARGS)

fuzz: $(READY) ## Feed hostile bytes to everything that reads bytes of others (FUZZ_SECONDS=n FUZZ_ARGS=…)
	@$(BIN)/python -m tests.fuzz --seconds $(or $(FUZZ_SECONDS),60) $(FUZZ_ARGS)

bench-sdk: $(READY) ## Measure the SDK's buffered start
	@$(BIN)/python -m tests.bench.buffered_start

simulate: $(READY) ## Run 100,000 bad schedules of clients in virtual time (SCHEDULES=n SEED=n KIND=orders|documents|mqtt)
	@$(BIN)/python -m tests.simulation $(if $(KIND),--kind $(KIND)) $(if $(SCHEDULES),--schedules $(SCHEDULES)) $(if $(SEED),--seed $(SEED))

lint: $(READY) ## Check style
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: $(READY) $(NODE_READY) ## Check types: Python and the browser's SDK strictly, and the pages' imports and calls
	@$(BIN)/mypy
	@node_modules/.bin/tsc
	@node_modules/.bin/tsc -p tsconfig.pages.json

format: $(READY) ## Format the code, and mend what ruff can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(READY) ## Write docs/settings.md, docs/schema.md and docs/asyncapi.json
	@$(BIN)/python -m deploy.settings_table
	@$(BIN)/python -m deploy.schema_page
	@$(BIN)/python -m deploy.asyncapi

lists: $(READY) ## Write JavaScript's lists from the Python contract
	@$(BIN)/python -m deploy.contract_lists

lock: $(READY) ## Write requirements.lock and the image's locks from pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate \
		--no-header --python-version 3.11 --extra server --extra printer --extra local --extra mqtt --extra completion --group dev \
		pyproject.toml --output-file requirements.lock
	@$(BIN)/python -m deploy.docker.lock

clean: ## Remove what was built; the data of `make run` in var/ stays
	@rm -rf build dist node_modules .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
