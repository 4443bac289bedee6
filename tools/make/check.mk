# What keeps the repository in order. Everything here obeys M=module.

LINT      := $(BIN)/golangci-lint
WORKSPACE  = $(shell go list -m -f '{{.Dir}}' | sed 's|^$(ROOT)/||')
# Checked beside the workspace, each by itself.
BESIDE    := $(filter-out e2e,$(LONERS) tools/testsum tools/structure)
CHECKED    = $(if $(M),$(M),$(WORKSPACE) $(BESIDE))
LINTED     = $(filter $(WORKSPACE),$(CHECKED))
# The stories need a node, and bring the product up for themselves in make test.
UNITS      = $(filter $(LONGEST),$(CHECKED)) $(filter-out e2e $(LONGEST),$(CHECKED))
# Their tests wait more than they work: they begin first, and others run beside.
LONGEST   := services/workflow-runner services/webhook-ingest
# The race detector needs cgo. Tests start control planes of their own from these programs.
TESTING    = CGO_ENABLED=1 ARGOSY_KUBE=$(BIN)/kube ARGOSY_LOCALCLUSTER=$(BIN)/localcluster $(BIN)/testsum
FLAGS     ?=

## ---- checking

.PHONY: check
check: fmt vet lint structure tidy aligned generate-check ## everything that can be said without running: format, vet, lint, structure, tidiness, generated code

.PHONY: fmt
fmt: ## list files that gofmt would change
	@out=$$(gofmt -l $(CHECKED)); test -z "$$out" || { echo "gofmt would change:"; echo "$$out"; exit 1; }

.PHONY: vet
vet: ## compile and vet each module as it ships, without the workspace
	@# Vet compiles what is imported; go build would link every program again, minutes for nothing.
	@for m in $(CHECKED); do (cd $$m && GOWORK=off go vet ./...) || { echo "in $$m"; exit 1; }; done

.PHONY: lint
lint: $(LINT) ## golangci-lint
	@test -z "$(LINTED)" || $(LINT) run --allow-parallel-runners $(LINTED:%=./%/...)
	@for m in $(filter $(BESIDE),$(CHECKED)); do (cd $$m && GOWORK=off $(LINT) run --allow-parallel-runners ./...) || exit 1; done

$(LINT): tools/lint/go.mod tools/lint/go.sum
	@mkdir -p $(BIN)
	@echo "building golangci-lint (minutes the first time)"
	@cd tools/lint && GOWORK=off GOBIN=$(BIN) go install tool
	@touch $@

.PHONY: structure
structure: $(BIN)/structure ## sizes, documentation, tests of the cores, which way imports point
	@$(BIN)/structure $(CHECKED)

.PHONY: tidy
tidy: ## say which go.mod or go.sum is untidy
	@for m in $(CHECKED); do (cd $$m && GOWORK=off go mod tidy -diff) || { echo "untidy: $$m"; exit 1; }; done

# Modules that are compiled with the same versions share what is compiled; the rest of tools/thirdparty keeps its own.
ALIGNED = $(WORKSPACE) tools/localcluster tools/thirdparty/coredns

.PHONY: aligned
aligned: ## say which modules ask for different versions of the same dependency
	@awk '/^\t[^ ]+ v[0-9]/ && !/argosy-mesh/ && !/=>/ {if (v[$$1] && v[$$1] != $$2) {print FILENAME ": " $$1 " " $$2 ", elsewhere " v[$$1]; bad = 1}; v[$$1] = $$2} END {exit bad}' \
	  $(ALIGNED:%=%/go.mod) || { echo "run make align"; exit 1; }

.PHONY: align
align: ## make all modules ask for the same versions
	@bash tools/align.sh $(ALIGNED)

## ---- generated code

CONTROLLER_GEN := $(BIN)/controller-gen
DEEPCOPY       := zz_generated.deepcopy.go
# The kinds whose definitions have schemas written from the Go types.
SCHEMATA       := $(addsuffix .yaml,applications applicationsets appprojects eventsources sensors eventbus workflows workflowtemplates clusterworkflowtemplates cronworkflows workfloweventbindings rollouts experiments analysistemplates clusteranalysistemplates analysisruns)

.PHONY: generate
generate: $(CONTROLLER_GEN) ## write the generated code again
	@cd schemas && GOWORK=off $(CONTROLLER_GEN) object paths=./argoproj/v1alpha1
	@cd schemas && GOWORK=off go run ./cmd/crdgen crds $(SCHEMATA:%=crds/%)

.PHONY: generate-check
generate-check: $(CONTROLLER_GEN) ## fail when the generated code is not what the sources say
	@cd schemas && GOWORK=off $(CONTROLLER_GEN) object paths=./argoproj/v1alpha1 output:dir=$(ROOT)/.cache/generated
	@cmp $(ROOT)/.cache/generated/$(DEEPCOPY) schemas/argoproj/v1alpha1/$(DEEPCOPY) || { echo "run make generate"; exit 1; }
	@cd schemas && GOWORK=off go run ./cmd/crdgen $(ROOT)/.cache/generated/crds $(SCHEMATA:%=crds/%)
	@for f in $(SCHEMATA); do cmp $(ROOT)/.cache/generated/crds/$$f schemas/crds/$$f || { echo "run make generate"; exit 1; }; done

$(CONTROLLER_GEN): tools/gen/go.mod tools/gen/go.sum
	@mkdir -p $(BIN)
	@cd tools/gen && GOWORK=off GOBIN=$(BIN) go install tool
	@touch $@

## ---- testing

$(BIN)/testsum: $(shell find tools/testsum -name '*.go')
$(BIN)/structure: $(shell find tools/structure -name '*.go')
$(BIN)/testsum $(BIN)/structure:
	@mkdir -p $(BIN)
	@cd tools/$(@F) && GOWORK=off go build -o $@ .

.PHONY: unit
unit: cluster-tools $(BIN)/testsum ## tests that need neither a node nor root, with the race detector
	@$(TESTING) -flags "-race $(FLAGS)" $(UNITS)

.PHONY: test
test: deps images $(BIN)/testsum ## all tests, each module as it ships, and the stories on a real cluster; one total at the end
	@ARGOSY_E2E=up $(TESTING) -standalone -jobs 2 -flags "-race -count=1 -timeout 40m $(FLAGS)" $(if $(filter e2e,$(CHECKED)),-last e2e) $(UNITS)

.PHONY: standalone
standalone: cluster-tools $(BIN)/testsum ## test each module as it ships, without the workspace
	@$(TESTING) -standalone -flags "$(FLAGS)" $(UNITS)

# The programs that charts and kustomizations are compared with, in the versions that upstream bundles.
PARITY      := $(BIN)/parity
PARITY_HELM := helm.sh/helm/v4/cmd/helm@v4.2.4
PARITY_KUST := sigs.k8s.io/kustomize/kustomize/v5@v5.8.1
PARITY_SOPS := github.com/getsops/sops/v3/cmd/sops@v3.13.3
PARITY_ALL  := $(PARITY)/helm $(PARITY)/kustomize $(PARITY)/sops

.PHONY: render-parity
render-parity: $(PARITY_ALL) ## compare what charts and kustomizations of others render to with helm and kustomize
	@cd services/sync-agent && RENDER_PARITY_TOOLS=$(PARITY) go test ./internal/render -run TestParity -count=1 -v

$(PARITY)/helm: PROGRAM = $(PARITY_HELM)
$(PARITY)/kustomize: PROGRAM = $(PARITY_KUST)
$(PARITY)/sops: PROGRAM = $(PARITY_SOPS)
$(PARITY_ALL):
	@mkdir -p $(PARITY)
	@cd $(PARITY) && GOWORK=off GOBIN=$(PARITY) go install $(PROGRAM)
