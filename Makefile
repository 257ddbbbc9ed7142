# Run `make` to see what there is.

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this list
	@sed -nE 's/^([a-z]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | awk -F '\t' '{ printf "%-8s %s\n", $$1, $$2 }'

.PHONY: short
short: ## a quick answer: every module of the workspace, in about a minute
	go test -short work

.PHONY: test
test: ## all tests of the workspace: the command of the README
	go test -timeout 30m work

.PHONY: race
race: ## the quick tests under the race detector
	.ci/run race

.PHONY: lint
lint: ## golangci-lint in every module
	.ci/run tools lint

.PHONY: fuzz
fuzz: ## every fuzz target, a few seconds each
	.ci/run fuzz

.PHONY: bench
bench: ## the engine against a bare errgroup, in memory
	go test -run '^$$' -bench Run -benchtime 3x .

.PHONY: check
check: ## everything that has to pass before work lands
	.ci/run

.PHONY: house
house: ## layers, files, functions and exported names of the root package
	go run ./internal/house/cmd house

.PHONY: words
words: ## the longest sentences, and lines of more than 100 columns
	go run ./internal/house/cmd words

.PHONY: release
release: ## make release VERSION=v0.1.0: API differences, requirements, CHANGELOG; pushes nothing
	.ci/release $(VERSION)
