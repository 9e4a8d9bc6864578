# make help lists the targets.
GO      ?= go
BIN     := $(CURDIR)/bin
COVER   := $(CURDIR)/coverage
PULUMI  := v3.256.0

# These run in virtual time, or compute: race detector and coverage together make
# them ten times as slow, so that they run with one after the other.
HEAVY  := ./tests/sim ./tests/session ./tests/overload ./tests/cost ./runtime/internal/request ./examples/...
OTHERS  = $$($(GO) list ./... | grep -vE '/(tests/(sim|session|overload|cost)|runtime/internal/request|examples/.*)$$')
TEST    = $(GO) test -shuffle=on -timeout 20m
COVERED = -covermode=atomic -coverpkg=./...

.PHONY: help demo test short lint fmt bench fuzz tools clean

help: ## list the targets
	@grep -E '^[a-z/-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: ## stand the example up and send it two requests
	$(GO) run ./cmd/streamer demo

test: ## every test, under the race detector, with coverage of tests and processes
	@rm -rf $(COVER) && mkdir -p $(COVER)/tests $(COVER)/processes
	STREAMER_COVER_DIR=$(COVER)/processes $(TEST) -race $(COVERED) $(OTHERS) -args -test.gocoverdir=$(COVER)/tests
	$(TEST) -race -short $(HEAVY)
	$(TEST) $(COVERED) $(HEAVY) -args -test.gocoverdir=$(COVER)/tests
	@$(GO) tool covdata textfmt -i=$(COVER)/tests,$(COVER)/processes -o $(COVER)/profile.txt
	@$(GO) tool cover -func=$(COVER)/profile.txt | tail -n 1 | sed 's/^total:[^0-9]*/statement coverage, processes included: /'

short: ## the tests that need no processes and no sockets
	$(GO) test -short ./runtime/... ./localcloud/internal/... ./internal/contract/...

lint: $(BIN)/golangci-lint ## formatting, vet and lint
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'not formatted: run make fmt'; exit 1; }
	$(BIN)/golangci-lint run ./...

fmt: ## format
	gofmt -w $$(git ls-files '*.go')

bench: ## the benchmarks of docs/benchmarks.md
	$(GO) test -run '^$$' -bench . ./runtime/... ./localcloud/internal/gateway/... ./localcloud/internal/lambda/...

fuzz: ## half a minute for each fuzz target
	@for f in $$(grep -rl '^func Fuzz' --include='*_test.go' .); do \
		for t in $$(grep -oE '^func Fuzz[A-Za-z]+' $$f | cut -d' ' -f2); do \
			$(GO) test -run '^$$' -fuzz "^$$t$$" -fuzztime 30s ./$$(dirname $$f) || exit 1; done; done

tools: $(BIN)/golangci-lint $(BIN)/pulumi ## build the tools

$(BIN)/golangci-lint: tools/lint/go.mod
	cd tools/lint && $(GO) build -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

# The Automation API refuses a CLI that does not know its version.
$(BIN)/pulumi: tools/pulumi/go.mod
	cd tools/pulumi && $(GO) build -ldflags "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=$(PULUMI)" -o $@ github.com/pulumi/pulumi/pkg/v3/cmd/pulumi

clean: ## remove what was built
	rm -rf $(BIN) $(COVER) reports-out
