// Package stage reads manifests into the world in which a workflow begins, for those
// who play or run it without a cluster.
package stage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/library"
	"github.com/argosy-mesh/argosy/libs/flow/location"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// Stage is a workflow that is about to begin, and what it finds around it.
type Stage struct {
	World   flow.World
	Answers map[flow.Lookup]flow.Answer

	configs map[string]corev1.ConfigMap
}

// Options are what whoever submits a workflow may say.
type Options struct {
	Now        time.Time
	Parameters map[string]string // take the place of spec.arguments.parameters
	Entrypoint string            // takes the place of spec.entrypoint
}

// Read reads the documents of a manifest: one of them is played, the others are what
// it finds in its cluster. Where there is no Workflow, the last template is played as
// `argo submit --from` would.
func Read(manifest string, o Options) (*Stage, error) {
	p := &Stage{Answers: map[flow.Lookup]flow.Answer{}, configs: map[string]corev1.ConfigMap{},
		World: flow.World{Namespace: "default", UID: "local", Pods: map[string]flow.Pod{},
			Tasks:   map[string]flow.Task{},
			Answers: map[flow.Lookup]flow.Answer{}, Held: map[string]bool{}, Now: o.Now, Created: o.Now}}
	workflow, err := p.documents(manifest)
	if err != nil {
		return nil, err
	}
	if err := p.begin(workflow); err != nil {
		return nil, err
	}
	p.submit(o)
	return p, nil
}

// submit takes in what whoever submits says.
func (p *Stage) submit(o Options) {
	spec := &p.World.Spec
	if o.Entrypoint != "" {
		spec.Entrypoint = o.Entrypoint
	}
	if len(o.Parameters) > 0 && spec.Arguments == nil {
		spec.Arguments = &v1alpha1.Arguments{}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Parameters)) {
		given := v1alpha1.Parameter{Name: name, Value: v1alpha1.AnyStringPtr(o.Parameters[name])}
		at := slices.IndexFunc(spec.Arguments.Parameters,
			func(have v1alpha1.Parameter) bool { return have.Name == name })
		if at < 0 {
			spec.Arguments.Parameters = append(spec.Arguments.Parameters, given)
			continue
		}
		spec.Arguments.Parameters[at] = given
	}
}

// documents keeps what is found and returns what is played.
func (p *Stage) documents(manifest string) (*v1alpha1.Workflow, error) {
	var workflow *v1alpha1.Workflow
	var last *v1alpha1.WorkflowTemplateRef
	for document := range bytes.SplitSeq([]byte("\n"+manifest), []byte("\n---")) {
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		var head metav1.TypeMeta
		if err := yaml.Unmarshal(document, &head); err != nil {
			return nil, fmt.Errorf("manifest: %w", err)
		}
		switch head.Kind {
		case "Workflow", "", "CronWorkflow":
			if workflow != nil {
				return nil, errors.New("manifest: more than one document can be played; keep one Workflow or CronWorkflow")
			}
			w, err := played(head.Kind, document)
			if err != nil {
				return nil, err
			}
			workflow = w
		case "WorkflowTemplate", "ClusterWorkflowTemplate":
			name, err := p.addTemplate(head.Kind, document)
			if err != nil {
				return nil, err
			}
			last = &v1alpha1.WorkflowTemplateRef{Name: name, ClusterScope: head.Kind == "ClusterWorkflowTemplate"}
		case "ConfigMap":
			if err := p.addConfig(document); err != nil {
				return nil, err
			}
		}
	}
	if workflow == nil && last != nil {
		workflow = &v1alpha1.Workflow{Spec: v1alpha1.WorkflowSpec{WorkflowTemplateRef: last}}
	}
	if workflow == nil {
		return nil, errors.New("manifest: there is no Workflow, CronWorkflow or template in it")
	}
	return workflow, nil
}

// played returns the workflow that a document stands for.
func played(kind string, document []byte) (*v1alpha1.Workflow, error) {
	workflow := &v1alpha1.Workflow{}
	if kind != "CronWorkflow" {
		if err := yaml.Unmarshal(document, workflow); err != nil {
			return nil, fmt.Errorf("manifest: Workflow: %w", err)
		}
		return workflow, nil
	}
	var cron v1alpha1.CronWorkflow
	if err := yaml.Unmarshal(document, &cron); err != nil {
		return nil, fmt.Errorf("manifest: CronWorkflow: %w", err)
	}
	workflow.Name, workflow.Spec = cron.Name, cron.Spec.WorkflowSpec
	return workflow, nil
}

// begin makes the world in which a workflow starts.
func (p *Stage) begin(workflow *v1alpha1.Workflow) error {
	p.World.Name, p.World.Labels, p.World.Annotations, p.World.Spec = workflow.Name, workflow.Labels,
		workflow.Annotations,
		workflow.Spec
	if p.World.Name == "" {
		p.World.Name = "wf"
	}
	ref := workflow.Spec.WorkflowTemplateRef
	if ref == nil {
		return p.findRepository()
	}
	need := flow.Lookup{Kind: flow.LookupTemplate, Name: ref.Name}
	if ref.ClusterScope {
		need.Kind = flow.LookupClusterTemplate
	}
	found, ok := p.Answers[need]
	if !ok {
		return fmt.Errorf("manifest: spec.workflowTemplateRef: %s %q is not in the manifest", need.Kind, need.Name)
	}
	var spec v1alpha1.WorkflowSpec
	if err := json.Unmarshal(found.Value, &spec); err != nil {
		return err
	}
	merged, err := library.MergeSpec(workflow.Spec, spec)
	p.World.Spec = merged
	return errors.Join(err, p.findRepository())
}

// findRepository looks for the artifact repository of the workflow among the ConfigMaps.
func (p *Stage) findRepository() error {
	ref, name := p.World.Spec.ArtifactRepositoryRef, location.ConfigMap
	if ref != nil && ref.ConfigMap != "" {
		name = ref.ConfigMap
	}
	config, ok := p.configs[name]
	if !ok {
		return nil // whoever plays it has no other store than its own
	}
	_, repository, err := location.Pick(ref, config)
	p.World.Repository = repository
	return err
}

func (p *Stage) addTemplate(kind string, document []byte) (string, error) {
	var template v1alpha1.WorkflowTemplate
	if err := yaml.Unmarshal(document, &template); err != nil {
		return "", fmt.Errorf("manifest: %s: %w", kind, err)
	}
	raw, err := json.Marshal(template.Spec)
	p.Answers[flow.Lookup{Kind: flow.LookupKind(kind), Name: template.Name}] = flow.Answer{Value: raw}
	return template.Name, err
}

func (p *Stage) addConfig(document []byte) error {
	var config corev1.ConfigMap
	if err := yaml.Unmarshal(document, &config); err != nil {
		return fmt.Errorf("manifest: ConfigMap: %w", err)
	}
	p.configs[config.Name] = config
	for key, value := range config.Data {
		raw, err := json.Marshal(value)
		if err != nil {
			return err
		}
		p.Answers[flow.Lookup{Kind: flow.LookupConfigMap, Name: config.Name, Key: key}] = flow.Answer{Value: raw}
	}
	return nil
}
