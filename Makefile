# Everything a fresh machine needs: `make demo` and `make test`.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-seg test lint clean distclean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20
	@echo
	@echo '  VENV=$(VENV) is the virtual environment, PYTHON=$(PYTHON) the Python 3.11 that it is made with.'

setup: $(STAMPS)/verified ## install everything into VENV (first time about 15 minutes, later seconds)

demo: setup ## train, evaluate, show and export a detector of digits (about 10 minutes)
	$(BIN)/python tools/demo.py

demo-seg: setup ## the same with a segmentor of drawn street scenes (about 10 minutes)
	$(BIN)/python tools/demo.py segmentation

test: lint ## run all tests
	$(BIN)/python -m pytest

lint: setup ## check the style and the types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean: ## remove caches, build output, and what the demo made
	rm -rf build dist ./*.egg-info .pytest_cache .ruff_cache .mypy_cache work_dirs data/digits data/streets
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## remove VENV too
	rm -rf '$(VENV)'

# A stamp is newer than the requirements that it was made from, so that an interrupted set-up goes on where it stopped,
# and a changed requirement is picked up together with all that depends on it.
$(STAMPS)/venv: tools/setup/preflight.py
	@$(PYTHON) tools/setup/preflight.py '$(VENV)'
	$(PYTHON) -m venv '$(VENV)'
	@mkdir -p $(@D) && touch $@

$(STAMPS)/torch: requirements/torch.txt $(STAMPS)/venv
	@echo 'Installing PyTorch (about 3 GB to load, 2 minutes)'
	$(BIN)/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

$(STAMPS)/mmcv: requirements/mmcv.txt tools/setup/install_mmcv.py $(STAMPS)/torch
	$(BIN)/python tools/setup/install_mmcv.py $<
	@touch $@

$(STAMPS)/packages: requirements/mm.txt requirements/deploy.txt requirements/test.txt $(STAMPS)/mmcv
	@echo 'Installing the mm packages, OpenVINO and the test tools (1 minute)'
	$(BIN)/pip install --quiet --disable-pip-version-check $(patsubst %,-r %,$(filter requirements/%,$^))
	@touch $@

$(STAMPS)/project: setup.py pyproject.toml $(STAMPS)/packages
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(STAMPS)/verified: $(STAMPS)/project
	$(BIN)/pip check
	@$(BIN)/python -c 'import cv2, mmcv.ops, mmdet, mmseg, mmpretrain, openvino, lcnet_mm'
	@touch $@
	@echo 'Set-up is complete.'
