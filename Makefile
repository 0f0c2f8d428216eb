# Targets that need only Go: help demo dev test race bench fuzz lint generate sim.
GO ?= go

.PHONY: help demo dev build test race lint generate check-generate sim bench fuzz

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## three servers, a worker, 200 orders, and two leaders killed on the way
	$(GO) run ./cmd/pawl demo

dev: ## a cluster in one process on 127.0.0.1:8080
	$(GO) run ./cmd/pawl dev

build: ## bin/pawl, a static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o bin/pawl ./cmd/pawl

test: ## all tests
	$(GO) test ./...

race: ## all tests under the race detector
	$(GO) test -race ./...

lint: ## formatting and vet
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...

generate: ## code from the schemas in proto
	$(GO) run ./cmd/protogen

check-generate: ## fail when generated code is not fresh
	$(GO) run ./cmd/protogen -check

sim: ## the scheduler and the machine over a modelled log, longer than in test
	PAWL_RUNS=5000 $(GO) test -count=1 -run 'Simulation|Model' ./scheduler ./fsm

bench: ## the figures in README: three fsyncing nodes, driver and worker on this machine
	$(GO) run ./cmd/pawl bench

fuzz: ## each fuzz target for a minute
	@for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	    $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime 60s $$p || exit 1; done; done
