# Two commands: `make book` and `make test`. Each makes its own environment once, and again only when the pins change.

PRESET ?= laptop
CORES  ?= $(shell getconf _NPROCESSORS_ONLN)
PYTHON ?= python3
PORT   ?= 8000
HOST   ?= 127.0.0.1

BIN   := .venv/bin
PINS  := $(shell cat pyproject.toml constraints.txt | cksum | cut -d' ' -f1)
READY := .venv/ready-$(PINS)
PAGE  := book/_build/html/index.html

.DEFAULT_GOAL := help
.PHONY: help book pdf zip editions launch slides test faults benchmarks lint serve clean constraints
.DELETE_ON_ERROR:

help: ## What there is to say
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  PRESET=smoke|laptop|longer|gpu|paper|paper8 (now $(PRESET)), CORES=$(CORES), PORT=$(PORT)"

# uv where present, else a venv that brings it along, else pip alone.
$(READY):
	@echo "making the environment .venv (some gigabytes, once; PyTorch is most of it)"
	@rm -f .venv/ready-*
	@if command -v uv >/dev/null 2>&1; then \
		[ -x $(BIN)/python ] || uv venv -q --python ">=3.11" .venv; \
		uv pip install -q --python $(BIN)/python -c constraints.txt -e '.[dev]'; \
	else \
		[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv; \
		if $(BIN)/python -m pip install -q uv; \
		then $(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt -e '.[dev]'; \
		else $(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'; fi; \
	fi
	@touch $@

book: $(READY) ## Run what is stale and render the book: make book PRESET=laptop
	@$(BIN)/python -m snakemake --quiet all --cores $(CORES) --resources gpu=1 --keep-going --rerun-incomplete \
		--nolock --config preset=$(PRESET)
	@echo "the book ($(PRESET)): $(abspath $(PAGE))"

pdf: book ## Print the whole book as one PDF (needs Chromium or Chrome)
	@$(BIN)/python -m mae_lib pdf --preset $(PRESET)

zip: book ## Pack the rendered book into an archive that opens from disk
	@$(BIN)/python -m mae_lib zip

test: $(READY) ## Run the tests in CORES processes; some of them: make test TESTS=tests/theory
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(CORES) $(TESTS)

faults: $(READY) ## Kill, fill, spoil and fuzz everything, minutes; writes results/faults.json
	@rm -f results/faults.json
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -o python_files='fault_*.py' --table results/faults.json tests/faults

benchmarks: $(READY) ## Measure speed on this machine, idle, in minutes; writes results/speed.json
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/all.py $(BENCHMARKS)

lint: $(READY) ## Check style and formatting
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

editions: $(READY) ## Write the reader's, student's and instructor's notebooks into editions/
	@$(BIN)/python -m mae_lib editions

launch: $(READY) ## Write the notebooks that hosted services open into launch/ (needs a repository's address)
	@rm -rf launch && $(BIN)/python -m mae_lib launch

slides: $(READY) ## Write the slides of three lectures into slides/, from the notebooks executed at PRESET
	@$(BIN)/python -m snakemake --quiet all --cores $(CORES) --resources gpu=1 --keep-going --rerun-incomplete \
		--nolock --config preset=$(PRESET) -- slides
	@echo "the slides ($(PRESET)): $(abspath slides/index.html)"

serve: ## Serve the rendered book on http://localhost:PORT, or to a room: HOST=0.0.0.0
	@[ -f $(PAGE) ] || { echo "no book yet: run make book"; exit 1; }
	@$(BIN)/python -m http.server $(PORT) --bind $(HOST) --directory $(dir $(PAGE))

constraints: ## Resolve constraints.txt anew from pyproject.toml
	@{ sed -n '/^#/p' constraints.txt; uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
		--upgrade --no-annotate --no-header -q; } > constraints.new && mv constraints.new constraints.txt

clean: ## Remove the rendered book and executed notebooks; trained runs stay (rm -r runs removes them)
	@rm -rf book/_build book/experiments runs/notebooks runs/verdicts .snakemake
