package application

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/diff"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/health"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/project"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// settingsMap is the ConfigMap of what an installation sets for all Applications.
const settingsMap = "argocd-cm"

// customizationMemory is how long settings are remembered: a change of them needs no restart.
const customizationMemory = 15 * time.Second

// customizations are what an installation says of kinds: their health, and which of their fields do not count.
type customizations struct {
	reader    client.Reader // not cached
	namespace string

	mu    sync.Mutex
	at    time.Time
	data  map[string]string
	known *customized
}

// customized is what was made of one state of the settings. It is immutable.
type customized struct {
	engine   *health.Engine
	ignored  []v1alpha1.ResourceIgnoreDifferences
	managed  project.Managed
	problems []string
}

// get returns what the settings say now. Settings that cannot be read now are those that were read last.
func (c *customizations) get(ctx context.Context) (*customized, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known != nil && time.Since(c.at) < customizationMemory {
		return c.known, nil
	}
	var m corev1.ConfigMap
	err := c.reader.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: settingsMap}, &m)
	if err != nil && !apierrors.IsNotFound(err) {
		if c.known != nil {
			return c.known, nil
		}
		return nil, fmt.Errorf("read ConfigMap %s/%s: %w", c.namespace, settingsMap, err)
	}
	c.at = time.Now()
	if c.known == nil || !maps.Equal(c.data, m.Data) {
		c.known, c.data = customize(m.Data), m.Data
	}
	return c.known, nil
}

func customize(data map[string]string) *customized {
	engine, problems := health.New(data, health.Options{Clock: time.Now})
	out := &customized{engine: engine}
	for _, p := range problems {
		out.problems = append(out.problems, p.String())
	}
	for key, into := range map[string]*[]project.Filter{
		"resource.exclusions": &out.managed.Exclusions, "resource.inclusions": &out.managed.Inclusions,
	} {
		if err := yaml.Unmarshal([]byte(data[key]), into); err != nil {
			*into = nil
			out.problems = append(out.problems, key+": "+err.Error())
		}
	}
	for key, text := range data {
		kind, ok := strings.CutPrefix(key, "resource.customizations.ignoreDifferences.")
		if !ok {
			continue
		}
		var rule v1alpha1.ResourceIgnoreDifferences
		if err := yaml.Unmarshal([]byte(text), &rule); err != nil {
			out.problems = append(out.problems, key+": "+err.Error())
			continue
		}
		// A kind of a group is written group_Kind, one of the core group without the group; all is every kind.
		rule.Group, rule.Kind = "", kind
		if group, name, ok := strings.Cut(kind, "_"); ok {
			rule.Group, rule.Kind = group, name
		}
		if kind == "all" {
			rule.Group, rule.Kind = "*", "*"
		}
		rule.Name, rule.Namespace = "", ""
		out.ignored = append(out.ignored, rule)
	}
	return out
}

// customize takes the settings of the installation into the pass.
func (p *pass) customize(ctx context.Context) error {
	c, err := p.customizations.get(ctx)
	if err != nil {
		return err
	}
	p.customized = c
	rules, problems := diff.NewRules(p.app.Spec.IgnoreDifferences, c.ignored)
	p.ignore = rules
	for _, problem := range problems {
		p.report.condition("InvalidSpecError", "spec."+problem.Error())
	}
	for _, problem := range c.problems {
		p.report.condition("CustomizationWarning", settingsMap+": "+problem)
	}
	return nil
}

// manages reports whether objects of a kind are managed where the application goes.
func (p *pass) manages(kind schema.GroupKind) bool {
	return p.customized.managed.Manages(kind, p.cluster.Server)
}

// assess tells the health of an object, the zero value when it has none.
func (c *customized) assess(o *track.Object) health.Health {
	if h := c.engine.Assess(o); h != nil {
		return *h
	}
	return health.Health{}
}
