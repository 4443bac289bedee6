// Package ecs takes the place of Traefik's provider for AWS ECS, whose SDK is the
// largest single thing that Traefik is compiled from.
package ecs

import (
	"errors"

	"github.com/traefik/traefik/v3/pkg/config/dynamic"
	"github.com/traefik/traefik/v3/pkg/safe"
)

// Provider refuses to run.
type Provider struct{}

var errAbsent = errors.New("the ECS provider is not part of this build of Traefik")

// SetDefaults has nothing to set.
func (p *Provider) SetDefaults() {}

// Init refuses.
func (p *Provider) Init() error { return errAbsent }

// Provide refuses.
func (p *Provider) Provide(chan<- dynamic.Message, *safe.Pool) error { return errAbsent }
