# pgharbor: everything that a developer or a build machine runs. `make help` lists it.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# buf has a module file of its own: its dependencies do not go with ours.
BUF      := go tool -modfile=proto/tools.mod buf

# Packages whose tests start a Postgres or a whole server, or need a tool that make test installs.
SLOW    := agent/(attack|backup|cage|daemon|job|load|scan|postgres|session)|cli/e2e|controlplane/(attack|server)|deploy/prometheus

.PHONY: help build test test-quick lint generate demo bench clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

build: ## the three programs, into bin/
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/ \
		./controlplane/cmd/pgharbor-controlplane ./agent/cmd/pgharbor-agent ./cli/cmd/pgharbor

test: ## every test, on Postgres servers that the tests start; ends with "N passed, N failed"
	@deploy/ci/need.sh initdb openssl zstd gcc
	@deploy/ci/promtool.sh
	@mkdir -p .tools
	@CGO_ENABLED=0 go build -o .tools/testsummary ./deploy/ci/testsummary
	CGO_ENABLED=1 go test -race -timeout 30m -parallel 4 -json ./... | .tools/testsummary

test-quick: ## the tests that need no Postgres and no whole server, in less than a minute
	@mkdir -p .tools
	@CGO_ENABLED=0 go build -o .tools/testsummary ./deploy/ci/testsummary
	go list ./... | grep -vE '/($(SLOW))(/|$$)' | xargs env CGO_ENABLED=0 go test -json | .tools/testsummary

lint: ## formats, the layers, the contract, generated code
	@deploy/ci/lint.sh

generate: ## the Go code of proto/, beside it
	$(BUF) generate

demo: ## the main job, start to end, on a throwaway Postgres (KEEP=1 leaves it running)
	@deploy/demo/demo.sh

bench: ## speed and memory, as docs/benchmarks.md quotes them
	@deploy/bench/bench.sh

clean: ## remove what make has built
	rm -rf bin .tools/testsummary demo-data bench-data
