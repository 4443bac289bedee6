package certs

import (
	"encoding/base64"
	"fmt"
	"os"
)

const kubeconfig = `apiVersion: v1
kind: Config
clusters:
- name: %[1]s
  cluster:
    server: %[2]s
    certificate-authority-data: %[3]s
contexts:
- name: %[1]s
  context: {cluster: %[1]s, user: %[6]s}
current-context: %[1]s
users:
- name: %[6]s
  user:
    client-certificate-data: %[4]s
    client-key-data: %[5]s
`

// Kubeconfig renders the kubeconfig of an issued client, with its
// certificates inside, so that the file can be copied.
func (a *Authority) Kubeconfig(cluster, server, client string) ([]byte, error) {
	var parts [3]string
	for i, path := range []string{a.Cert("ca"), a.Cert(client), a.Key(client)} {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		parts[i] = base64.StdEncoding.EncodeToString(raw)
	}
	return fmt.Appendf(nil, kubeconfig, cluster, server, parts[0], parts[1], parts[2], client), nil
}
