package imageupdate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/image"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/registry"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/render"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/source/git"
)

// draft is a commit that is being put together: later edits see what earlier ones wrote.
type draft struct {
	git.Head
	files map[string][]byte
}

func (d draft) read(name string) ([]byte, error) {
	if text, is := d.files[name]; is {
		return text, nil
	}
	return d.Read(name)
}

// edit writes the images of a batch. The registry is asked once more: when the tag has moved since, another event is on
// its way, and this one is stale.
func (h *Updater) edit(ctx context.Context, b batch, head git.Head) (git.Edit, error) {
	seen, err := h.look(ctx, b[0])
	if err != nil {
		return git.Edit{}, err
	}
	if seen.Digest != b[0].pushed.Digest {
		return git.Edit{}, fault.Stalef(
			"%s was %s and is %s now", b[0].pushed.Repository+":"+b[0].pushed.Tag, b[0].pushed.Digest, seen.Digest,
		)
	}
	d := draft{head, map[string][]byte{}}
	var changed batch
	replaced := map[string]string{}
	for _, u := range b {
		old, did, err := h.editOne(ctx, u, d)
		if err != nil {
			return git.Edit{}, fmt.Errorf("application %s: %w", u.name(), err)
		}
		if did {
			changed = append(changed, u)
			replaced[u.key()] = old
		}
	}
	if len(changed) == 0 {
		return git.Edit{}, nil
	}
	message, err := changed.described(replaced).Message(b[0].updater.Message)
	return git.Edit{Files: d.files, Message: message + trailers(changed)}, fault.AsPoison(err)
}

// file is how one form of target is read and written.
type file struct {
	name string
	read func(text []byte) (image.Value, error)
	set  func(text []byte, v image.Value) ([]byte, error)
}

// editOne writes one image and returns the tag that it replaced, and whether anything changed.
func (h *Updater) editOne(ctx context.Context, u update, d draft) (old string, changed bool, err error) {
	files, err := u.files(d)
	if err != nil {
		return "", false, err
	}
	for _, f := range files {
		text, err := d.read(f.name)
		if err != nil && !errors.Is(err, git.ErrNoFile) {
			return "", false, err
		}
		current, err := f.read(text)
		if err != nil {
			return "", false, fault.AsPoison(fmt.Errorf("%s: %w", f.name, err))
		}
		next := u.rule.Value(u.pushed)
		if !u.rule.Advances(current, next) || h.older(ctx, u, current, next) {
			continue
		}
		fresh, err := f.set(text, next)
		if err != nil {
			return "", false, fault.AsPoison(fmt.Errorf("%s: %w", f.name, err))
		}
		if !bytes.Equal(fresh, text) {
			d.files[f.name], old, changed = fresh, current.NewTag, true
		}
	}
	return old, changed, nil
}

// files are those that an update is written to.
func (u update) files(d draft) ([]file, error) {
	at := u.updater.Target.In(u.source.Path)
	switch u.updater.Target.Form {
	case image.Kustomization:
		name, err := kustomization(d, at)
		return []file{{
			name, func(text []byte) (image.Value, error) { return image.Read(text, u.rule.Entry) },
			func(text []byte, v image.Value) ([]byte, error) { return image.Set(text, v.InKustomization()) },
		}}, err
	case image.HelmValues:
		return []file{{
			at, func(text []byte) (image.Value, error) { return image.ReadValues(text, u.rule.Entry, u.rule.Keys) },
			func(text []byte, v image.Value) ([]byte, error) { return image.SetValues(text, u.rule.Keys, v) },
		}}, nil
	case image.Setters:
		return u.marked(d, at)
	}
	return []file{{
		path.Join(at, image.OverrideName(u.app.Name)),
		func(text []byte) (image.Value, error) { return image.ReadOverride(text, u.renderer, u.source, u.rule) },
		func(text []byte, v image.Value) ([]byte, error) {
			return image.SetOverride(text, u.renderer, u.source, u.rule, v)
		},
	}}, nil
}

func kustomization(d draft, dir string) (string, error) {
	var err error
	for _, name := range []string{"kustomization.yaml", "kustomization.yml", "Kustomization"} {
		if _, err = d.read(path.Join(dir, name)); err == nil {
			return path.Join(dir, name), nil
		}
	}
	return "", fmt.Errorf("there is no kustomization in /%s: %w", dir, err)
}

// maxMarked bounds the YAML files below a folder that are searched for markers.
const maxMarked = 5000

// marked are the files below a folder that have markers of the rule's policy: imagepolicy of the image, or its alias in
// the application's namespace.
func (u update) marked(d draft, dir string) ([]file, error) {
	policy := u.rule.Policy
	if policy == "" {
		policy = u.app.Namespace + ":" + u.rule.Alias
	}
	listing, err := d.List(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for name, e := range listing {
		if e.Kind == render.File && (strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml")) {
			names = append(names, name)
		}
	}
	if len(names) > maxMarked {
		return nil, fault.Poisonf("/%s holds more than %d YAML files to search for markers", dir, maxMarked)
	}
	slices.Sort(names)
	var entries []render.Entry
	for _, name := range names {
		entries = append(entries, listing[name])
	}
	blobs, err := d.Blobs(entries)
	if err != nil {
		return nil, err
	}
	var out []file
	for _, name := range names {
		text := blobs[listing[name].ID]
		if !image.HasMarker(text) {
			continue
		}
		if _, has, err := image.ReadMarkers(text, policy); err != nil || !has {
			continue // templates among manifests are no YAML
		}
		out = append(out, file{
			path.Join(dir, name),
			func(text []byte) (image.Value, error) {
				v, _, err := image.ReadMarkers(text, policy)
				return v, err
			},
			func(text []byte, v image.Value) ([]byte, error) { return image.SetMarkers(text, policy, v) },
		})
	}
	if len(out) == 0 {
		return nil, fault.Poisonf("no file below /%s has a marker of policy %s", dir, policy)
	}
	return out, nil
}

// older reports whether the registry knows the current image to be built later.
func (h *Updater) older(ctx context.Context, u update, current, next image.Value) bool {
	if u.rule.Strategy != image.NewestBuild || current.NewTag == "" || current.NewTag == next.NewTag {
		return false
	}
	created := func(tag string) (registry.Image, error) {
		reference, err := registry.Reference(u.pushed.Registry, u.pushed.Repository, tag)
		if err != nil {
			return registry.Image{}, err
		}
		return h.Registry.Look(ctx, reference, u.access)
	}
	was, err := created(current.NewTag)
	if err != nil || was.Created.IsZero() {
		return false // gone or not dated: the push itself is the newest we know
	}
	is, err := created(next.NewTag)
	return err == nil && !is.Created.IsZero() && is.Created.Before(was.Created)
}
