package v1alpha1

// AppProjectSpec bounds what the applications of a project may do.
type AppProjectSpec struct {
	Description                     string                                 `json:"description,omitempty"`
	SourceRepos                     []string                               `json:"sourceRepos,omitempty"`
	SourceNamespaces                []string                               `json:"sourceNamespaces,omitempty"`
	Destinations                    []ApplicationDestination               `json:"destinations,omitempty"`
	DestinationServiceAccounts      []ApplicationDestinationServiceAccount `json:"destinationServiceAccounts,omitempty"`
	ClusterResourceWhitelist        []ClusterResourceRestriction           `json:"clusterResourceWhitelist,omitempty"`
	ClusterResourceBlacklist        []ClusterResourceRestriction           `json:"clusterResourceBlacklist,omitempty"`
	NamespaceResourceWhitelist      []GroupKind                            `json:"namespaceResourceWhitelist,omitempty"`
	NamespaceResourceBlacklist      []GroupKind                            `json:"namespaceResourceBlacklist,omitempty"`
	Roles                           []ProjectRole                          `json:"roles,omitempty"`
	OrphanedResources               *OrphanedResources                     `json:"orphanedResources,omitempty"`
	SyncWindows                     []SyncWindow                           `json:"syncWindows,omitempty"`
	SignatureKeys                   []SignatureKey                         `json:"signatureKeys,omitempty"`
	SourceIntegrity                 *SourceIntegrity                       `json:"sourceIntegrity,omitempty"`
	PermitOnlyProjectScopedClusters bool                                   `json:"permitOnlyProjectScopedClusters,omitempty"`
}

// AppProjectStatus is the observed state of a project.
type AppProjectStatus struct {
	JwtTokensByRole map[string]JWTTokens `json:"jwtTokensByRole,omitempty"`
}

// ApplicationDestinationServiceAccount is the account used at a destination.
type ApplicationDestinationServiceAccount struct {
	Server                string `json:"server"`
	Namespace             string `json:"namespace,omitempty"`
	DefaultServiceAccount string `json:"defaultServiceAccount"`
}

// ClusterResourceRestriction matches a cluster-scoped kind and a name.
type ClusterResourceRestriction struct {
	Group string `json:"group"`
	Kind  string `json:"kind"`
	Name  string `json:"name,omitempty"`
}

// GroupKind matches a kind.
type GroupKind struct {
	Group string `json:"group"`
	Kind  string `json:"kind"`
}

// ProjectRole is a role of a project.
type ProjectRole struct {
	Name        string     `json:"name"`
	Description string     `json:"description,omitempty"`
	Policies    []string   `json:"policies,omitempty"`
	Groups      []string   `json:"groups,omitempty"`
	JwtTokens   []JWTToken `json:"jwtTokens,omitempty"`
}

// JWTToken is a token issued for a role.
type JWTToken struct {
	ID        string `json:"id,omitempty"`
	IssuedAt  int64  `json:"iat"`
	ExpiresAt int64  `json:"exp,omitempty"`
}

// JWTTokens is a list of tokens.
type JWTTokens struct {
	Items []JWTToken `json:"items,omitempty"`
}

// OrphanedResources says what to do with resources no application owns.
type OrphanedResources struct {
	Warn   *bool                 `json:"warn,omitempty"`
	Ignore []OrphanedResourceKey `json:"ignore,omitempty"`
}

// OrphanedResourceKey names resources that are no orphans.
type OrphanedResourceKey struct {
	Group string `json:"group,omitempty"`
	Kind  string `json:"kind,omitempty"`
	Name  string `json:"name,omitempty"`
}

// SyncWindow is a time in which synchronisation is allowed or denied.
type SyncWindow struct {
	Kind         string   `json:"kind,omitempty"`
	Schedule     string   `json:"schedule,omitempty"`
	Duration     string   `json:"duration,omitempty"`
	Applications []string `json:"applications,omitempty"`
	Namespaces   []string `json:"namespaces,omitempty"`
	Clusters     []string `json:"clusters,omitempty"`
	ManualSync   bool     `json:"manualSync,omitempty"`
	TimeZone     string   `json:"timeZone,omitempty"`
	AndOperator  bool     `json:"andOperator,omitempty"`
	SyncOverrun  bool     `json:"syncOverrun,omitempty"`
	Description  string   `json:"description,omitempty"`
}

// SignatureKey is a key that commits must be signed with.
type SignatureKey struct {
	KeyID string `json:"keyID"`
}

// SourceIntegrity says how sources are verified.
type SourceIntegrity struct {
	Git *SourceIntegrityGit `json:"git,omitempty"`
}

// SourceIntegrityGit says how commits are verified.
type SourceIntegrityGit struct {
	Policies []SourceIntegrityGitPolicy `json:"policies,omitempty"`
}

// SourceIntegrityGitPolicy is the verification of some repositories.
type SourceIntegrityGitPolicy struct {
	Repos []SourceIntegrityGitRepo `json:"repos,omitempty"`
	GPG   *SourceIntegrityGPG      `json:"gpg,omitempty"`
}

// SourceIntegrityGitRepo matches repositories.
type SourceIntegrityGitRepo struct {
	URL string `json:"url"`
}

// SourceIntegrityGPG is verification by GPG.
type SourceIntegrityGPG struct {
	Mode string   `json:"mode,omitempty"`
	Keys []string `json:"keys,omitempty"`
}
