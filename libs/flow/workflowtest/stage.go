package workflowtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// stage reads the documents of a manifest: one of them is played, the others are what it finds in its cluster. Where
// there is no Workflow, the last template is played as `argo submit --from` would.
func (p *play) stage(manifest string) error {
	var workflow *v1alpha1.Workflow
	var last *v1alpha1.WorkflowTemplateRef
	for document := range bytes.SplitSeq([]byte("\n"+manifest), []byte("\n---")) {
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		var head metav1.TypeMeta
		if err := yaml.Unmarshal(document, &head); err != nil {
			return fmt.Errorf("manifest: %w", err)
		}
		switch head.Kind {
		case "Workflow", "", "CronWorkflow":
			if workflow != nil {
				return errors.New("manifest: more than one document can be played; keep one Workflow or CronWorkflow")
			}
			w, err := played(head.Kind, document)
			if err != nil {
				return err
			}
			workflow = w
		case "WorkflowTemplate", "ClusterWorkflowTemplate":
			name, err := p.addTemplate(head.Kind, document)
			if err != nil {
				return err
			}
			last = &v1alpha1.WorkflowTemplateRef{Name: name, ClusterScope: head.Kind == "ClusterWorkflowTemplate"}
		case "ConfigMap":
			if err := p.addConfig(document); err != nil {
				return err
			}
		}
	}
	if workflow == nil && last != nil {
		workflow = &v1alpha1.Workflow{Spec: v1alpha1.WorkflowSpec{WorkflowTemplateRef: last}}
	}
	if workflow == nil {
		return errors.New("manifest: there is no Workflow, CronWorkflow or template in it")
	}
	return p.begin(workflow)
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
func (p *play) begin(workflow *v1alpha1.Workflow) error {
	p.w.Name, p.w.Labels, p.w.Annotations, p.w.Spec = workflow.Name, workflow.Labels, workflow.Annotations, workflow.Spec
	if p.w.Name == "" {
		p.w.Name = "wf"
	}
	ref := workflow.Spec.WorkflowTemplateRef
	if ref == nil {
		return nil
	}
	need := flow.Need{Kind: flow.NeedTemplate, Name: ref.Name}
	if ref.ClusterScope {
		need.Kind = flow.NeedClusterTemplate
	}
	found, ok := p.found[need]
	if !ok {
		return fmt.Errorf("manifest: spec.workflowTemplateRef: %s %q is not in the manifest", need.Kind, need.Name)
	}
	var spec v1alpha1.WorkflowSpec
	if err := json.Unmarshal(found.Value, &spec); err != nil {
		return err
	}
	merged, err := flow.MergeTemplateSpec(workflow.Spec, spec)
	p.w.Spec = merged
	return err
}

func (p *play) addTemplate(kind string, document []byte) (string, error) {
	var template v1alpha1.WorkflowTemplate
	if err := yaml.Unmarshal(document, &template); err != nil {
		return "", fmt.Errorf("manifest: %s: %w", kind, err)
	}
	raw, err := json.Marshal(template.Spec)
	p.found[flow.Need{Kind: flow.NeedKind(kind), Name: template.Name}] = flow.Answer{Value: raw}
	return template.Name, err
}

func (p *play) addConfig(document []byte) error {
	var config corev1.ConfigMap
	if err := yaml.Unmarshal(document, &config); err != nil {
		return fmt.Errorf("manifest: ConfigMap: %w", err)
	}
	for key, value := range config.Data {
		raw, err := json.Marshal(value)
		if err != nil {
			return err
		}
		p.found[flow.Need{Kind: flow.NeedConfigMap, Name: config.Name, Key: key}] = flow.Answer{Value: raw}
	}
	return nil
}
