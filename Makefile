# `make` prints help. `make M=services/sensor VERB` narrows check, unit, lint, tidy, standalone to one module.

SHELL := /bin/bash
.DEFAULT_GOAL := help
export GOTOOLCHAIN := local
export CGO_ENABLED ?= 0
# The same way of compiling for building, vetting and linting: each other way compiles every dependency again.
export GOFLAGS := $(strip $(filter-out -trimpath,$(GOFLAGS)) -trimpath)

ROOT    := $(CURDIR)
BIN     := $(ROOT)/bin
IMAGES  := $(ROOT)/.cache/images
CLUSTER ?= local
DIR     ?= $(ROOT)/.cluster
# Of an existing cluster: where it pulls our images from, and an address of a node for its ports.
REGISTRY ?=
NODE     ?= 127.0.0.1
M       ?=
# Asked from Go, not listed by hand. The tools that pull in all of Kubernetes, or of the third parties, stay out of
# the workspace and are checked beside it.
MODULES = $(if $(M),$(M),$(shell go list -m -f '{{.Dir}}' | sed 's|^$(ROOT)/||') $(LONERS))
LONERS  := tools/localcluster tools/images
SERVICES := webhook-ingest sensor workflow-runner sync-agent rollout-analyzer
THIRD    := nats-server registry traefik
# Programs of others that run beside the cluster.
HELPERS  := helm
# Images of one program of ours each, beside the services.
PARTNERS := executor artifact-bridge argosy web load
BUILD    = go build -ldflags "-s -w"

ifeq ($(CLUSTER),existing)
KUBECONFIG_FILE = $(KUBECONFIG)
else
KUBECONFIG_FILE = $(DIR)/kubeconfig
endif

.PHONY: help
help: ## print this
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: deps
deps: ## install the Debian packages that a fresh machine lacks
	@bash tools/deps.sh

## ---- building

# One command for all: while one is linked the next is compiled.
PROGRAMS := $(foreach s,$(SERVICES),./services/$(s)/cmd/$(s)) ./services/workflow-runner/cmd/executor ./services/workflow-runner/cmd/artifact-bridge ./tools/argosy/cmd/argosy $(foreach b,demo web load gitserver,./tools/demo/cmd/$(b))

.PHONY: build
build: ## build our own programs into bin/
	@mkdir -p $(BIN)
	@$(BUILD) -o $(BIN)/ $(PROGRAMS)
	@cd tools/images && GOWORK=off $(BUILD) -o $(BIN)/images ./cmd/images

# What others wrote and the cluster share little that could be compiled twice at the same time.
.PHONY: programs
programs: build ## build everything that runs
	@$(MAKE) --no-print-directory -j2 third-party $(if $(filter existing,$(CLUSTER)),,cluster-tools)

.PHONY: cluster-tools
cluster-tools: ## build the local cluster (minutes the first time)
	@mkdir -p $(BIN)
	@cd tools/localcluster && GOWORK=off $(BUILD) -o $(BIN)/localcluster ./cmd/localcluster
	@$(BIN)/localcluster build

.PHONY: third-party
third-party: ## build what others wrote: nats-server, registry, traefik, helm (minutes the first time)
	@$(MAKE) --no-print-directory -C tools/thirdparty BIN=$(BIN) $(THIRD) $(HELPERS)

.PHONY: images
images: programs ## make the container images of everything that runs in the cluster
	@mkdir -p $(IMAGES)
	@$(BIN)/images build --out $(IMAGES) \
	  $(foreach b,$(filter-out sync-agent,$(SERVICES)) $(PARTNERS) $(THIRD),--binary $(b)=$(BIN)/$(b)) >/dev/null
	@$(BIN)/images build --out $(IMAGES) -f deploy/demo/images.yaml >/dev/null
	@ls $(IMAGES)/*.tar | wc -l | xargs -I{} echo "{} images in $(IMAGES)"

## ---- running

.PHONY: up
up: deps images ## bring up the cluster and everything in it (CLUSTER=existing uses $KUBECONFIG)
ifneq ($(CLUSTER),existing)
	@$(BIN)/localcluster up --dir $(DIR)
	@$(BIN)/localcluster load --dir $(DIR) $(addprefix $(IMAGES)/,$(addsuffix .tar,$(SERVICES) $(PARTNERS) $(THIRD) ci git prometheus))
else
	@test -n "$(REGISTRY)" || { echo "CLUSTER=existing needs REGISTRY=host/prefix, from which the cluster can pull"; exit 2; }
	@for i in $(SERVICES) $(PARTNERS) $(THIRD) ci git prometheus; do $(BIN)/images push $(IMAGES)/$$i.tar $(REGISTRY)/$$i:dev || exit 1; done
endif
	@$(BIN)/demo up --kubeconfig $(KUBECONFIG_FILE) --node $(NODE) --registry "$(REGISTRY)" --gateway-crds $$($(MAKE) -s -C tools/thirdparty gateway-api-crds)

.PHONY: demo
demo: up ## from a Git push to a promoted pod, and a bad one aborted
	@$(BIN)/demo run --kubeconfig $(KUBECONFIG_FILE) --node $(NODE)

.PHONY: down
down: ## remove everything that up made
	@test ! -x $(BIN)/localcluster || $(BIN)/localcluster down --dir $(DIR)

.PHONY: e2e
e2e: up ## the promises to users, played on the running product
	@cd e2e && ARGOSY_E2E_KUBECONFIG=$(KUBECONFIG_FILE) go test -count=1 -v ./stories

include tools/make/*.mk
