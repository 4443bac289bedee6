// Package protocol is what the runner and the executor in a pod say to each other:
// a task goes in through an environment variable, a report comes out through the
// termination message.
package protocol

// TaskVariable is the environment variable that holds the Task as JSON.
const TaskVariable = "ARGOSY_TASK"

// Where the executor lives in a pod. The staging volume is shared between the
// init container and main.
const (
	StagingDir   = "/argosy/staging"
	ExecutorPath = StagingDir + "/executor"
	InputsDir    = StagingDir + "/inputs"
	LogsDir      = StagingDir + "/logs" // what containers said, where that is kept
	ScriptDir    = "/argosy/script"
	ScriptPath   = ScriptDir + "/source"
)

// MessageLimit is how much the kubelet takes of a termination message; a report
// over it is stored through ReportURL. Source: Kubernetes,
// kubecontainer.MaxContainerTerminationMessageLength.
const MessageLimit = 4096

// ResultLimit is how much of the end of the standard output becomes the result.
// Source: Argo Workflows, 256 kB.
const ResultLimit = 256 << 10

// StoreHeader is on every answer of the artifact store. An answer without it comes
// from somebody else, such as the pod that got a stopped runner's address.
const StoreHeader = "Argosy-Store"

// Task says what the executor must load and collect.
type Task struct {
	Inputs     []Transfer  `json:"inputs,omitempty"`     // loaded by the init container
	Parameters []Parameter `json:"parameters,omitempty"` // files that become parameters
	Artifacts  []Transfer  `json:"artifacts,omitempty"`  // stored after main
	Result     bool        `json:"result,omitempty"`     // standard output becomes the result
	Logs       *Transfer   `json:"logs,omitempty"`       // what the container says is kept; its path is below LogsDir
	ReportURL  string      `json:"reportURL,omitempty"`
}

// Transfer is one artifact on its way into or out of a pod.
type Transfer struct {
	Name     string `json:"name"`
	Path     string `json:"path"` // of an output: absolute; of an input: below InputsDir
	Mount    string `json:"-"`    // where main sees an input; the runner's own
	URL      string `json:"url,omitempty"`
	Direct   bool   `json:"direct,omitempty"` // URL answers an [Ask]: the pod reaches the store itself
	Raw      string `json:"raw,omitempty"`    // content written in the manifest
	Plain    bool   `json:"plain,omitempty"`  // archive none: as it is
	Zip      bool   `json:"zip,omitempty"`    // archive zip
	Level    *int   `json:"level,omitempty"`  // of compression, 0 to 9
	SubPath  string `json:"subPath,omitempty"`
	Optional bool   `json:"optional,omitempty"`
	Mode     *int32 `json:"mode,omitempty"`
	Recurse  bool   `json:"recurse,omitempty"` // Mode holds for what a folder holds too
}

// Ask is what the executor posts to the URL of a [Transfer] that is direct, right before it transfers. It gets a
// [Signed].
type Ask struct {
	// Names are the files below the artifact that are to be stored; "" is the artifact itself. Of what is loaded, the
	// runner knows the names.
	Names []string `json:"names,omitempty"`
}

// FolderMark is the comment of a gzipped tar that stands for a folder, whatever the manifest says of archives.
const FolderMark = "argosy-folder"

// AskLimit bounds the names of one [Ask], and FolderLimit the files of a folder that is loaded.
const (
	AskLimit    = 1000
	FolderLimit = 10_000
)

// Signed are URLs that the store itself answers. They are good for a short time.
type Signed struct {
	Objects   []Object `json:"objects"`
	Authority string   `json:"authority,omitempty"` // who vouches for the store, PEM; "" for the usual ones
}

// Object is one file of an artifact, or the artifact itself when it has no name.
type Object struct {
	Name string `json:"name,omitempty"`
	URL  string `json:"url"`
	// Headers go with the request: some stores know who asks by them.
	Headers map[string]string `json:"headers,omitempty"`
}

// Parameter is one file whose content becomes an output parameter.
type Parameter struct {
	Name     string `json:"name"`
	Path     string `json:"path"`
	Optional bool   `json:"optional,omitempty"` // it has a default
}

// Report is what the executor says when the main program ended.
type Report struct {
	Result     *string           `json:"result,omitempty"`
	Parameters map[string]string `json:"parameters,omitempty"`
	Artifacts  []string          `json:"artifacts,omitempty"` // names of those that were stored
	Error      string            `json:"error,omitempty"`     // what could not be collected
}

// Termination is the executor's last word.
type Termination struct {
	Report
	Stored bool `json:"stored,omitempty"` // the report is at ReportURL
	// Stopped names the container of the set that ended badly, for which this one was stopped or not begun.
	Stopped string `json:"stopped,omitempty"`
}
