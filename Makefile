SHELL := /bin/bash
.DEFAULT_GOAL := help

# GNU make 3.81, which macOS has, knows no .SHELLFLAGS: a recipe with a pipe sets this itself.
PIPES := set -eo pipefail;

# The linter is installed once, at this version.
LINT_VERSION := 2.15.0
LINT := $(shell go env GOPATH)/bin/golangci-lint

# The race detector needs cgo and a C compiler.
RACE := $(shell [ "$$(go env CGO_ENABLED)" = 1 ] && command -v "$$(go env CC)" >/dev/null && echo -race)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## do a planned failover between two clusters on loopback
	@echo 'building the command and the demo, which takes half a minute if nothing is cached ...'
	@dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; go build -o "$$dir" ./pkg/cmd/clusterlink ./pkg/internal/demo; \
	"$$dir/demo" $(ALL) "$$dir/clusterlink"

.PHONY: demo-all
demo-all: ALL = -all
demo-all: demo ## also an unplanned failover, and the contract's own example as an answer

.PHONY: serve
serve: ## run two linked clusters on loopback to point any client at, until interrupted: PORT=8090
	@dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; go build -o "$$dir/serve" ./pkg/internal/serve; \
	"$$dir/serve" -port $(or $(PORT),0) & \
	trap "trap '' INT TERM; kill $$! 2>/dev/null || true" INT TERM; wait $$! || wait $$!

# The tests' heaps are small, so garbage may wait; and a process with the race detector need not sleep before it exits.
TEST_ENV := GOGC=400 GORACE=atexit_sleep_ms=0

# One package more at once than there are processors: at the end of a package some of them have nothing to do.
AT_ONCE := $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))

.PHONY: test
test: ## run all tests, with the race detector where there is a C compiler
	@$(if $(RACE),,echo 'no cgo or no C compiler: testing without the race detector')
	@echo 'testing; the tests are built first, which takes a minute or two if nothing is cached ...'
	$(TEST_ENV) go test $(RACE) -p $(AT_ONCE) ./...

# Filters what go test prints of itself.
SAID := grep -v '^ *\(---\|===\)'

.PHONY: faults
faults: ## print what goes wrong on the wire, and the outcomes
	@$(PIPES) go test $(RACE) -count=1 -run '^TestFaults_' -v ./pkg/mirror | $(SAID)

.PHONY: wait
wait: ## print what clusters can show in the course of time, and what a wait says of it
	@$(PIPES) go test -count=1 -run '^Test(Stage|Done|CaughtUp)_' -v ./pkg/wait | $(SAID)

.PHONY: model
model: ## walk at random against faulty clusters, wait, and merge reports: WALKS=20000 SEED=0
	go test $(RACE) -count=1 -timeout 60m -run '^TestModel' -v ./pkg/mirror ./pkg/wait -walks $(or $(WALKS),20000) -seed $(or $(SEED),0)

.PHONY: simulate
simulate: ## simulate long runs behind the rate limiter, and print how long they take and how many 429s there are
	@$(PIPES) go test -count=1 -run '^TestSimulation_' -v ./pkg/mirror -simulate | $(SAID)

# Where Jetty's jars are: Debian's package libjetty9-java puts them there.
JETTY ?= /usr/share/java

.PHONY: jetty
jetty: ## hold the test server's rate limiter, and the library, to the real one: needs a JDK and Jetty 9.4 (JETTY=folder)
	@command -v javac >/dev/null && [ -e '$(JETTY)/jetty9-servlets.jar' ] || \
		{ echo 'there is no JDK, or no Jetty: apt-get install default-jdk-headless libjetty9-java'; exit 1; }
	@JETTY='$(JETTY)' go test -count=1 -tags jetty -run '^TestJetty_' -v ./pkg/mirrortest

.PHONY: kill
kill: ## kill a process that does a job, and take the job up again: KILLS=200 RUNS=20
	go test -count=1 -timeout 60m -run '^TestJob_Kill$$' -v ./pkg/job -kills $(or $(KILLS),200) -kill-runs $(or $(RUNS),20)

.PHONY: fuzz
fuzz: ## fuzz each target for FUZZTIME=60s
	@$(PIPES) grep -Hno '^func Fuzz[A-Za-z]*' -r --include='*_test.go' pkg | while IFS=: read -r file _ target; do \
		echo "$${target#func }"; \
		go test -run '^$$' -fuzz "^$${target#func }\$$" -fuzztime $(or $(FUZZTIME),60s) "./$$(dirname "$$file")"; \
	done

# The releases of Go that are measured.
BENCH_GO := go1.26.8 go1.27.0

.PHONY: bench
bench: ## measure reading beside the alternatives, memory, and the methods of Report: COUNT=6
	@$(PIPES) dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	for go in $(BENCH_GO); do GOTOOLCHAIN=$$go go test -c -o "$$dir/$$go" ./pkg/mirror; done; \
	cd pkg/mirror; \
	for _ in $$(seq $(or $(COUNT),6)); do \
		for go in $(BENCH_GO); do \
			echo "toolchain: $$go"; \
			"$$dir/$$go" -test.run '^$$' -test.bench 'Read|List|Report' -test.benchtime 0.3s -test.benchmem; \
			"$$dir/$$go" -test.run '^$$' -test.bench Memory -test.benchtime 1x; \
		done; \
	done | tee "$$dir/lines"; \
	awk -f ../../.ci/bench.awk "$$dir/lines"

# oasdiff compares specifications; it is run at this version.
OASDIFF := github.com/oasdiff/oasdiff@v1.35.0

.PHONY: contract
contract: check-generate ## check code, requests and answers against the contract, and against ones that may come: VENDOR_SPEC=file
	go test -count=1 ./pkg/contract/...
	go test -count=1 -tags regenerate -run '^TestRegenerate_' ./pkg/contract
	@dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	$(MAKE) --no-print-directory contract-tools DIR="$$dir"; \
	OASDIFF="$$dir/oasdiff" go test -count=1 -tags oasdiff ./pkg/contract/internal/specdiff

.PHONY: contract-tools
contract-tools: ## build specdiff, which compares contracts, and oasdiff, which it needs: DIR=an-absolute-folder
	GOBIN='$(DIR)' go install $(OASDIFF)
	go build -o '$(DIR)/specdiff' ./pkg/contract/internal/specdiff

# SPEC reaches the program as it is: neither make nor the shell reads what is in it.
override export SPEC := $(value SPEC)

.PHONY: contract-diff
contract-diff: ## say what another specification would break here: SPEC=file-or-URL (the last line printed says which it was)
	@dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	$(MAKE) --no-print-directory --silent contract-tools DIR="$$dir" >&2; \
	"$$dir/specdiff" -oasdiff "$$dir/oasdiff" -- "$$SPEC"

.PHONY: generate
generate: ## make gen/ from api/openapi.yaml
	go generate ./...

.PHONY: check-generate
check-generate: ## generate into a temporary folder, and fail if that is not what gen/ holds
	@echo 'generating, to compare; the generator is built first ...'
	@tmp=$$(mktemp -d); trap 'rm -rf "$$tmp"' EXIT; \
	cp -R api go.mod go.sum tools.go "$$tmp"; mkdir "$$tmp/gen"; \
	(cd "$$tmp" && go generate ./...); \
	diff -r --exclude .gitattributes "$$tmp/gen" gen || \
		{ echo 'gen/ is not what api/openapi.yaml generates: commit the outcome of make generate'; exit 1; }

.PHONY: lint
lint: ## run the linter, which is installed if it is not there
	@[ "$$($(LINT) version --short 2>/dev/null)" = $(LINT_VERSION) ] || { \
		echo 'installing the linter, which takes a minute or two ...'; \
		go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$(LINT_VERSION); }
	@echo 'running the linter, which takes half a minute if nothing is cached ...'
	$(LINT) run --config .github/golangci.yml ./...

.PHONY: check
check: check-generate lint ## what CI checks beside the tests and the demo
	go mod tidy -diff
	@echo 'checking the examples with modules of their own ...'
	cd pkg/examples/integrations && go mod tidy -diff && go vet ./... && go test ./...

.PHONY: check-platforms
check-platforms: ## vet the code for Windows, and the library for a browser
	GOOS=windows go vet ./...
	GOOS=js GOARCH=wasm go vet ./pkg/mirror/... ./pkg/wait/... ./pkg/mirrortest/...

.PHONY: ci
ci: ## run the tests, the checks and the demo, as CI does
	.ci/run
