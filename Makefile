# make demo: figures from a fresh clone. make examples: docs/examples redrawn. make test, make lint: what CI runs.
# make docs: the documentation's site. make lock: renew the pinned packages.

PYTHON ?= python3
BIN := .venv/bin
# One thread a job: Snakemake runs as many jobs as there are cores.
export OMP_NUM_THREADS := 1

.PHONY: demo examples test coverage lint docs format lock reference clean

demo: .venv/installed
	$(BIN)/snakemake --cores all

# Figures, tables, claims and pages of docs/examples, from the CSVs that they keep; nothing is trained. And the README's verdicts.
examples: .venv/installed
	$(BIN)/fedscape redraw
	$(BIN)/python -m fedscape.examples.verdicts

# Two at a time; where tests share a study that was made, one worker has them all.
test: .venv/installed-dev
	$(BIN)/python -m pytest -n 2 --dist worksteal tests/unit tests/workflow/test_invalidation*.py tests/workflow/test_jobs.py
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations 20 \
		tests/workflow --ignore-glob='*/test_invalidation*' --ignore-glob='*/test_jobs*'

# Which lines tests, smoke studies and the benchmarks' smallest forms reach; CONTRIBUTING.md lists what stays below.
coverage: .venv/installed-dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest tests/unit tests/workflow/test_studies.py
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint

# The site, from the Markdown where it lies, with the examples' pages; notebooks run, a warning fails, nothing is fetched.
docs: .venv/installed-dev
	$(BIN)/fedscape redraw --page
	$(BIN)/sphinx-build -q -W --keep-going -j 2 -c docs -d docs/_build/doctrees . docs/_build/html
	@echo "docs/_build/html/index.html"

format: .venv/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

# The packages are installed with their hashes checked; the repository itself is linked in, without its own copy.
.venv/installed: envs/requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("fedscape needs Python 3.11 or newer, for example: make PYTHON=python3.12")'
	test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv || { echo "no venv module: on Debian, apt-get install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --require-hashes -r $<
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

.venv/installed-dev: envs/requirements-dev.txt .venv/installed
	$(BIN)/pip install --quiet --require-hashes -r $<
	touch $@

# Locks hold versions and hashes for Linux and macOS, and no index address.
lock:
	$(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip install --quiet uv
	cd envs && ../.venv-lock/bin/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 \
		requirements-dev.in -o requirements-dev.txt
	cd envs && ../.venv-lock/bin/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 \
		requirements.in -c requirements-dev.txt -o requirements.txt
	rm -rf .venv-lock
	$(PYTHON) envs/conda.py

# The keys in config/reference, from the schemas and the plug-ins; plug-ins' contracts in CONTRIBUTING.md; the columns in
# results/README.md.
reference: .venv/installed-dev
	$(BIN)/python -m fedscape.study.reference
	$(BIN)/python -m fedscape.study.contracts_page
	$(BIN)/python -m fedscape.columns.readme

# Not .snakemake: without its records Snakemake cannot tell which results are out of date.
clean:
	rm -rf .venv
