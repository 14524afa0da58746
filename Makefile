# The two commands: `make claims` and `make test`. Both set up .venv on a machine with Python 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin
REPORT := --html=reports/pytest.html --self-contained-html --junitxml=reports/junit.xml

# Large tensors come and go. By default glibc gives each back to the system at once, and where they are large half of the
# time goes into page faults (measured: docs/recall.md's contexts of 64 tokens, 59 s for 31).
export MALLOC_MMAP_THRESHOLD_ ?= 4294967296
export MALLOC_TRIM_THRESHOLD_ ?= 17179869184
export MALLOC_TOP_PAD_ ?= 268435456

.PHONY: claims claims-all claims-sweeps test test-one lint docs benchmarks register clean

claims: .venv/installed ## the headline claims, from trained models to verdicts
	$(BIN)/python -m pytest claims --memkit-headline -n auto $(REPORT) $(ARGS)

claims-all: .venv/installed ## every claim but the cells of sweeps
	$(BIN)/python -m pytest claims -n auto $(REPORT) $(ARGS)

claims-sweeps: .venv/installed ## the sweeps, many small questions which gate nothing, and the replications, which do
	$(BIN)/python -m pytest claims --memkit-sweeps -n auto --memkit-evidence reports/sweeps.json $(ARGS)

# --confcutdir: the root's conftest loads the studies' fixtures, for claims alone, and torch with them.
test: .venv/installed lint ## the software tests
	$(BIN)/python -m pytest tests -n auto --confcutdir=tests $(ARGS)

test-one: .venv/installed ## one file, without lint and workers: make test-one FILE=tests/statistics/test_betting.py
	$(BIN)/python -m pytest -q -n0 --confcutdir=tests $(FILE) $(ARGS)

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/installed ## the documentation as a site, reports/site/index.html; a dead link or an unknown name fails
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

benchmarks: .venv/installed ## every benchmark, in smoke mode
	for benchmark in calibration pipeline seeds cohort backends growing recall warm guest retrieval report scale; do $(BIN)/python benchmarks/$$benchmark.py --smoke || exit 1; done

register: .venv/installed ## new and changed claims get fresh deciding seeds
	$(BIN)/memkit register claims

# torch goes first: a looser requirement, met before it, would bring another build of it.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "memkit needs Python 3.11 or newer; name one with make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[torch,data,test]'
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[mlx]' \
		|| echo "MLX cannot be installed here; replications in MLX will be skipped"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[ray]' \
		|| echo "Ray cannot be installed here; its tests will be skipped"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[browser]' \
		|| echo "selenium cannot be installed here; the tests in a browser will be skipped"
	touch $@

clean: ## everything that a run leaves
	rm -rf .venv .memkit .pytest_cache .mypy_cache .ruff_cache .hypothesis reports/site reports/*.html reports/evidence.* reports/sweeps.* reports/junit.xml
