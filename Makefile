# Everything a fresh machine needs: `make demo` and `make test`.

# The mm packages: openmmlab, or onedl, the maintained fork. Each has an environment of its own.
STACK ?= openmmlab
ifeq ($(wildcard requirements/$(STACK)/mm.txt),)
$(error STACK=$(STACK) is unknown; use openmmlab or onedl)
endif
VENV ?= $(if $(filter openmmlab,$(STACK)),.venv,.venv-$(STACK))
# Empty: python3 if its version is supported, else the newest supported python3.x.
PYTHON ?=
# Processes that run the tests, with one thread each: two networks in two processes take less time than in turn. Each
# process needs about 2 GB.
WORKERS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 4 ? n : 4)))
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
PIP := $(BIN)/pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-seg test test-slow test-all lint docs wheel clean distclean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20
	@echo
	@echo '  STACK=openmmlab|onedl chooses the mm packages (now $(STACK)), VENV the virtual environment (now $(VENV)),'
	@echo '  PYTHON the Python that it is made with (3.11 or 3.12; with onedl also 3.13).'

setup: $(STAMPS)/verified ## install everything into VENV (first time about 5 minutes beside loading torch)

demo: setup ## train, evaluate, show and export a detector of digits (about 10 minutes)
	$(BIN)/python tools/demo.py

demo-seg: setup ## the same with a segmentor of drawn street scenes (about 10 minutes)
	$(BIN)/python tools/demo.py segmentation

test: lint ## check style, types, layers and docs, and run the tests that take seconds each
	$(BIN)/python -m pytest -m 'not slow' -n $(WORKERS) --dist worksteal

test-slow: setup ## run the tests that take minutes: the wheel in empty environments, whole demos, several processes
	$(BIN)/python -m pytest -m slow

test-all: test test-slow ## run all tests

# The types of the mm packages are those of the first stack.
lint: setup ## check style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
ifeq ($(STACK),openmmlab)
	$(BIN)/mypy
endif
	$(BIN)/lint-imports

docs: setup ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

wheel: setup ## build the wheel into dist/
	rm -rf build
	$(PIP) --no-deps build==1.6.1 pyproject_hooks==1.2.0
	$(BIN)/python -m build --wheel --no-isolation --outdir dist .

clean: ## remove caches, build output, and what the demo made
	rm -rf build dist site ./*.egg-info .pytest_cache .ruff_cache .mypy_cache .import_linter_cache work_dirs data/digits data/streets data/trees
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

distclean: clean ## remove VENV too
	rm -rf '$(VENV)'

# A stamp is newer than the requirements that it was made from, so that an interrupted set-up goes on where it stopped,
# and a changed requirement is picked up together with all that depends on it.
$(STAMPS)/venv: tools/setup/preflight.py tools/setup/find_python.sh
	@python="$(PYTHON)"; python="$${python:-$$(tools/setup/find_python.sh $(STACK))}"; \
	command -v "$$python" >/dev/null || { echo "error: no $$python was found; install Python 3.11 or 3.12, or name one with PYTHON=" >&2; exit 1; }; \
	"$$python" tools/setup/preflight.py '$(VENV)' '$(STACK)' && "$$python" -m venv '$(VENV)'
	@mkdir -p $(@D) && touch $@

$(STAMPS)/torch: requirements/torch.txt $(STAMPS)/venv
	@echo 'Installing PyTorch (about 3 GB to load, 2 minutes)'
	$(PIP) -r $<
	@touch $@

$(STAMPS)/mmcv: requirements/$(STACK)/mmcv.txt tools/setup/install_mmcv.py tools/setup/compiler.py $(STAMPS)/torch
	$(BIN)/python tools/setup/install_mmcv.py $<
	@touch $@

REQUIREMENTS := requirements/$(STACK)/mm.txt $(patsubst %,requirements/%.txt,common deploy test docs)
NO_DEPS := requirements/no-deps.txt requirements/no-deps-test.txt
$(STAMPS)/packages: $(REQUIREMENTS) $(NO_DEPS) $(STAMPS)/mmcv
	@echo 'Installing the mm packages, OpenVINO and the test tools (1 minute)'
	$(PIP) $(patsubst %,-r %,$(REQUIREMENTS))
	$(PIP) --no-deps $(patsubst %,-r %,$(NO_DEPS))
	@touch $@

$(STAMPS)/project: setup.py pyproject.toml $(STAMPS)/packages
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(STAMPS)/verified: tools/setup/check_packages.py $(STAMPS)/project
	$(BIN)/python tools/setup/check_packages.py
	@$(BIN)/python -c 'import cv2, mmcv.ops, mmdet, mmseg, mmpretrain, openvino, lcnet_mm'
	@touch $@
	@echo 'Set-up is complete.'
