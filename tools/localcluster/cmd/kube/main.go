// Command kube is etcd, every Kubernetes component of a local cluster, and
// kubectl, in one binary; the first argument, or the name it is called by,
// chooses. See package component.
package main

import (
	"os"

	"github.com/argosy-mesh/argosy/tools/localcluster/internal/component"
)

func main() {
	os.Exit(component.Main(os.Args))
}
