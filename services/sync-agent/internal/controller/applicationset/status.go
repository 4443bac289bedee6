package applicationset

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// fields are those of the status: one that says nothing any more is taken away.
var fields = []string{"conditions", "applicationStatus", "resources", "resourcesCount", "health"}

// report writes the status when it says something new.
func (p *pass) report(ctx context.Context, s v1alpha1.ApplicationSetStatus) error {
	next, err := tree(s)
	if err != nil {
		return err
	}
	before, err := tree(p.set.Status)
	if err != nil || reflect.DeepEqual(before, next) {
		return err
	}
	patch := map[string]any{}
	for _, f := range fields {
		if !reflect.DeepEqual(before[f], next[f]) {
			patch[f] = next[f]
		}
	}
	body, err := json.Marshal(map[string]any{"status": patch})
	if err != nil {
		return fmt.Errorf("encode status: %w", err)
	}
	written := p.raw.DeepCopy()
	if err := p.Client.Status().Patch(
		ctx, written, client.RawPatch(types.MergePatchType, body),
	); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	p.set.Status = s
	p.known.written = number(written.GetResourceVersion())
	return nil
}

func tree(s v1alpha1.ApplicationSetStatus) (map[string]any, error) {
	raw, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode status: %w", err)
	}
	out := map[string]any{}
	if err := json.Unmarshal(raw, &out); err != nil {
		return nil, fmt.Errorf("encode status: %w", err)
	}
	return out, nil
}
