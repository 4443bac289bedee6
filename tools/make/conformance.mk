# Verdicts by data that others wrote; the project holds none of it.
#   make conformance KIND=schema DIR=folder ONLY=events

KIND ?=
# DIR is the data here, so that the cluster is the one in its usual place.
CONFORMANCE_KUBECONFIG ?= $(if $(filter existing,$(CLUSTER)),$(KUBECONFIG),$(ROOT)/.cluster/kubeconfig)
ONLY ?=

.PHONY: conformance
conformance: ## judge the product by data in DIR: KIND=schema|events|workflows|seed|health|rollouts|lint, ONLY=beginnings of names, by commas
	@mkdir -p $(BIN)
	@cd e2e && GOWORK=off $(BUILD) -o $(BIN)/conformance ./cmd/conformance
	@$(BIN)/conformance --kind "$(KIND)" --dir "$(DIR)" --only "$(ONLY)" --bin $(BIN) --kubeconfig "$(CONFORMANCE_KUBECONFIG)"

.PHONY: standins
standins: ## load stand-ins for the images that examples name into the local cluster
	@mkdir -p $(IMAGES)/standins
	@$(BIN)/images build --out $(IMAGES)/standins >/dev/null
	@$(BIN)/images build --out $(IMAGES)/standins -f e2e/conformance/images.yaml >/dev/null
	@$(BIN)/localcluster load --dir $(ROOT)/.cluster $(IMAGES)/standins/*.tar
