package thin

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
)

// Informer makes what a cache follows objects of a kind with.
type Informer func(toolscache.ListerWatcher, runtime.Object, time.Duration,
	toolscache.Indexers) toolscache.SharedIndexInformer

// Informers makes informers for a cache: those of Workflows read whole objects only of what is owned, all others are as
// they always are.
func Informers(cfg *rest.Config, owns func(workflow string) bool) (Informer, error) {
	cfg = rest.CopyConfig(cfg)
	version := v1alpha1.GroupVersion
	cfg.APIPath, cfg.GroupVersion = "/apis", &version
	cfg.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	cfg.ContentType, cfg.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	c, err := rest.RESTClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("make a client for watches: %w", err)
	}
	return func(all toolscache.ListerWatcher, o runtime.Object, resync time.Duration,
		indexers toolscache.Indexers) toolscache.SharedIndexInformer {
		u, is := o.(*unstructured.Unstructured)
		if is && u.GroupVersionKind() == v1alpha1.Kind("Workflow") {
			all = &toolscache.ListWatch{
				ListWithContextFunc: listing(all, owns),
				WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
					return follow(ctx, c, options, owns)
				}}
		}
		return toolscache.NewSharedIndexInformer(all, o, resync, indexers)
	}, nil
}

// listing reads a page of workflows whole, and keeps of those of others what is needed.
func listing(all toolscache.ListerWatcher, owns func(workflow string) bool) toolscache.ListWithContextFunc {
	return func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		list, err := toolscache.ToListerWatcherWithContext(all).ListWithContext(ctx, options)
		if found, is := list.(*unstructured.UnstructuredList); is && err == nil {
			for i := range found.Items {
				if o := &found.Items[i]; !owns(o.GetNamespace() + "/" + o.GetName()) {
					Cut(o)
				}
			}
		}
		return list, err
	}
}

// follow watches workflows.
func follow(ctx context.Context, c rest.Interface, options metav1.ListOptions,
	owns func(workflow string) bool) (watch.Interface, error) {
	options.Watch, options.AllowWatchBookmarks = true, true
	body, err := c.Get().Resource("workflows").
		SpecificallyVersionedParams(&options, metav1.ParameterCodec, metav1.Unversioned).Stream(ctx)
	if err != nil {
		return nil, err
	}
	return watch.NewStreamWatcher(&stream{body: body, lines: bufio.NewReaderSize(body, 64<<10), owns: owns},
		apierrors.NewClientErrorReporter(http.StatusInternalServerError, http.MethodGet, "ClientWatchDecoding")), nil
}

// stream reads the events of a watch, each of which is a line.
type stream struct {
	body  io.ReadCloser
	lines *bufio.Reader
	owns  func(workflow string) bool
}

// Decode waits for the next event.
func (s *stream) Decode() (watch.EventType, runtime.Object, error) {
	line, err := s.lines.ReadBytes('\n')
	if err != nil {
		// A line that was cut off is told again by the next watch.
		return "", nil, err
	}
	return event(line, s.owns)
}

// Close ends a Decode that waits.
func (s *stream) Close() { _ = s.body.Close() }
