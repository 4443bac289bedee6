package driver

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path"
	"strconv"
	"sync"
	"time"

	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/task"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// Label is on the pods of drivers, with the name of the driver.
	Label = "argosy.dev/artifact-driver"
	// tokenAnnotation is what a request to the bridge in a pod must carry.
	tokenAnnotation = "argosy.dev/artifact-driver-token" //nolint:gosec // the name of an annotation

	socketVolume, stagingVolume, tmpVolume = "argosy-driver-socket", "argosy-driver-staging", "argosy-driver-tmp"
)

const (
	startTime = time.Minute            // one request waits as long for a driver that starts; whoever asked comes again
	lookEvery = 200 * time.Millisecond // while it starts
	tidyEvery = 10 * time.Minute       // pods that ended are looked for
)

// Pods keeps the pods of drivers: one per namespace and driver. No tenant's artifacts pass through another's pod.
type Pods struct {
	Core      kubernetes.Interface
	Reader    client.Reader // reads the ConfigMap
	Namespace string        // of the ConfigMap
	Image     string        // of the bridge
	Dial      func(ctx context.Context, network, address string) (net.Conn, error)
	Log       *slog.Logger

	mu     sync.Mutex
	known  []Driver
	readAt time.Time
	clock  func() time.Time
}

func (p *Pods) now() time.Time {
	if p.clock != nil {
		return p.clock()
	}
	return time.Now()
}

// At is a bridge that answers.
type At struct {
	Client   *http.Client
	URL      string
	Token    string
	Patience int64 // seconds that the driver may take to be connected to; 0: as usual
}

// Reach finds the bridge to a driver, and has its pod made when there is none. A driver that nobody configured is an
// error of class poison; one that has not started yet is one that passes.
func (p *Pods) Reach(ctx context.Context, namespace, name string) (At, error) {
	d, err := p.read(ctx, name)
	if err != nil {
		return At{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, fmt.Errorf("it did not answer within %s", startTime))
	defer cancel()
	for {
		at, why, err := p.look(ctx, namespace, d)
		if err != nil {
			return At{}, fmt.Errorf("artifact driver %s: %w", name, err)
		}
		if at.URL != "" {
			if why = p.answers(ctx, at); why == "" {
				return at, nil
			}
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return At{}, fmt.Errorf("artifact driver %s in namespace %s: %w: %s", name, namespace, context.Cause(ctx),
				why)
		}
	}
}

// look finds the pod, or makes it. Without a URL it is not there yet, and why says for what it waits.
func (p *Pods) look(ctx context.Context, namespace string, d Driver) (at At, why string, err error) {
	pods := p.Core.CoreV1().Pods(namespace)
	wanted := p.pod(namespace, d)
	pod, err := pods.Get(ctx, wanted.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		pod, err = pods.Create(ctx, wanted, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			pod, err = pods.Get(ctx, wanted.Name, metav1.GetOptions{})
		}
	}
	switch {
	case err != nil:
		return at, "", fmt.Errorf("pod %s: %w", wanted.Name, err)
	case pod.Annotations[tokenAnnotation] == "" || pod.Labels[Label] != d.Name:
		return at, "", fmt.Errorf("pod %s is of somebody else; remove it", pod.Name)
	case pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded:
		return at, "its pod has ended and is made again", p.drop(ctx, pod)
	case pod.Status.PodIP == "" || pod.DeletionTimestamp != nil:
		return at, task.WaitsFor(pod), nil
	}
	host := net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(protocol.BridgePort))
	return At{URL: "http://" + host, Token: pod.Annotations[tokenAnnotation], Patience: d.ConnectionTimeout,
		Client: &http.Client{Transport: &http.Transport{DialContext: p.Dial, DisableKeepAlives: true,
			MaxResponseHeaderBytes: 64 << 10}}}, task.WaitsFor(pod), nil
}

// drop removes a pod that ended: after a time without work, or evicted.
func (p *Pods) drop(ctx context.Context, pod *corev1.Pod) error {
	uid := pod.UID
	err := p.Core.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name,
		metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("remove pod %s, which ended: %w", pod.Name, err)
	}
	return nil
}

// answers asks whether a driver can be asked; the answer is why not.
func (p *Pods) answers(ctx context.Context, at At) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	res, err := at.Do(ctx, http.MethodGet, protocol.BridgeReady, "", nil)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusNoContent {
		return "it answered " + res.Status
	}
	return ""
}

// pod is the pod of a driver. Its name follows from the namespace and the entry: every replica finds the same, and an
// entry that changes gets another.
func (p *Pods) pod(namespace string, d Driver) *corev1.Pod {
	sum := sha256.Sum256([]byte(d.Image + "\x00" + d.ServiceAccount + "\x00" + p.Image))
	name := "artifact-driver-" + d.Name[:min(len(d.Name), 36)] + "-" + hex.EncodeToString(sum[:4])
	dir := path.Join(protocol.DriversDir, d.Name)
	shared := []corev1.VolumeMount{{Name: socketVolume, MountPath: dir},
		{Name: stagingVolume, MountPath: protocol.DriverStagingDir}}
	always := corev1.ContainerRestartPolicyAlways
	bridge := corev1.Container{
		Name: "bridge", Image: p.Image, ImagePullPolicy: corev1.PullIfNotPresent, VolumeMounts: shared,
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}},
		Env: []corev1.EnvVar{{Name: protocol.BridgeDriver, Value: d.Name},
			{Name: protocol.BridgeToken, ValueFrom: &corev1.EnvVarSource{
				FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.annotations['" + tokenAnnotation + "']"}}}},
	}
	// The driver is a native sidecar: it is there before the bridge, and goes when the bridge has ended.
	driver := corev1.Container{
		Name: "driver", Image: d.Image, Args: []string{path.Join(dir, protocol.DriverSocket)}, RestartPolicy: &always,
		VolumeMounts: append([]corev1.VolumeMount{{Name: tmpVolume, MountPath: "/tmp"}}, shared...),
	}
	var volumes []corev1.Volume
	for _, volume := range []string{socketVolume, stagingVolume, tmpVolume} {
		volumes = append(volumes, corev1.Volume{Name: volume,
			VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{Label: d.Name},
			Annotations: map[string]string{tokenAnnotation: rand.Text()}},
		Spec: corev1.PodSpec{InitContainers: []corev1.Container{driver}, Containers: []corev1.Container{bridge},
			Volumes:       volumes,
			RestartPolicy: corev1.RestartPolicyOnFailure, ServiceAccountName: d.ServiceAccount,
			TerminationGracePeriodSeconds: new(int64(5)),
			SecurityContext:               task.Confined(nil, nil)},
	}
}

// Run removes the pods of drivers that ended because nobody needed them.
func (p *Pods) Run(ctx context.Context) error {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := p.tidy(ctx); err != nil && ctx.Err() == nil {
			p.Log.WarnContext(ctx, "pods of artifact drivers that ended stay", "error", err)
		}
	}
}

func (p *Pods) tidy(ctx context.Context) error {
	list, err := p.Core.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{LabelSelector: Label})
	if err != nil {
		return fmt.Errorf("list the pods of artifact drivers: %w", err)
	}
	var errs []error
	for i := range list.Items {
		pod := &list.Items[i]
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			errs = append(errs, p.drop(ctx, pod))
		}
	}
	return errors.Join(errs...)
}
