// Package archive keeps runs whose objects are gone: it stores each when it has ended, within limits, and finds it
// again.
package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/flow/archive"
	"github.com/argosy-mesh/argosy/libs/flow/nodes"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/journal"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/object"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// labelArchive with false keeps a workflow out of the archive. Source: Argo Workflows.
	labelArchive = "workflows.argoproj.io/archive-strategy"
	// ThinEvery is how often the archive is cut to its limits.
	ThinEvery = time.Minute
	// archiveKey decides which replica cuts.
	archiveKey = "workflow-archive"
)

// Archivist keeps runs that ended. It hears of them by the fact that is told before a workflow shows its end, and reads
// them from their journal: a crash before the fact is acknowledged does it again, with the same outcome.
type Archivist struct {
	Bus    *bus.Bus
	Limits archive.Limits
	Owns   func(key string) bool
	Log    *slog.Logger
	Every  time.Duration
}

// Consumer describes the facts that it hears of ends by.
func (a *Archivist) Consumer() bus.Consumer {
	return bus.Consumer{Stream: bus.Facts, Name: "workflow-runner-archive", AckWait: archivePatience,
		Filters: []string{"facts.workflow-runner." + events.FactWorkflowFinished + ".>"}}
}

// archivePatience is how long a run that a killed replica had in hand waits for another.
const archivePatience = 10 * time.Second

// Handle archives the run of one fact.
func (a *Archivist) Handle(ctx context.Context, d bus.Delivery) ([]bus.Outgoing, error) {
	var fact events.Fact
	if err := d.DataAs(&fact); err != nil {
		return nil, fault.Poisonf("archive: fact %s: %w", d.ID(), err)
	}
	o := fact.Object
	known, _, err := journal.Replay(ctx, a.Bus, o.Namespace, o.UID)
	if err != nil {
		return nil, fmt.Errorf("archive workflow %s/%s: %w", o.Namespace, o.Name, err)
	}
	switch {
	case known.Spec == nil, !known.State.Phase.Completed():
		return nil, fault.Stalef("archive workflow %s/%s: it goes on, or its journal is gone", o.Namespace, o.Name)
	case a.Limits.Age > 0 && time.Since(known.State.FinishedAt) > a.Limits.Age,
		known.Origin.Labels[labelArchive] == "false":
		return nil, nil
	}
	return nil, a.store(ctx, archived(o, known))
}

// store keeps a workflow. Its record comes last: what a list shows can be read.
func (a *Archivist) store(ctx context.Context, wf *v1alpha1.Workflow) error {
	body, err := archive.Pack(wf)
	if err != nil {
		return fault.AsPoison(err)
	}
	uid, record := string(wf.UID), archive.RecordOf(wf)
	if record.Large = len(body) >= archive.LargeFrom; record.Large {
		err = a.Bus.Objects(bus.ArchiveBucket).Put(ctx, archive.Object(wf.Namespace, uid), bytes.NewReader(body))
	} else {
		err = a.Bus.KV(bus.ArchiveBucket).Put(ctx, archive.Body(wf.Namespace, uid), body)
	}
	if err == nil {
		err = a.Bus.KV(bus.ArchiveBucket).Put(ctx, archive.Key(wf.Namespace, uid), object.JSON(record))
	}
	if err != nil {
		return fmt.Errorf("archive workflow %s/%s: %w", wf.Namespace, wf.Name, err)
	}
	return nil
}

// archived is a workflow as its run left it: whole, whatever its object had room for.
func archived(o events.Object, known *journal.Run) *v1alpha1.Workflow {
	wf := &v1alpha1.Workflow{TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Workflow"}}
	wf.Namespace, wf.Name, wf.UID = o.Namespace, o.Name, types.UID(o.UID)
	wf.Labels, wf.Annotations, wf.CreationTimestamp = map[string]string{}, map[string]string{},
		metav1.NewTime(known.Origin.Created)
	maps.Copy(wf.Labels, known.Origin.Labels)
	maps.Copy(wf.Annotations, known.Origin.Annotations)
	if own := known.State.Metadata; own != nil {
		maps.Copy(wf.Labels, own.Labels)
		maps.Copy(wf.Annotations, own.Annotations)
	}
	wf.Labels[object.LabelPhase], wf.Labels[object.LabelCompleted] = string(known.State.Phase), "true"
	wf.Spec, wf.Status = *known.Spec, status.Of(known.State)
	wf.Status.Progress = status.Progress(nodes.Progress(known.State.Nodes))
	if len(wf.Spec.Templates) > 0 {
		wf.Spec.WorkflowTemplateRef = nil // it was taken in
	}
	if known.Repo != nil && !known.Repo.Default {
		wf.Status.ArtifactRepositoryRef = known.Repo
	}
	return wf
}

// Find reads the workflow of a name that ended last.
func (a *Archivist) Find(ctx context.Context, namespace, name string) (*v1alpha1.Workflow, error) {
	stored, err := a.Bus.KV(bus.ArchiveBucket).Entries(ctx, archive.Prefix(namespace))
	if err != nil {
		return nil, err
	}
	all, _ := archive.Read(stored) // what cannot be read is not it
	all = archive.Named(all, name)
	if len(all) == 0 {
		return nil, fault.Poisonf("there is no workflow %s/%s, nor is one archived", namespace, name)
	}
	return readArchived(ctx, a.Bus, all[0])
}

// readArchived reads the workflow of a record.
func readArchived(ctx context.Context, b *bus.Bus, r archive.Record) (*v1alpha1.Workflow, error) {
	return archive.Open(r, func(key string) ([]byte, uint64, error) { return b.KV(bus.ArchiveBucket).Get(ctx, key) },
		func(name string) (io.ReadCloser, error) { return b.Objects(bus.ArchiveBucket).Open(ctx, name) })
}

// Run cuts the archive to its limits, on one replica.
func (a *Archivist) Run(ctx context.Context) error {
	tick := time.NewTicker(a.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if !a.Owns(archiveKey) {
			continue
		}
		if err := a.thin(ctx, time.Now()); err != nil && ctx.Err() == nil {
			a.Log.WarnContext(ctx, "the archive of workflows was not cut to its limits; it will be tried again",
				"error", err)
		}
	}
}

// thin removes what is over the limits. The record goes last: as long as it is there, the next look removes the rest.
func (a *Archivist) thin(ctx context.Context, now time.Time) error {
	stored, err := a.Bus.KV(bus.ArchiveBucket).Entries(ctx, archive.Prefix(""))
	if err != nil {
		return err
	}
	all, err := archive.Read(stored)
	errs := []error{err}
	for _, r := range archive.Surplus(all, a.Limits, now) {
		// Where a run was retried it may have left both.
		err := errors.Join(a.Bus.Objects(bus.ArchiveBucket).Delete(ctx, archive.Object(r.Namespace, r.UID)),
			a.Bus.KV(bus.ArchiveBucket).Delete(ctx, archive.Body(r.Namespace, r.UID)))
		if err == nil {
			err = a.Bus.KV(bus.ArchiveBucket).Delete(ctx, archive.Key(r.Namespace, r.UID))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
