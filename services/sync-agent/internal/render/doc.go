// Package render turns the files of a commit into manifests: plain directories
// and Kustomize, in process and in memory.
package render
