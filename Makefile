# `make demo` and `make test` set everything up themselves; see README.md.
PY := .venv/bin/python

.PHONY: demo demo-digits test lint format types setup clean

setup: .venv/.ready

.venv/.ready: bootstrap pyproject.toml constraints.txt
	./bootstrap
	touch $@

# Exit status 1 and 3 are verdicts (fail, not decided): a demo is done with any of them.
demo: setup
	.venv/bin/auditor run examples/housing/audit.yaml --out demo || \
	    case $$? in 1|3) ;; *) exit 1 ;; esac

demo-digits: setup
	$(PY) examples/digits/build.py
	.venv/bin/auditor run examples/digits/world/audit.yaml --out demo-digits || \
	    case $$? in 1|3) ;; *) exit 1 ;; esac

# Tests of one module share what they make, so a module stays with one worker; the slow come first.
# They start hundreds of processes, each of which would compile our sources where none may be kept.
test: setup
	PYTHONDONTWRITEBYTECODE= $(PY) -m pytest -n auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

format: setup
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

types: setup
	.venv/bin/mypy

clean:
	rm -rf .venv demo demo-digits lab examples/digits/world
