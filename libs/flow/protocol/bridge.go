package protocol

// What the runner and the bridge beside an artifact driver say to each other. Each request names the artifact in a
// header; a body, where there is one, is the artifact itself, as the executor sends and takes it.
const (
	// BridgePort is where the bridge listens in the pod of a driver.
	BridgePort = 8643
	// BridgeArtifact is the header with a [Driven] as JSON, base64url.
	BridgeArtifact = "Argosy-Artifact"
	// BridgeToken is the environment variable with what requests must carry as bearer token.
	BridgeToken = "ARGOSY_BRIDGE_TOKEN" //nolint:gosec // the name of a variable
	// BridgeDriver is the environment variable with the name of the driver.
	BridgeDriver = "ARGOSY_DRIVER"

	BridgeReady  = "/ready"  // GET: 204 when the driver answers
	BridgeObject = "/object" // GET loads, PUT saves, DELETE removes
	BridgeNames  = "/names"  // GET: the keys below that of the artifact, as a JSON array
)

// Where drivers find their socket and the files of a transfer, in both containers of their pod. Source: Argo Workflows,
// ArtifactPluginSocketPath.
const (
	DriversDir       = "/artifact-plugins"
	DriverSocket     = "socket"
	DriverStagingDir = "/argosy/artifacts"
)

// DrivenLimit bounds the JSON of a [Driven].
const DrivenLimit = 512 << 10

// Driven is an artifact that a driver keeps.
type Driven struct {
	Name          string `json:"name"` // of the driver
	Key           string `json:"key"`
	Configuration string `json:"configuration,omitempty"` // what the manifest tells the driver
	Patience      int64  `json:"patience,omitempty"`      // seconds to connect to the driver; 0: as usual
}
