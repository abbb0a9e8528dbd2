# Tallygate. `make` alone prints what can be made.
.DEFAULT_GOAL := help
SHELL := /bin/bash

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  := -s -w -X main.version=$(VERSION)
# Executions, not seconds: a time that runs out can fail a target that found nothing
# (https://go.dev/issue/75804, mended in Go 1.27).
FUZZTIME ?= 100000x
PKGS     := ./...

.PHONY: help build test oracle race lint fuzz bench e2e demo generate components clean

help: ## print this
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## bin/tallygate
	go build -ldflags '$(LDFLAGS)' -o bin/tallygate ./cmd/tallygate

test: ## unit tests; needs nothing but Go
	go test $(PKGS)

oracle: ## the oracle of the decision cache over 200,000 checks of random policies
	go test ./policy/opa -run '^TestOracle$$' -count=1 -v -timeout 1h -oracle.checks=200000

race: ## unit tests under the race detector
	go test -race $(PKGS)

lint: ## gofmt, go vet, staticcheck, go.mod is tidy
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'run gofmt -w on these'; exit 1; }
	go vet -tags e2e $(PKGS)
	go tool staticcheck -tags e2e $(PKGS)
	go mod tidy -diff

fuzz: ## every fuzz target for FUZZTIME (100000x: executions)
	@set -e; for pkg in $$(go list $(PKGS)); do \
	  for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "== $$pkg $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$pkg; \
	  done; \
	done

bench: build ## figures against their references, into docs/benchmarks.md (about half an hour)
	go run ./test/components fetch redis ratelimit cassandra jaeger
	go run ./test/bench -write docs/benchmarks.md

e2e: build components ## end to end on real Envoy, nginx, Prometheus, Redis, Cassandra, Jaeger, Chromium (fetched into .cache)
	go test -tags e2e -count=1 -timeout 25m ./test/e2e/... ./policy/quota

demo: build ## a small mesh of real Envoys, Tallygate and Prometheus, with a live table; Ctrl-C ends it
	go run ./test/components fetch envoy prometheus
	go run ./test/demo $(DEMOFLAGS)

generate: ## everything that is generated: schema, configuration reference, boards, rules
	go generate $(PKGS)

components: ## fetch every real component that tests and benchmarks use
	go run ./test/components fetch all

clean: ## remove what was built, not what was fetched
	rm -rf bin .bench
