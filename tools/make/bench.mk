# Figures on a running cluster. BENCH passes flags on: make bench BENCH="--only hooks -o json".

BENCH ?=

.PHONY: bench
bench: ## figures beside their floors, on the running cluster
	@mkdir -p $(BIN)
	@cd e2e && GOWORK=off $(BUILD) -o $(BIN)/bench ./cmd/bench
	@$(BIN)/bench --kubeconfig $(KUBECONFIG_FILE) $(BENCH)
