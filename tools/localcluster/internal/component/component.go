// Package component holds the programs of a Kubernetes node under one roof:
// etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubelet,
// kube-proxy and kubectl. They share most of their code, so that one binary
// costs little more to build than one of them.
//
// A program is named by the first argument (kube kubelet ...) or by the name
// the binary is called by, so that a symlink named kubectl is kubectl.
package component

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// programs maps a name to what builds its command. They are built on demand:
// each registers flags and metrics of its own.
var programs = map[string]func() *cobra.Command{
	"etcd":                    newEtcdCommand,
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllermanager.NewControllerManagerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kube-proxy":              proxy.NewProxyCommand,
	"kubectl":                 kubectl.NewDefaultKubectlCommand,
	"kubelet":                 func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
}

// Main runs the program that args name and returns its exit code. It replaces
// os.Args, which the programs read themselves.
func Main(args []string) int {
	name, rest := choose(args)
	build, known := programs[name]
	if !known {
		fmt.Fprintf(os.Stderr, "usage: kube %s [flags]\n", strings.Join(slices.Sorted(maps.Keys(programs)), "|"))
		return 2
	}
	os.Args = append([]string{name}, rest...)
	command := build()
	if name == "kubectl" {
		if err := cli.RunNoErrOutput(command); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	return cli.Run(command)
}

// choose splits args into the program's name and the program's arguments.
func choose(args []string) (name string, rest []string) {
	if called := filepath.Base(args[0]); called != "kube" && programs[called] != nil {
		return called, args[1:]
	}
	if len(args) < 2 {
		return "", nil
	}
	return args[1], args[2:]
}
