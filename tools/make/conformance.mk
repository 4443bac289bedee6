# Verdicts by data that others wrote; the project holds none of it.
#   make conformance KIND=schema DIR=folder ONLY=events

KIND ?=
ONLY ?=

.PHONY: conformance
conformance: ## judge the product by data in DIR: KIND=schema|events, ONLY=beginning of a name
	@mkdir -p $(BIN)
	@cd e2e && GOWORK=off $(BUILD) -o $(BIN)/conformance ./cmd/conformance
	@$(BIN)/conformance --kind "$(KIND)" --dir "$(DIR)" --only "$(ONLY)" --bin $(BIN)
