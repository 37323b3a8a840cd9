# Every target sets itself up: see scripts/setup.
PYTHON := .venv/bin/python

.PHONY: demo test check bench lock docs clean

demo: .venv/.ready
	.venv/bin/heliobus demo

test: .venv/.ready .venv/.servers
	$(PYTHON) -m pytest -q

check: .venv/.ready
	.venv/bin/ruff format --check -q .
	.venv/bin/ruff check -q .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache
	$(PYTHON) scripts/make_docs.py --check
	$(PYTHON) scripts/make_contract.py --check
	$(PYTHON) scripts/make_dashboards.py --check

bench: .venv/.ready
	$(PYTHON) benchmarks/run.py

docs: .venv/.ready
	$(PYTHON) scripts/make_docs.py
	$(PYTHON) scripts/make_contract.py
	$(PYTHON) scripts/make_dashboards.py

.venv/.ready: requirements.lock pyproject.toml scripts/setup
	scripts/setup

.venv/.servers: scripts/setup_servers .venv/.ready
	scripts/setup_servers
	touch $@

# Needs uv: pip install uv
lock:
	uv pip compile pyproject.toml --all-extras --group dev --python-version 3.11 --universal --upgrade \
	  --generate-hashes --no-emit-index-url --no-header -q -o requirements.lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
