// Command sensor turns events into actions, once.
package main

import (
	"github.com/argosy-mesh/argosy/libs/service"
	"github.com/argosy-mesh/argosy/services/sensor/internal/sensor"
)

func main() { service.Main("sensor", sensor.Run) }
