# Two commands: `make book` and `make test`. Each makes its own environment once, and again only when the pins change.

PRESET ?= book
CORES  ?= $(shell getconf _NPROCESSORS_ONLN)
PYTHON ?= python3
TORCH  ?=
PORT   ?= 8000
HOST   ?= 127.0.0.1

BIN   := .venv/bin
PINS  := $(shell cat pyproject.toml constraints.txt | cksum | cut -d' ' -f1)
READY := .venv/ready-$(PINS)
PAGE  := book/_build/html/index.html
RANGE := $(shell sed -n 's/^requires-python = "\(.*\)"/\1/p' pyproject.toml)
SUITS := import re, sys; low, high = (tuple(map(int, v.split("."))) for v in re.findall(r"[\d.]+", "$(RANGE)")); \
	sys.exit(not low <= sys.version_info[:2] < high)
INSTALL := -c constraints.txt -e '.[dev]'

# A preset's file may have any name: the shell finds it in a variable, and Snakemake, which strips quotes and then reads
# YAML, in quotes between blanks.
override PRESET := $(value PRESET)
export PRESET
export QUOTED := $(subst ','',$(PRESET))
# After every span of the limit, by default a second, Snakemake looks at each file of each waiting job anew.
SNAKEMAKE = $(BIN)/python -m snakemake --quiet progress rules reason host --cores $(CORES) --resources gpu=1 \
	--keep-going --rerun-incomplete --nolock --max-jobs-per-timespan 100/5s --config "preset= '$$QUOTED' " --

# Where bytecode is not kept, as in many a container, every notebook would compile PyTorch anew.
unexport PYTHONDONTWRITEBYTECODE

# Without a HOME that can be written (a compute node, a container), what is only kept there for speed stays here.
CACHE := $(or $(value XDG_CACHE_HOME),$(value HOME)/.cache)
ifneq ($(shell [ '$(CACHE)' != /.cache ] && mkdir -p '$(CACHE)' 2>/dev/null && [ -w '$(CACHE)' ] && echo yes),yes)
export XDG_CACHE_HOME := $(CURDIR)/.snakemake/cache
endif

.DEFAULT_GOAL := help
.PHONY: help book pdf epub zip editions launch slides test faults benchmarks lint serve clean constraints
.DELETE_ON_ERROR:

help: ## What there is to say
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  PRESET=book|smoke|laptop|longer|desk|desk_figurines|desk_grid|gpu|paper|paper8 (now $$PRESET), CORES=$(CORES), PORT=$(PORT)"
	@echo "  TORCH=cpu, the first time, takes PyTorch without what graphics cards need: 4 to 5 GB less"

# uv where present, which fetches a Python that suits; else a venv that brings uv along, else pip alone.
$(READY):
	@[ -x $(BIN)/python ] || command -v uv >/dev/null || $(PYTHON) -c '$(SUITS)' 2>/dev/null || { \
		echo "$(PYTHON) is no Python $(RANGE): name one, make PYTHON=python3.12, or install uv, which fetches it" >&2; \
		exit 1; }
	@echo "making the environment .venv (some gigabytes, once; PyTorch is most of it)"
	@rm -f .venv/ready-*
	@[ -x $(BIN)/python ] || { rm -rf .venv; \
		if command -v uv >/dev/null; then uv venv -q --python "$(RANGE)" .venv; \
		else $(PYTHON) -m venv .venv; fi || { rm -rf .venv; exit 1; }; }
	@$(BIN)/python -c '$(SUITS)' || { echo ".venv holds no Python $(RANGE): rm -r .venv, then the same again" >&2; exit 1; }
	@if command -v uv >/dev/null; then uv=uv; elif $(BIN)/python -m pip install -q uv; then uv=$(BIN)/uv; fi; \
	if [ "$$uv" ]; then $$uv pip install -q --compile-bytecode --python $(BIN)/python $(TORCH:%=--torch-backend %) $(INSTALL); \
	else $(BIN)/python -m pip install -q $(TORCH:%=--extra-index-url https://download.pytorch.org/whl/%) $(INSTALL); fi
	@touch $@

book: $(READY) ## Run what is stale and render the book; train everything: make book PRESET=laptop
	@$(SNAKEMAKE)
	@echo "the book ($$PRESET): $$PWD/$(PAGE)"

pdf: book ## Print the whole book as one PDF (needs Chromium or Chrome)
	@$(BIN)/python -m maebook pdf --preset="$$PRESET"

epub: book ## Write the whole book as an e-book, an EPUB (needs Chromium or Chrome)
	@$(BIN)/python -m maebook epub --preset="$$PRESET"

zip: book ## Pack the rendered book into an archive that opens from disk
	@$(BIN)/python -m maebook zip

test: $(READY) ## Run the tests in CORES processes; some of them: make test TESTS=tests/theory
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(CORES) $(TESTS)

faults: $(READY) ## Kill, fill, spoil and fuzz everything, minutes; writes results/faults.json
	@rm -f results/faults.json
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow -n $(CORES)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -o python_files='fault_*.py' --table results/faults.json tests/faults

benchmarks: $(READY) ## Measure speed on this machine, idle, in minutes; writes results/speed.json
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/all.py $(BENCHMARKS)

lint: $(READY) ## Check style and formatting
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

editions: $(READY) ## Write the reader's, student's and instructor's notebooks into editions/
	@$(BIN)/python -m maebook editions

launch: $(READY) ## Write the notebooks that hosted services open into launch/ (needs a repository's address)
	@rm -rf launch && $(BIN)/python -m maebook launch

slides: $(READY) ## Write the slides of three lectures into slides/, from the notebooks executed at PRESET
	@$(SNAKEMAKE) slides
	@echo "the slides ($$PRESET): $$PWD/slides/index.html"

serve: ## Serve the rendered book on http://localhost:PORT, or to a room: HOST=0.0.0.0
	@[ -f $(PAGE) ] || { echo "no book yet: run make book"; exit 1; }
	@$(BIN)/python -m http.server $(PORT) --bind $(HOST) --directory $(dir $(PAGE))

constraints: ## Resolve constraints.txt anew from pyproject.toml
	@{ sed -n '/^#/p' constraints.txt; uv pip compile pyproject.toml --extra dev --extra tensorboard --universal --python-version 3.11 \
		--upgrade --no-annotate --no-header -q; } > constraints.new && mv constraints.new constraints.txt

clean: ## Remove the rendered book and executed notebooks; trained runs stay (rm -r runs removes them)
	@rm -rf book/_build book/experiments runs/notebooks runs/verdicts .snakemake
