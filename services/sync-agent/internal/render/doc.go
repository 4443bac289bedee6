// Package render turns the files of a commit, a chart or an artifact into manifests: plain directories, Kustomize,
// Helm and Jsonnet.  A render is a function of what it is told and of what it asks for, and a result is remembered by
// both: it is used again while the same is at the same paths, whatever the commit. What runs what others wrote runs
// in processes of its own, bounded in time and memory, which have no files and no network: they ask whoever started
// them.
package render
