.PHONY: help setup demo run test bench fuzz words lint format clean

python = .venv/bin/python

help: ## say what there is
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 14

setup: ## make the environment in .venv (done by the others where needed)
	@demo/setup.sh
	@$(python) -m webmail.catalogues

demo: setup ## start everything on this machine, with a local network and three people
	@exec $(python) -m demo

run: ## start the same against the live network
	@demo/setup.sh --without-compiler
	@$(python) -m webmail.catalogues
	@exec $(python) -m demo --live

test: setup ## install what the tests need, then run every check and every test
	@$(python) -m tests

bench: setup ## measure how fast the agent and the pages are: one line of JSON a figure
	@$(python) -m bench

fuzz: setup ## look for inputs that break a decoder: make fuzz seconds=600 names="mail cbor"
	@$(python) -m tests.fuzzing $(names) --seconds $(or $(seconds),60)

words: setup ## bring the catalogues in locale/ in line with the words in the code (needs gettext)
	@$(python) -m webmail.catalogues --update

lint: setup ## run the checks alone: style, types, import rules, migrations
	@$(python) -m tests --checks

format: setup ## put the code in its one style
	@.venv/bin/ruff check --fix --quiet
	@.venv/bin/ruff format --quiet

clean: ## forget the environment, the demo's people and their mail
	rm -rf .venv .run .cache .hypothesis .mypy_cache .ruff_cache .pytest_cache .import_linter_cache staticfiles
