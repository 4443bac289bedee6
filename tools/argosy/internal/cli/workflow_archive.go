package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/bus"
	"github.com/argosy-mesh/argosy/libs/flow/archive"
	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/dynamic"
)

// where says which workflows a command means.
type where struct {
	namespace string
	archived  bool
}

func (w *where) flags(c *cobra.Command, namespace, usage string) {
	c.Flags().StringVarP(&w.namespace, "namespace", "n", namespace, usage)
	c.Flags().BoolVar(&w.archived, "archived", false, "of the archive, where they stay when their objects are gone")
}

// runs are workflows in a list.
type runs []archive.Record

func (r runs) text(w io.Writer) {
	rows := [][]string{{"NAMESPACE", "NAME", "PHASE", "PROGRESS", "STARTED", "TOOK", "UID", "MESSAGE"}}
	for _, one := range r {
		started, took := "", ""
		if !one.StartedAt.IsZero() {
			started = one.StartedAt.UTC().Format(time.RFC3339)
		}
		if !one.FinishedAt.IsZero() {
			took = one.FinishedAt.Sub(one.StartedAt).Round(time.Second).String()
		}
		rows = append(
			rows,
			[]string{
				one.Namespace, one.Name, string(one.Phase), one.Progress, started, took, one.UID, clip(one.Message, 80),
			},
		)
	}
	table(w, rows)
}

func (a *app) workflowList() *cobra.Command {
	var w where
	var phase, selector string
	limit := 0
	c := &cobra.Command{
		Use:   "list",
		Short: "List workflows, the latest first",
		Args:  args(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			chosen, err := labels.Parse(selector)
			if err != nil {
				return fmt.Errorf("%w: --selector: %w", errUsage, err)
			}
			read := a.live
			if w.archived {
				read = a.archived
			}
			all, err := read(c.Context(), w.namespace)
			if err != nil {
				return err
			}
			all = slices.DeleteFunc(all, func(r archive.Record) bool {
				return phase != "" && !strings.EqualFold(string(r.Phase), phase) ||
					!chosen.Matches(labels.Set(r.Labels))
			})
			if limit > 0 && len(all) > limit {
				all = all[:limit]
			}
			return a.print(runs(all))
		},
	}
	w.flags(c, "", "namespace; all when it is empty")
	c.Flags().StringVar(&phase, "phase", "", "only those of this phase")
	c.Flags().StringVarP(&selector, "selector", "l", "", "only those with these labels")
	c.Flags().IntVar(&limit, "limit", 100, "at most so many; 0 means all")
	return c
}

// archived are the workflows of the archive.
func (a *app) archived(ctx context.Context, namespace string) ([]archive.Record, error) {
	b, err := a.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	return records(ctx, b, namespace)
}

func records(ctx context.Context, b *bus.Bus, namespace string) ([]archive.Record, error) {
	stored, err := b.KV(bus.ArchiveBucket).Entries(ctx, archive.Prefix(namespace))
	if err != nil {
		return nil, err
	}
	all, err := archive.Read(stored)
	if len(all) == 0 {
		return nil, err
	}
	return all, nil // one that cannot be read must not hide the others
}

// live are the workflows of the cluster.
func (a *app) live(ctx context.Context, namespace string) ([]archive.Record, error) {
	client, err := a.workflows(namespace)
	if err != nil {
		return nil, err
	}
	list, err := client.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list workflows: %w", err)
	}
	var all []archive.Record
	for i := range list.Items {
		// What can be read of a malformed one is enough for a list.
		wf, _, _ := v1alpha1.DecodeTolerant[v1alpha1.Workflow](list.Items[i].Object)
		all = append(all, archive.RecordOf(wf))
	}
	slices.SortStableFunc(all, func(x, y archive.Record) int { return y.StartedAt.Compare(x.StartedAt) })
	return all, nil
}

func (a *app) workflows(namespace string) (dynamic.ResourceInterface, error) {
	cfg, err := kube.Config(a.kubeconfig)
	if err != nil {
		return nil, err
	}
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("reach the cluster: %w", err)
	}
	return client.Resource(v1alpha1.GroupVersion.WithResource("workflows")).Namespace(namespace), nil
}

// whole is one workflow. Printed as JSON or YAML it is its manifest.
type whole struct{ *v1alpha1.Workflow }

func (o whole) text(w io.Writer) {
	r := archive.RecordOf(o.Workflow)
	fmt.Fprintf(w, "workflow %s/%s %s%s\n", r.Namespace, r.Name, r.Phase, suffixed(o.Status.Message))
	fmt.Fprintf(w, "uid %s, progress %s\n", r.UID, r.Progress)
	if !r.FinishedAt.IsZero() {
		fmt.Fprintf(w, "from %s to %s\n", r.StartedAt.Format(time.RFC3339), r.FinishedAt.Format(time.RFC3339))
	}
	rows := [][]string{{"NODE", "TYPE", "PHASE", "MESSAGE"}}
	for _, id := range slices.SortedFunc(
		maps.Keys(o.Status.Nodes),
		func(x, y string) int { return strings.Compare(o.Status.Nodes[x].Name, o.Status.Nodes[y].Name) },
	) {
		n := o.Status.Nodes[id]
		rows = append(rows, []string{printable(n.Name), string(n.Type), string(n.Phase), clip(n.Message, 100)})
	}
	table(w, rows)
}

func (a *app) workflowGet() *cobra.Command {
	var w where
	c := &cobra.Command{
		Use:   "get NAME|UID",
		Short: "Show a workflow and its nodes; of several archived ones of a name the last",
		Args:  args(1, 1),
		RunE: func(c *cobra.Command, given []string) error {
			read := a.readLive
			if w.archived {
				read = a.readArchived
			}
			wf, err := read(c.Context(), w.namespace, given[0])
			if err != nil {
				return err
			}
			return a.print(whole{wf})
		},
	}
	w.flags(c, "default", "namespace")
	return c
}

func (a *app) readLive(ctx context.Context, namespace, name string) (*v1alpha1.Workflow, error) {
	client, err := a.workflows(namespace)
	if err != nil {
		return nil, err
	}
	u, err := client.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("get workflow %s/%s (--archived finds those that are gone): %w", namespace, name, err)
	}
	wf, _, err := v1alpha1.DecodeTolerant[v1alpha1.Workflow](u.Object)
	return wf, err
}

func (a *app) readArchived(ctx context.Context, namespace, name string) (*v1alpha1.Workflow, error) {
	b, err := a.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	all, err := records(ctx, b, namespace)
	if err != nil {
		return nil, err
	}
	if all = archive.Named(all, name); len(all) == 0 {
		return nil, fmt.Errorf("no workflow %s/%s is archived", namespace, name)
	}
	wf, err := unshelve(ctx, b, all[0])
	if errors.Is(err, bus.ErrNotFound) {
		return nil, fmt.Errorf("workflow %s/%s was just removed from the archive", namespace, name)
	}
	return wf, err
}

// unshelve reads the workflow of a record.
func unshelve(ctx context.Context, b *bus.Bus, r archive.Record) (*v1alpha1.Workflow, error) {
	return archive.Open(r,
		func(key string) ([]byte, uint64, error) { return b.KV(bus.ArchiveBucket).Get(ctx, key) },
		func(name string) (io.ReadCloser, error) { return b.Objects(bus.ArchiveBucket).Open(ctx, name) })
}

// resubmitted says what becomes of a workflow that is done anew.
type resubmitted struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"` // of the new workflow
	Key       string `json:"key"`
}

func (r resubmitted) text(w io.Writer) {
	fmt.Fprintf(w, "workflow %s/%s is asked for\n", r.Namespace, r.Name)
}

func (a *app) workflowResubmit() *cobra.Command {
	namespace, key := "", ""
	c := &cobra.Command{
		Use:   "resubmit NAME",
		Short: "Run a workflow anew, one of the archive when its object is gone",
		Args:  args(1, 1),
		RunE: func(c *cobra.Command, given []string) error {
			if key == "" {
				key = strings.ToLower(rand.Text())
			}
			// The runner makes a name of its beginning.
			if len(key) < 10 || !plainKey(key) {
				return fmt.Errorf(
					"%w: --key %s must have at least 10 small letters and digits", errUsage, strconv.Quote(key),
				)
			}
			b, err := a.connect(c.Context())
			if err != nil {
				return err
			}
			defer b.Close()
			ask := events.OperateWorkflow{
				Key: key, Operation: "resubmit", Namespace: namespace, Kind: "Workflow", Name: given[0],
			}
			e, err := bus.NewEvent(
				bus.Key("resubmit", namespace, given[0], key), "argosy-cli", events.TypeOperateWorkflow, ask,
			)
			if err != nil {
				return err
			}
			if err := b.Publish(
				c.Context(), events.CommandSubject(events.ServiceWorkflowRunner, "resubmit", namespace), e,
			); err != nil {
				return err
			}
			return a.print(resubmitted{Namespace: namespace, Name: given[0] + "-" + key[:10], Key: key})
		},
	}
	c.Flags().StringVarP(&namespace, "namespace", "n", "default", "namespace")
	c.Flags().StringVar(
		&key, "key", "", "the same key runs it once, however often it is asked for (default: a new one)",
	)
	return c
}

func plainKey(key string) bool {
	return !strings.ContainsFunc(key, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
}
