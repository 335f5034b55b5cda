# Everything that is done to this project; `make` lists it. Each target makes .venv first, if it is missing or outdated.

python := .venv/bin/python
compile := uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-annotate --no-header \
	--no-emit-index-url --no-emit-find-links

# Two processes a core: half of a test's time is waiting.
tests = $(python) -m pytest -n 4 --dist loadfile --no-loadscope-reorder

# Whoever sets it means their own work; here each start would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

packages = core issuance ledger reports schema

# What production is given, as far as its settings can be checked without it.
production = DATABASE_URL=postgresql://tracking_web@db/tracking DATABASE_OWNER_URL=postgresql://owner@db/tracking \
	SECRET_KEY=$$($(random)) NUMBER_KEY=$$($(random)) CUSTOMER_TAG_KEYS=1:$$($(random)) \
	LEDGER_KEY=$$(DATABASE_URL= $(python) manage.py ledger_key --make tracking.example/log) \
	FENCE=/var/lib/tracking/fence PUBLICATION=/var/lib/tracking/published ALLOWED_HOSTS=tracking.example
random = $(python) -c "import secrets; print(secrets.token_hex(32))"

.PHONY: help run recover test campaign soak check fix drill bench rehearse docs requirements lint types imports migrations schema deploy \
	security audit containers
.DEFAULT_GOAL := help

help: ## list what can be made
	@sed -n 's/^\([a-z]*\):[^#]*## /  make \1 |/p' Makefile | while IFS='|' read -r name text; do printf '%-20s %s\n' "$$name" "$$text"; done

run: .venv/.dev ## start everything at http://127.0.0.1:8000 (PORT=…, DATA_DIR=…); Ctrl-C stops it
	@$(python) -m core.embedded

recover: .venv/.dev ## where DATA_DIR has lost its database: put back what was published
	@$(python) -m core.embedded recover

test: .venv/.dev ## run the tests; ARGS="-k name" picks some, ARGS=-n0 takes one process
	@$(tests) $(ARGS)

campaign: .venv/.dev ## meet the faults at full length: 50 kills, a million numbers, random moments
	@$(tests) tests/faults --campaign $(ARGS)

soak: .venv/.dev ## kill parts of a service under load, over and over (SOAK_MINUTES=10)
	@$(python) -m pytest tests/faults/test_soak.py --timeout=0 --soak-minutes=$(or $(SOAK_MINUTES),10) $(ARGS)

check: .venv/.dev ## lint, types, imports, migrations, schema, production settings, security, container files
	@$(MAKE) --no-print-directory --jobs=2 --keep-going $(if $(filter output-sync,$(.FEATURES)),--output-sync) \
		types lint imports migrations schema deploy security audit containers

fix: .venv/.dev ## let ruff repair and format what it can
	@$(python) -m ruff check --fix --quiet . || failed=1; $(python) -m ruff format --quiet . && [ -z "$$failed" ]

drill: .venv/.dev ## restore a backup beside the running service, and say what would be lost now
	@$(python) -m scripts.restore_drill $(ARGS)

bench: .venv/.bench ## measure the service against its peers (some minutes)
	@$(python) -m benchmarks $(ARGS)

rehearse: .venv/.dev ## build the image and run it without a container engine (root on Debian, some minutes)
	@sh scripts/rehearse-image.sh

docs: .venv/.dev ## write what is made from the code: settings, schema, problem types
	@$(python) manage.py generate_docs

requirements: .venv/.dev ## compile requirements/*.txt from pyproject.toml
	PATH="$$PATH:.venv/bin" && $(compile) pyproject.toml -o requirements/base.txt
	PATH="$$PATH:.venv/bin" && $(compile) --group dev pyproject.toml -o requirements/dev.txt
	PATH="$$PATH:.venv/bin" && $(compile) --group dev --group bench pyproject.toml -o requirements/bench.txt
	PATH="$$PATH:.venv/bin" && echo uv | $(compile) - -o requirements/uv.txt

# The parts of `check`; it runs two at a time.
lint: .venv/.dev
	@$(python) -m ruff check --quiet . && $(python) -m ruff format --check --quiet . && echo "ruff: fine"
types: .venv/.dev
	@$(python) -m mypy
imports: .venv/.dev
	@$(python) -c "from importlinter.cli import lint_imports_command; lint_imports_command()"
migrations: .venv/.dev
	@$(python) -W "ignore:Got an error checking a consistent migration history" manage.py makemigrations --check --dry-run
schema: .venv/.dev
	@$(python) manage.py spectacular --validate --fail-on-warn --file /dev/null && echo "schema: fine"
deploy: .venv/.dev
	@$(production) $(python) manage.py check --deploy --fail-level WARNING
# Ruff's S rules look for what bandit does, each exception with its reason; bandit is a second opinion on what it holds
# for serious, but for B104, which takes an address that is compared for one that is bound.
security: .venv/.dev
	@$(python) -m bandit --quiet --recursive --skip B104 -ll -ii $(packages) gunicorn.conf.py manage.py scripts && echo "bandit: fine"
# Reported where the advisories can't be reached, refused where one is known.
audit: .venv/.dev
	@$(python) scripts/audit.py
# With the .env that scripts/make-env.sh makes, compose reads its file in tests/unit/test_container_files.py.
containers: .venv/.dev
	@.venv/bin/hadolint Dockerfile && .venv/bin/docker-compose config --quiet --no-interpolate && \
		.venv/bin/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml && echo "containers: fine"

# The stamps: bench has all that dev has, so either may stand for .venv/.dev.
.venv/.dev: requirements/dev.txt requirements/uv.txt
	@sh scripts/bootstrap.sh dev
	@rm -f .venv/.bench && touch $@
.venv/.bench: requirements/bench.txt requirements/uv.txt
	@sh scripts/bootstrap.sh bench
	@touch .venv/.dev $@
