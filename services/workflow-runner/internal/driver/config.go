// Package driver runs the artifact drivers of other people's stores: it reads which there are, and keeps a pod for each
// that a namespace needs, with a bridge beside the driver that this service asks.
package driver

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"
)

// ConfigMap is where the drivers are named. Source: Argo Workflows, artifactDrivers of its controller's ConfigMap, by
// itself or within config.
const ConfigMap = "workflow-controller-configmap"

// configAge is how long the ConfigMap is not read again.
const configAge = 5 * time.Second

// Driver is one entry of artifactDrivers.
type Driver struct {
	Name              string `json:"name"`
	Image             string `json:"image"`
	ConnectionTimeout int64  `json:"connectionTimeoutSeconds,omitempty"`
	// ServiceAccount is who it runs as, of the workflow's namespace; "" is its default one. It is not in upstream,
	// where drivers run in the pods of workflows.
	ServiceAccount string `json:"serviceAccountName,omitempty"`
}

// read finds the entry of a driver. One that is not there, or not as it must be, is an error of class poison.
func (p *Pods) read(ctx context.Context, name string) (Driver, error) {
	all, err := p.drivers(ctx)
	if err != nil {
		return Driver{}, err
	}
	var known []string
	for _, d := range all {
		if d.Name != name {
			known = append(known, d.Name)
			continue
		}
		if problems := validation.IsDNS1123Label(d.Name); len(problems) > 0 {
			return d, fault.Poisonf("artifactDrivers of ConfigMap %s/%s: name %q: %s", p.Namespace, ConfigMap, d.Name,
				problems[0])
		}
		if d.Image == "" {
			return d, fault.Poisonf("artifactDrivers of ConfigMap %s/%s: %s has no image", p.Namespace, ConfigMap,
				d.Name)
		}
		return d, nil
	}
	return Driver{}, fault.Poisonf("plugin: there is no artifact driver %q; artifactDrivers of ConfigMap %s/%s has %s",
		name, p.Namespace, ConfigMap, listed(known))
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func (p *Pods) drivers(ctx context.Context) ([]Driver, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known != nil && p.now().Sub(p.readAt) < configAge {
		return p.known, nil
	}
	var config corev1.ConfigMap
	err := p.Reader.Get(ctx, types.NamespacedName{Namespace: p.Namespace, Name: ConfigMap}, &config)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("read ConfigMap %s/%s: %w", p.Namespace, ConfigMap, err)
	}
	known, err := parse(config.Data)
	if err != nil {
		return nil, fault.Poisonf("ConfigMap %s/%s: %w", p.Namespace, ConfigMap, err)
	}
	p.known, p.readAt = known, p.now()
	return known, nil
}

// parse reads the drivers from the data of the ConfigMap.
func parse(data map[string]string) ([]Driver, error) {
	drivers := []Driver{}
	if text, ok := data["artifactDrivers"]; ok {
		if err := yaml.Unmarshal([]byte(text), &drivers); err != nil {
			return nil, fmt.Errorf("artifactDrivers: %w", err)
		}
		return drivers, nil
	}
	var whole struct {
		Drivers []Driver `json:"artifactDrivers"`
	}
	if err := yaml.Unmarshal([]byte(data["config"]), &whole); err != nil {
		return nil, fmt.Errorf("config: artifactDrivers: %w", err)
	}
	return append(drivers, whole.Drivers...), nil
}
