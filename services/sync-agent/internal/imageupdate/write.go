package imageupdate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/libs/facts"
	"github.com/argosy-mesh/argosy/schemas/events"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/image"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/push"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/forge"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/git"
)

// batch are the updates of one event that go into one commit.
type batch []update

// batches puts together what is written in one branch of one repository, with one message.
func batches(updates []update) []batch {
	var out []batch
	at := map[[5]string]int{}
	for _, u := range updates {
		base := cmp.Or(u.updater.Branch, u.source.TargetRevision)
		key := [5]string{
			push.NormalURL(u.source.RepoURL), base, u.updater.Push, u.updater.Message, u.updater.PullRequest,
		}
		i, is := at[key]
		if !is {
			i = len(out)
			at[key] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], u)
	}
	return out
}

// described is what templates see of a batch. The tags that are replaced are known once the files are read.
func (b batch) described(replaced map[string]string) image.Batch {
	out := image.Batch{Application: b[0].app.Name, Namespace: b[0].app.Namespace}
	for _, u := range b {
		i := image.Updated{
			Name: u.rule.Name, Alias: u.rule.Alias, NewTag: u.pushed.Tag, OldTag: replaced[u.key()],
		}
		if u.rule.Strategy == image.Digest {
			i.NewTag = u.pushed.Digest
		}
		// One line for an image, however many applications run it; the first that had one says the tag before.
		same := slices.IndexFunc(out.Images, func(o image.Updated) bool {
			return o.Name == i.Name &&
				o.NewTag == i.NewTag
		})
		if same < 0 {
			out.Images = append(out.Images, i)
		} else if out.Images[same].OldTag == "" {
			out.Images[same].OldTag = i.OldTag
		}
	}
	return out
}

// write commits the images and tells about them. Doing so again changes nothing and tells the same.
func (h *Updater) write(ctx context.Context, b batch) error {
	first := b[0]
	failed := func(err error) error { return fmt.Errorf("update image of application %s: %w", first.name(), err) }
	m, err := h.Sources.Mirror(ctx, first.source.RepoURL)
	if err != nil {
		return err
	}
	base, err := m.Branch(ctx, cmp.Or(first.updater.Branch, first.source.TargetRevision))
	if err != nil {
		return err
	}
	change := git.Change{Branch: base, Base: base, Author: h.Author}
	if first.updater.Push != "" {
		name, err := b.described(nil).BranchName(first.updater.Push)
		if err != nil {
			return failed(fault.AsPoison(err))
		}
		if change.Branch, err = m.Branch(ctx, name); err != nil {
			return failed(fault.AsPoison(err))
		}
	}
	var message string
	change.Edit = func(head git.Head) (git.Edit, error) {
		edit, err := h.edit(ctx, b, head)
		message = edit.Message
		return edit, err
	}
	head, made, err := m.Apply(ctx, change)
	if err != nil {
		return failed(err)
	}
	if first.updater.PullRequest != "" && (made || b.wrote(head)) {
		title, body, _ := strings.Cut(cmp.Or(message, head.Message), "\n")
		err := h.Forges.Open(ctx, forge.Request{
			Kind: first.updater.PullRequest, Repository: first.source.RepoURL, Project: first.app.Spec.Project,
			Base: strings.TrimPrefix(base, "refs/heads/"), Head: strings.TrimPrefix(change.Branch, "refs/heads/"),
			Title: title, Body: strings.TrimSpace(body),
		})
		if err != nil {
			return failed(err)
		}
	}
	var errs []error
	for _, u := range b {
		errs = append(errs, h.tell(ctx, u, head))
	}
	return errors.Join(errs...)
}

// wrote reports whether the head is the commit of an earlier attempt.
func (b batch) wrote(head git.Commit) bool {
	for _, u := range b {
		if u.in(head) {
			return true
		}
	}
	return false
}

// in reports whether a commit is of this update.
func (u update) in(head git.Commit) bool { return strings.Contains(head.Message+"\n", u.trailer()) }

func (u update) trailer() string { return events.TrailerKey + ": " + u.key() + "\n" }

// tell publishes that the image of an update was committed, if the head says so.
func (h *Updater) tell(ctx context.Context, u update, head git.Commit) error {
	if !u.in(head) {
		h.leave(ctx, u, "unchanged")
		return nil
	}
	h.metrics.Commits.WithLabelValues("committed").Inc()
	h.Log.InfoContext(
		ctx, "image committed", "application", u.name(), "image", u.pushed.Reference(), "commit", head.SHA,
	)
	return facts.Publish(
		ctx,
		h.Bus,
		events.ServiceSyncAgent,
		facts.Fact{
			ID:      u.fact(),
			About:   facts.About("Application", u.app),
			Lineage: u.lineage,
			Body: events.ImageCommitted{
				Commit: head.SHA, Image: u.pushed.Reference(), Tag: u.pushed.Tag, Repository: u.source.RepoURL,
				Application: u.name(), Message: "image committed",
			},
		},
	)
}

// trailers continue the chain of the push: what the commit causes is caused by the first of its updates.
func trailers(changed []update) string {
	l := changed[0].lineage
	l.Causation = changed[0].fact()
	var out strings.Builder
	out.WriteString(l.Trailers())
	for _, u := range changed {
		out.WriteString(u.trailer())
	}
	return out.String()
}
