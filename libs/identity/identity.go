// Package identity says who may use the identity that a cloud gives to the pod of a service, and its sub-packages find
// it: of AWS, Microsoft Entra, Google and Alibaba, each in a package of its own, so that a program links what it uses.
//
// A service works for all namespaces, and its pod has one identity. Whoever may write a manifest that uses it would be
// let in wherever the service is: so only namespaces that the operator names may.
package identity

import (
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/libs/core/config"
	"github.com/argosy-mesh/argosy/libs/core/fault"
)

// Flag is the name of the flag that names the namespaces.
const Flag = "identity-namespaces"

// Control is the namespace of the services: whoever may write there may change them anyhow.
const Control = "argosy"

// Own names the namespaces whose manifests may use the identity of the service's pod. The zero value names none.
type Own struct {
	namespaces []string
}

// For lets the manifests of some namespaces use it; "*" stands for all.
func For(namespaces ...string) Own { return Own{namespaces: namespaces} }

// Declare declares the flag.
func Declare(f *config.Flags, into *Own) {
	var text string
	f.Text(
		&text, Flag, Control,
		"namespaces whose manifests may use the cloud identity of this service's pod where they name no keys, comma separated; * for all, empty for none",
	)
	f.Check(func() error {
		into.namespaces = strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
		return nil
	})
}

// May reports whether the manifests of a namespace may use it.
func (o Own) May(namespace string) bool {
	return slices.Contains(o.namespaces, "*") || slices.Contains(o.namespaces, namespace)
}

// Allow is an error of class poison where they may not. field is what in the manifest asks for it, instead what would
// do without.
func (o Own) Allow(namespace, field, instead string) error {
	if o.May(namespace) {
		return nil
	}
	return fault.Poisonf(
		"%s asks for the identity of the service's own pod, which namespace %q may not use: name %s, or have the operator add the namespace to --%s",
		field, namespace, instead, Flag,
	)
}
