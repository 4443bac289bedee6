package v1alpha1

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ApplicationSetGenerator finds sets of parameters; exactly one field of its kind is set.
type ApplicationSetGenerator struct {
	List                    *ListGenerator        `json:"list,omitempty"`
	Clusters                *ClusterGenerator     `json:"clusters,omitempty"`
	Git                     *GitGenerator         `json:"git,omitempty"`
	SCMProvider             *SCMProviderGenerator `json:"scmProvider,omitempty"`
	ClusterDecisionResource *DuckTypeGenerator    `json:"clusterDecisionResource,omitempty"`
	PullRequest             *PullRequestGenerator `json:"pullRequest,omitempty"`
	Plugin                  *PluginGenerator      `json:"plugin,omitempty"`
	Matrix                  *MatrixGenerator      `json:"matrix,omitempty"`
	Merge                   *MergeGenerator       `json:"merge,omitempty"`
	Selector                *metav1.LabelSelector `json:"selector,omitempty"`
}

// ApplicationSetNestedGenerator stands within a matrix or merge; its own matrix or merge is one level deeper, the last.
type ApplicationSetNestedGenerator struct {
	List                    *ListGenerator        `json:"list,omitempty"`
	Clusters                *ClusterGenerator     `json:"clusters,omitempty"`
	Git                     *GitGenerator         `json:"git,omitempty"`
	SCMProvider             *SCMProviderGenerator `json:"scmProvider,omitempty"`
	ClusterDecisionResource *DuckTypeGenerator    `json:"clusterDecisionResource,omitempty"`
	PullRequest             *PullRequestGenerator `json:"pullRequest,omitempty"`
	Plugin                  *PluginGenerator      `json:"plugin,omitempty"`
	Matrix                  json.RawMessage       `json:"matrix,omitempty"`
	Merge                   json.RawMessage       `json:"merge,omitempty"`
	Selector                *metav1.LabelSelector `json:"selector,omitempty"`
}

// ListGenerator gives the sets that it lists.
type ListGenerator struct {
	Elements     []json.RawMessage       `json:"elements,omitempty"`
	ElementsYaml string                  `json:"elementsYaml,omitempty"`
	Template     *ApplicationSetTemplate `json:"template,omitempty"`
}

// ClusterGenerator gives a set for each cluster whose Secret its selector matches.
type ClusterGenerator struct {
	Selector metav1.LabelSelector    `json:"selector,omitempty"`
	Values   map[string]string       `json:"values,omitempty"`
	FlatList bool                    `json:"flatList,omitempty"`
	Template *ApplicationSetTemplate `json:"template,omitempty"`
}

// DuckTypeGenerator gives a set for each cluster that the status of some resource decides for.
type DuckTypeGenerator struct {
	ConfigMapRef        string                  `json:"configMapRef"`
	Name                string                  `json:"name,omitempty"`
	LabelSelector       metav1.LabelSelector    `json:"labelSelector,omitempty"`
	RequeueAfterSeconds *int64                  `json:"requeueAfterSeconds,omitempty"`
	Values              map[string]string       `json:"values,omitempty"`
	Template            *ApplicationSetTemplate `json:"template,omitempty"`
}

// GitGenerator gives a set for each folder, or for each file, of a repository.
type GitGenerator struct {
	RepoURL             string                      `json:"repoURL"`
	Revision            string                      `json:"revision"`
	Directories         []GitDirectoryGeneratorItem `json:"directories,omitempty"`
	Files               []GitFileGeneratorItem      `json:"files,omitempty"`
	PathParamPrefix     string                      `json:"pathParamPrefix,omitempty"`
	RequeueAfterSeconds *int64                      `json:"requeueAfterSeconds,omitempty"`
	Values              map[string]string           `json:"values,omitempty"`
	Template            *ApplicationSetTemplate     `json:"template,omitempty"`
}

// GitDirectoryGeneratorItem is a pattern of folders, as path.Match reads it.
type GitDirectoryGeneratorItem struct {
	Path    string `json:"path"`
	Exclude bool   `json:"exclude,omitempty"`
}

// GitFileGeneratorItem is a pattern of files; ** stands for any number of folders.
type GitFileGeneratorItem struct {
	Path    string `json:"path"`
	Exclude bool   `json:"exclude,omitempty"`
}

// MatrixGenerator gives each set of its first generator with each of its second.
type MatrixGenerator struct {
	Generators []ApplicationSetNestedGenerator `json:"generators"`
	Template   *ApplicationSetTemplate         `json:"template,omitempty"`
}

// MergeGenerator gives the sets of its first generator, overridden by those of the others that have the same keys.
type MergeGenerator struct {
	Generators []ApplicationSetNestedGenerator `json:"generators"`
	MergeKeys  []string                        `json:"mergeKeys"`
	Template   *ApplicationSetTemplate         `json:"template,omitempty"`
}

// PluginGenerator gives the sets that an HTTP service answers.
type PluginGenerator struct {
	ConfigMapRef        PluginConfigMapRef      `json:"configMapRef"`
	Input               PluginInput             `json:"input,omitempty"`
	RequeueAfterSeconds *int64                  `json:"requeueAfterSeconds,omitempty"`
	Values              map[string]string       `json:"values,omitempty"`
	Template            *ApplicationSetTemplate `json:"template,omitempty"`
}

// PluginConfigMapRef names the ConfigMap that describes a plugin.
type PluginConfigMapRef struct {
	Name string `json:"name"`
}

// PluginInput is what a plugin is asked with.
type PluginInput struct {
	Parameters map[string]json.RawMessage `json:"parameters,omitempty"`
}

// SecretKeyRef names a key of a Secret in the namespace of the ApplicationSet.
type SecretKeyRef struct {
	SecretName string `json:"secretName"`
	Key        string `json:"key"`
}

// ConfigMapKeyRef names a key of a ConfigMap in the namespace of the ApplicationSet.
type ConfigMapKeyRef struct {
	ConfigMapName string `json:"configMapName"`
	Key           string `json:"key"`
}
