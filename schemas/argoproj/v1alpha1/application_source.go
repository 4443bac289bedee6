package v1alpha1

import (
	"encoding/json"

	"k8s.io/apimachinery/pkg/util/intstr"
)

// ApplicationSource is where manifests come from and how they are rendered.
type ApplicationSource struct {
	RepoURL        string                      `json:"repoURL"`
	Path           string                      `json:"path,omitempty"`
	TargetRevision string                      `json:"targetRevision,omitempty"`
	Chart          string                      `json:"chart,omitempty"`
	Ref            string                      `json:"ref,omitempty"`
	Name           string                      `json:"name,omitempty"`
	TagPrefix      string                      `json:"tagPrefix,omitempty"`
	Helm           *ApplicationSourceHelm      `json:"helm,omitempty"`
	Kustomize      *ApplicationSourceKustomize `json:"kustomize,omitempty"`
	Directory      *ApplicationSourceDirectory `json:"directory,omitempty"`
	Plugin         *ApplicationSourcePlugin    `json:"plugin,omitempty"`
}

// ApplicationSourceHelm holds the options of a Helm source.
type ApplicationSourceHelm struct {
	ValueFiles              []string            `json:"valueFiles,omitempty"`
	Parameters              []HelmParameter     `json:"parameters,omitempty"`
	FileParameters          []HelmFileParameter `json:"fileParameters,omitempty"`
	ReleaseName             string              `json:"releaseName,omitempty"`
	Values                  string              `json:"values,omitempty"`
	ValuesObject            json.RawMessage     `json:"valuesObject,omitempty"`
	IgnoreMissingValueFiles bool                `json:"ignoreMissingValueFiles,omitempty"`
	PassCredentials         bool                `json:"passCredentials,omitempty"`
	SkipCrds                bool                `json:"skipCrds,omitempty"`
	SkipSchemaValidation    bool                `json:"skipSchemaValidation,omitempty"`
	SkipTests               bool                `json:"skipTests,omitempty"`
	KubeVersion             string              `json:"kubeVersion,omitempty"`
	ApiVersions             []string            `json:"apiVersions,omitempty"`
	Namespace               string              `json:"namespace,omitempty"`
	Version                 string              `json:"version,omitempty"`
}

// HelmParameter sets one Helm value.
type HelmParameter struct {
	Name        string    `json:"name,omitempty"`
	Value       AnyString `json:"value,omitempty"`
	ForceString bool      `json:"forceString,omitempty"`
}

// HelmFileParameter sets one Helm value from a file.
type HelmFileParameter struct {
	Name string `json:"name,omitempty"`
	Path string `json:"path,omitempty"`
}

// ApplicationSourceKustomize holds the options of a Kustomize source.
type ApplicationSourceKustomize struct {
	NamePrefix                string             `json:"namePrefix,omitempty"`
	NameSuffix                string             `json:"nameSuffix,omitempty"`
	Namespace                 string             `json:"namespace,omitempty"`
	Images                    []string           `json:"images,omitempty"`
	Replicas                  []KustomizeReplica `json:"replicas,omitempty"`
	Patches                   []KustomizePatch   `json:"patches,omitempty"`
	Components                []string           `json:"components,omitempty"`
	IgnoreMissingComponents   bool               `json:"ignoreMissingComponents,omitempty"`
	CommonLabels              map[string]string  `json:"commonLabels,omitempty"`
	CommonAnnotations         map[string]string  `json:"commonAnnotations,omitempty"`
	CommonAnnotationsEnvsubst bool               `json:"commonAnnotationsEnvsubst,omitempty"`
	ForceCommonLabels         bool               `json:"forceCommonLabels,omitempty"`
	ForceCommonAnnotations    bool               `json:"forceCommonAnnotations,omitempty"`
	LabelWithoutSelector      bool               `json:"labelWithoutSelector,omitempty"`
	LabelIncludeTemplates     bool               `json:"labelIncludeTemplates,omitempty"`
	KubeVersion               string             `json:"kubeVersion,omitempty"`
	ApiVersions               []string           `json:"apiVersions,omitempty"`
	Version                   string             `json:"version,omitempty"`
}

// KustomizeReplica overrides the replica count of one workload.
type KustomizeReplica struct {
	Name  string             `json:"name"`
	Count intstr.IntOrString `json:"count"`
}

// KustomizePatch is one patch of a Kustomize source.
type KustomizePatch struct {
	Path    string             `json:"path,omitempty"`
	Patch   string             `json:"patch,omitempty"`
	Target  *KustomizeSelector `json:"target,omitempty"`
	Options map[string]bool    `json:"options,omitempty"`
}

// KustomizeSelector selects the resources a patch applies to.
type KustomizeSelector struct {
	Group              string `json:"group,omitempty"`
	Version            string `json:"version,omitempty"`
	Kind               string `json:"kind,omitempty"`
	Name               string `json:"name,omitempty"`
	Namespace          string `json:"namespace,omitempty"`
	AnnotationSelector string `json:"annotationSelector,omitempty"`
	LabelSelector      string `json:"labelSelector,omitempty"`
}

// ApplicationSourceDirectory holds the options of a plain directory source.
type ApplicationSourceDirectory struct {
	Recurse                bool                      `json:"recurse,omitempty"`
	Jsonnet                *ApplicationSourceJsonnet `json:"jsonnet,omitempty"`
	Include                string                    `json:"include,omitempty"`
	Exclude                string                    `json:"exclude,omitempty"`
	DisableExtensionFilter bool                      `json:"disableExtensionFilter,omitempty"`
}

// ApplicationSourceJsonnet holds the options of Jsonnet files in a directory source.
type ApplicationSourceJsonnet struct {
	ExtVars []JsonnetVar `json:"extVars,omitempty"`
	Tlas    []JsonnetVar `json:"tlas,omitempty"`
	Libs    []string     `json:"libs,omitempty"`
}

// JsonnetVar is one variable passed to Jsonnet.
type JsonnetVar struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Code  bool   `json:"code,omitempty"`
}

// ApplicationSourcePlugin holds the options of a plugin source.
type ApplicationSourcePlugin struct {
	Name       string                             `json:"name,omitempty"`
	Env        []EnvEntry                         `json:"env,omitempty"`
	Parameters []ApplicationSourcePluginParameter `json:"parameters,omitempty"`
}

// EnvEntry is one environment variable of a plugin.
type EnvEntry struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// ApplicationSourcePluginParameter is one parameter of a plugin: a string, a list or a map.
type ApplicationSourcePluginParameter struct {
	Name   string            `json:"name,omitempty"`
	String *string           `json:"string,omitempty"`
	Array  []string          `json:"array,omitempty"`
	Map    map[string]string `json:"map,omitempty"`
}
