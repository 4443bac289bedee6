# Figures on a running cluster. BENCH passes flags on: make bench BENCH="--only hooks -o json".
# PEERS=1 adds Argo Events, which needs no cluster: make bench PEERS=1 BENCH="--only peers". Other builds of
# webhook-ingest stand beside ours: BENCH="--only peers --build older=/path/to/it".

BENCH ?=
PEERS ?=
BESIDE_PEER = --peer $(BIN)/argo-events --build argosy=$(BIN)/webhook-ingest --nats-server $(BIN)/nats-server --localcluster $(BIN)/localcluster

.PHONY: bench
bench: $(if $(PEERS),peers) ## figures beside their floors, on the running cluster; PEERS=1 adds Argo Events
	@mkdir -p $(BIN)
	@cd e2e && GOWORK=off $(BUILD) -o $(BIN)/bench ./cmd/bench
	@$(BIN)/bench --kubeconfig $(KUBECONFIG_FILE) $(if $(PEERS),$(BESIDE_PEER)) $(BENCH)

.PHONY: peers
peers: build cluster-tools ## build what others wrote that does what we do, and what it needs (minutes the first time)
	@$(MAKE) --no-print-directory -C tools/thirdparty BIN=$(BIN) nats-server
	@$(MAKE) --no-print-directory -C tools/peers BIN=$(BIN)
