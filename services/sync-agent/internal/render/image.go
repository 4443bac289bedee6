package render

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
)

// keep stands in an override of an image for what the kustomization says.
const keep = "*"

// errImage says what an override looks like.
var errImage = errors.New("is no override of an image: name=newName, name:tag, name@digest, " +
	"name=newName:tag@digest are, with * for what stays")

// parseImage reads an override of an image as `kustomize edit set image` does.
func parseImage(text string) (types.Image, error) {
	name, to, renamed := strings.Cut(text, "=")
	if !renamed {
		to = text
	}
	base, tag, digest := splitImage(to)
	if name == "" || base == "" || base == text {
		return types.Image{}, fmt.Errorf("%q %w", text, errImage)
	}
	if !renamed {
		return types.Image{Name: base, NewTag: tag, Digest: digest}, nil
	}
	return types.Image{Name: name, NewName: base, NewTag: tag, Digest: digest}, nil
}

// splitImage takes a reference apart. A colon before the first slash is that of a port.
func splitImage(ref string) (name, tag, digest string) {
	from := max(strings.Index(ref, "/"), 0)
	name = ref
	if i := strings.Index(name[from:], "@"); i >= 0 {
		name, digest = name[:from+i], name[from+i+1:]
	}
	if i := strings.Index(name[from:], ":"); i >= 0 {
		name, tag = name[:from+i], name[from+i+1:]
	}
	return name, tag, digest
}

// setImages overrides images of a kustomization. What an override leaves out is gone, what it calls * stays.
func setImages(k *types.Kustomization, overrides []string) error {
	if len(overrides) == 0 {
		return nil
	}
	all := map[string]types.Image{}
	for _, text := range overrides {
		image, err := parseImage(text)
		if err != nil {
			return err
		}
		all[image.Name] = image
	}
	have := map[string]types.Image{}
	for _, image := range k.Images {
		have[image.Name] = image
	}
	for name, image := range all {
		old := have[name]
		image.NewName = kept(image.NewName, old.NewName)
		image.NewTag = kept(image.NewTag, old.NewTag)
		image.Digest = kept(image.Digest, old.Digest)
		all[name] = image
	}
	for name, image := range have {
		if _, overridden := all[name]; !overridden {
			all[name] = image
		}
	}
	k.Images = k.Images[:0]
	for _, image := range all {
		k.Images = append(k.Images, image)
	}
	slices.SortFunc(k.Images, func(a, b types.Image) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

func kept(value, old string) string {
	if value == keep {
		return old
	}
	return value
}
