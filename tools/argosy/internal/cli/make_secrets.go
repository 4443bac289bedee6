package cli

import (
	"crypto/rand"
	"fmt"
	"io"
	"strings"

	"github.com/argosy-mesh/argosy/libs/kube"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// secretMade says what became of a Secret.
type secretMade struct {
	Name string `json:"name"`
	Made bool   `json:"made"` // false when it was there
}

type secretsMade []secretMade

func (s secretsMade) text(w io.Writer) {
	rows := [][]string{{"SECRET", "MADE"}}
	for _, one := range s {
		made := "no, it is there"
		if one.Made {
			made = "yes"
		}
		rows = append(rows, []string{one.Name, made})
	}
	table(w, rows)
}

// makeSecrets is what the chart's hook runs. It needs the right to make Secrets and none to read them: what is there is
// found out by making it.
func (a *app) makeSecrets() *cobra.Command {
	var namespace, key string
	c := &cobra.Command{
		Use:   "make-secrets NAME...",
		Short: "Make Secrets of a random password each, where they are missing",
		Args:  args(1, -1),
		RunE: func(c *cobra.Command, names []string) error {
			cfg, err := kube.Config(a.kubeconfig)
			if err != nil {
				return err
			}
			client, err := kubernetes.NewForConfig(cfg)
			if err != nil {
				return fmt.Errorf("connect to the cluster: %w", err)
			}
			var out secretsMade
			for _, name := range names {
				s := &corev1.Secret{
					ObjectMeta: metav1.ObjectMeta{Name: name},
					StringData: map[string]string{key: strings.ToLower(rand.Text())},
				}
				_, err := client.CoreV1().Secrets(namespace).Create(c.Context(), s, metav1.CreateOptions{})
				if err != nil && !apierrors.IsAlreadyExists(err) {
					return fmt.Errorf("make secret %s/%s: %w", namespace, name, err)
				}
				out = append(out, secretMade{Name: name, Made: err == nil})
			}
			return a.print(out)
		},
	}
	c.Flags().StringVarP(&namespace, "namespace", "n", "argosy", "namespace of the Secrets")
	c.Flags().StringVar(&key, "key", "password", "key of the password in each Secret")
	return c
}
