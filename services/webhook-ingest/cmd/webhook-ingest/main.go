// Command webhook-ingest takes in what others send, and loses nothing of it.
package main

import (
	"github.com/argosy-mesh/argosy/libs/service"
	"github.com/argosy-mesh/argosy/services/webhook-ingest/internal/ingest"
)

func main() { service.Main("webhook-ingest", ingest.Run) }
