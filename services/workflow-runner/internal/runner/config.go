package runner

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/libs/core/config"
	"github.com/argosy-mesh/argosy/libs/flow/archive"
	"github.com/argosy-mesh/argosy/libs/identity"
	"github.com/argosy-mesh/argosy/libs/service"
	"github.com/argosy-mesh/argosy/services/workflow-runner/internal/store"
)

// Config is what the service needs to know.
type Config struct {
	config.Common
	ExecutorImage string // image of the executor, for pods whose outputs are collected
	BridgeImage   string // image of what stands beside artifact drivers
	ArtifactURL   string // where pods reach this service's artifact store
	ImagePrograms string // file that says what images run
	// namespace of what the namespaces of workflows do not have: artifact repositories, executor plugins
	Repositories string
	HTTPReach    string // public, or any: whether http templates reach loopback and link-local addresses
	Insecure     string // registries that are asked over plain HTTP, comma separated
	Scratch      string // folder for Git repositories that are fetched for pods
	KnownHosts   string // file with the host keys of Git servers
	GCS          string // where Google Cloud Storage is
	Own          identity.Own
	Archive      archive.Limits
	Admission    admissionConfig
}

// admissionConfig says whether and how workflows are judged before the API server takes them.
type admissionConfig struct {
	Address   string // where reviews are served; "": nowhere
	Hosts     string // names that the API server reaches us by, comma separated
	Secret    string // namespace/name of the Secret with our own authority
	Webhook   string // name of the ValidatingWebhookConfiguration
	Cert, Key string // files of a certificate, in the place of our own
}

func (c *admissionConfig) flags(f *config.Flags) {
	f.Text(&c.Address, "admission-address", "",
		"where workflows are judged before the API server takes them, such as :8443; nowhere when it is empty")
	f.Text(&c.Hosts, "admission-host", "workflow-admission.argosy.svc",
		"names and addresses that the API server reaches --admission-address by, comma separated")
	f.Text(&c.Secret, "admission-secret", "argosy/workflow-runner-admission",
		"namespace/name of the Secret where the authority is kept that vouches for --admission-host; made when it is not there")
	f.Text(&c.Webhook, "admission-webhook", "argosy-workflow-runner",
		"name of the ValidatingWebhookConfiguration that is told of that authority")
	f.Text(&c.Cert, "admission-cert", "", "file with a certificate of somebody else's for --admission-host; the ValidatingWebhookConfiguration is then left alone")
	f.Text(&c.Key, "admission-key", "", "file with the private key of --admission-cert")
	f.Check(func() error {
		if (c.Cert == "") != (c.Key == "") {
			return errors.New("--admission-cert and --admission-key come together")
		}
		if namespace, name, ok := strings.Cut(c.Secret, "/"); c.Address != "" && c.Cert == "" &&
			(!ok || namespace == "" || name == "") {
			return fmt.Errorf("--admission-secret: %q is not namespace/name", c.Secret)
		}
		return nil
	})
}

func parse(args []string, getenv func(string) string, out io.Writer) (Config, error) {
	var c Config
	f := config.New("workflow-runner", getenv, out)
	f.Common(&c.Common)
	f.Text(&c.ExecutorImage, "executor-image", "argosy/executor:dev", "image of the executor")
	f.Text(&c.BridgeImage, "artifact-bridge-image", "argosy/artifact-bridge:dev",
		"image of what stands beside artifact drivers in their pods")
	f.Text(&c.ArtifactURL, "artifact-url", "http://workflow-runner.argosy.svc:8080",
		"where pods reach the built-in artifact store")
	f.Text(&c.ImagePrograms, "image-programs", "",
		"YAML file {image: {entrypoint: [], cmd: []}}, for containers that name no command")
	f.Text(&c.Repositories, "repository-namespace", "argosy",
		"where an artifactRepositoryRef is looked up that the workflow's own namespace does not have, executor plugins for all namespaces, and the ConfigMap workflow-controller-configmap with artifactDrivers")
	f.Text(&c.HTTPReach, "http-reach", "public",
		"where http templates and artifact stores may be: public, or any, which adds loopback and link-local addresses such as a cloud's metadata")
	f.Text(&c.Insecure, "insecure-registry", "",
		"registries that are asked over plain HTTP what images run, as images name them, comma separated")
	f.Text(&c.Scratch, "scratch", os.TempDir(), "folder for Git repositories that are fetched for pods")
	f.Text(&c.KnownHosts, "git-known-hosts", "", "file with the host keys of Git servers, as ssh-keyscan prints them")
	f.Text(&c.GCS, "gcs-endpoint", store.GCS, "where Google Cloud Storage is")
	f.Number(&c.Archive.Count, "archive-count", 10_000,
		"workflows that ended and are kept in the archive; 0 keeps none")
	f.Span(&c.Archive.Age, "archive-age", 30*24*time.Hour,
		"how long workflows that ended are kept in the archive; 0 keeps them for good")
	identity.Declare(f, &c.Own)
	c.Admission.flags(f)
	f.Check(func() error {
		if c.HTTPReach != "public" && c.HTTPReach != "any" {
			return fmt.Errorf("--http-reach: %q is neither public nor any", c.HTTPReach)
		}
		return nil
	})
	f.Check(func() error {
		if u, err := url.Parse(c.ArtifactURL); err != nil || u.Host == "" {
			return fmt.Errorf("--artifact-url: %q is not a URL such as http://host:8080", c.ArtifactURL)
		}
		return nil
	})
	if err := f.Parse(args); err != nil {
		return c, fmt.Errorf("%w: %w", service.ErrUsage, err)
	}
	return c, nil
}
