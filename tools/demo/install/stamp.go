package install

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// annotationImages says of the pods of a Deployment which images they were made with.
const annotationImages = "argosy.dev/images"

// Only services are deployed anew. The bus, and the Git server and the registry of the demo, have data that lives as
// long as their pods.
const (
	stampedNamespace = "argosy"
	keptImage        = "nats-server"
)

// stamp marks the pods of a service with what their images hold. Our images keep their names from build to build, and
// without it the cluster would go on with pods of the older ones.
func (i *Installer) stamp(o *unstructured.Unstructured) error {
	if i.Archives == "" || o.GetKind() != "Deployment" || o.GetNamespace() != stampedNamespace {
		return nil
	}
	containers, _, err := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
	if err != nil {
		return fmt.Errorf("%s %s: %w", o.GetKind(), o.GetName(), err)
	}
	sum, found := sha256.New(), false
	for _, c := range containers {
		container, _ := c.(map[string]any)
		image, _ := container["image"].(string)
		m := ownImage.FindStringSubmatch(image)
		if m == nil {
			continue
		}
		name := strings.TrimSuffix(m[1], ":dev")
		if name == keptImage {
			return nil
		}
		err := add(sum, filepath.Join(i.Archives, name+".tar"))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it came another way
		}
		if err != nil {
			return fmt.Errorf("read the archive of image %s: %w", image, err)
		}
		found = true
	}
	if !found {
		return nil
	}
	return unstructured.SetNestedField(
		o.Object, hex.EncodeToString(sum.Sum(nil)[:16]), "spec", "template", "metadata", "annotations",
		annotationImages,
	)
}

func add(sum hash.Hash, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(sum, f)
	return err
}
