// Package crds holds the CustomResourceDefinition of every kind that Argosy serves, one file per kind.
//
// Promise: applying all files makes every kind of package v1alpha1 known to a cluster, with the scope, short names and
// columns that people of the Argo projects are used to.
package crds

import "embed"

// FS holds the manifests, named <plural>.yaml.
//
//go:embed *.yaml
var FS embed.FS
