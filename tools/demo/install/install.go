// Package install brings manifests into a cluster by server-side apply, makes the
// secrets they need once, and waits until what they describe works.
package install

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// owner is the field manager of what is applied here.
const owner = "argosy-install"

// Installer applies to one cluster.
type Installer struct {
	client client.Client
	out    io.Writer // progress
	// Images is where our own images were pushed, such as registry.example.com/argosy;
	// empty means that the node has them already.
	Images string
}

// New connects to a cluster.
func New(cfg *rest.Config, out io.Writer) (*Installer, error) {
	c, err := client.New(cfg, client.Options{})
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	return &Installer{client: c, out: out}, nil
}

// Client is the connection, for more than applying.
func (i *Installer) Client() client.Client { return i.client }

// Apply applies every document of the files, given as paths or folders. A kind
// whose definition was applied a moment ago is waited for.
func (i *Installer) Apply(ctx context.Context, paths ...string) error {
	var objects []*unstructured.Unstructured
	for _, path := range paths {
		found, err := read(path)
		if err != nil {
			return err
		}
		objects = append(objects, found...)
	}
	slices.SortStableFunc(objects, func(a, b *unstructured.Unstructured) int { return rank(a) - rank(b) })
	for _, o := range objects {
		if i.Images != "" {
			relocate(o.Object, i.Images)
		}
		if err := i.applyOne(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

var ownImage = regexp.MustCompile(`^argosy/([a-z0-9-]+:dev)$`)

// relocate lets every string that is one of our images name the registry it is in.
func relocate(value any, registry string) any {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			v[key] = relocate(inner, registry)
		}
	case []any:
		for k, inner := range v {
			v[k] = relocate(inner, registry)
		}
	case string:
		return ownImage.ReplaceAllString(v, registry+"/$1")
	}
	return value
}

func rank(o *unstructured.Unstructured) int {
	switch o.GetKind() {
	case "CustomResourceDefinition", "Namespace":
		return 0
	case "ServiceAccount", "ConfigMap", "Secret":
		return 1
	case "ClusterRole", "Role", "ClusterRoleBinding", "RoleBinding", "Service", "GatewayClass":
		return 2
	}
	return 3
}

func read(path string) ([]*unstructured.Unstructured, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	files := []string{path}
	if info.IsDir() {
		if files, err = filepath.Glob(filepath.Join(path, "*.yaml")); err != nil {
			return nil, err
		}
	}
	var objects []*unstructured.Unstructured
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(raw), 4096)
		for {
			o := &unstructured.Unstructured{}
			if err := decoder.Decode(&o.Object); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			if o.GetKind() != "" {
				objects = append(objects, o)
			}
		}
	}
	return objects, nil
}

func (i *Installer) applyOne(ctx context.Context, o *unstructured.Unstructured) error {
	return retry(ctx, 30*time.Second, func() (bool, error) {
		err := i.client.Apply(
			ctx, client.ApplyConfigurationFromUnstructured(o.DeepCopy()), client.FieldOwner(owner),
			client.ForceOwnership,
		)
		if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
			return false, fmt.Errorf("apply %s %s: %w", o.GetKind(), o.GetName(), err)
		}
		if err != nil {
			return true, fmt.Errorf("apply %s %s/%s: %w", o.GetKind(), o.GetNamespace(), o.GetName(), err)
		}
		return true, nil
	})
}

// retry repeats try until it says it is done or time is up.
func retry(ctx context.Context, patience time.Duration, try func() (done bool, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		done, err := try()
		if done {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("after %s", patience), err)
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// Secret makes a secret with one random value, unless it is there; values given
// in more are set beside it. It returns the random value.
func (i *Installer) Secret(ctx context.Context, namespace, name, key string) (string, error) {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	err := i.client.Get(ctx, client.ObjectKeyFromObject(s), s)
	if err == nil {
		return string(s.Data[key]), nil
	}
	if !apierrors.IsNotFound(err) {
		return "", fmt.Errorf("read secret %s/%s: %w", namespace, name, err)
	}
	return i.Share(ctx, namespace, name, key, strings.ToLower(rand.Text()))
}

// Share makes a secret with a given value.
func (i *Installer) Share(ctx context.Context, namespace, name, key, value string) (string, error) {
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Data:       map[string][]byte{key: []byte(value)},
	}
	if err := i.client.Create(ctx, s); err != nil && !apierrors.IsAlreadyExists(err) {
		return "", fmt.Errorf("make secret %s/%s: %w", namespace, name, err)
	}
	return value, nil
}

// Ready waits until all Deployments of a namespace are available, and says what
// they lack when they are not in time.
func (i *Installer) Ready(ctx context.Context, namespace string, patience time.Duration) error {
	began := time.Now()
	err := retry(ctx, patience, func() (bool, error) {
		var list appsv1.DeploymentList
		if err := i.client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
			return false, err
		}
		var waiting []string
		for k := range list.Items {
			d := &list.Items[k]
			if d.Status.ObservedGeneration < d.Generation || d.Status.AvailableReplicas < *d.Spec.Replicas ||
				d.Status.UpdatedReplicas < *d.Spec.Replicas {
				waiting = append(waiting, fmt.Sprintf("%s %d/%d", d.Name, d.Status.AvailableReplicas, *d.Spec.Replicas))
			}
		}
		if len(waiting) > 0 {
			return false, fmt.Errorf("not available: %s%s", strings.Join(waiting, ", "), i.troubles(ctx, namespace))
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("wait for namespace %s: %w", namespace, err)
	}
	fmt.Fprintf(i.out, "namespace %s is ready (%s)\n", namespace, time.Since(began).Round(100*time.Millisecond))
	return nil
}

// troubles lists why containers of a namespace wait.
func (i *Installer) troubles(ctx context.Context, namespace string) string {
	var pods corev1.PodList
	if err := i.client.List(ctx, &pods, client.InNamespace(namespace)); err != nil {
		return ""
	}
	var b strings.Builder
	for k := range pods.Items {
		for _, c := range pods.Items[k].Status.ContainerStatuses {
			if w := c.State.Waiting; w != nil && w.Reason != "ContainerCreating" {
				fmt.Fprintf(&b, "; %s/%s: %s %s", pods.Items[k].Name, c.Name, w.Reason, w.Message)
			}
		}
	}
	return b.String()
}
