package v1alpha1

// SCMProviderGenerator gives a set for each repository of an organisation, or for each of its branches.
type SCMProviderGenerator struct {
	Github              *SCMProviderGithub          `json:"github,omitempty"`
	Gitlab              *SCMProviderGitlab          `json:"gitlab,omitempty"`
	Bitbucket           *SCMProviderBitbucket       `json:"bitbucket,omitempty"`
	BitbucketServer     *SCMProviderBitbucketServer `json:"bitbucketServer,omitempty"`
	Gitea               *SCMProviderGitea           `json:"gitea,omitempty"`
	AzureDevOps         *SCMProviderAzureDevOps     `json:"azureDevOps,omitempty"`
	AWSCodeCommit       *SCMProviderAWSCodeCommit   `json:"awsCodeCommit,omitempty"`
	Filters             []SCMProviderFilter         `json:"filters,omitempty"`
	CloneProtocol       string                      `json:"cloneProtocol,omitempty"`
	RequeueAfterSeconds *int64                      `json:"requeueAfterSeconds,omitempty"`
	Values              map[string]string           `json:"values,omitempty"`
	Template            *ApplicationSetTemplate     `json:"template,omitempty"`
}

// SCMProviderFilter is met by a repository that meets all its fields.
type SCMProviderFilter struct {
	RepositoryMatch *string  `json:"repositoryMatch,omitempty"`
	PathsExist      []string `json:"pathsExist,omitempty"`
	PathsDoNotExist []string `json:"pathsDoNotExist,omitempty"`
	LabelMatch      *string  `json:"labelMatch,omitempty"`
	BranchMatch     *string  `json:"branchMatch,omitempty"`
}

// SCMProviderGithub is an organisation of GitHub.
type SCMProviderGithub struct {
	Organization         string        `json:"organization"`
	API                  string        `json:"api,omitempty"`
	TokenRef             *SecretKeyRef `json:"tokenRef,omitempty"`
	AppSecretName        string        `json:"appSecretName,omitempty"`
	AllBranches          bool          `json:"allBranches,omitempty"`
	ExcludeArchivedRepos bool          `json:"excludeArchivedRepos,omitempty"`
}

// SCMProviderGitlab is a group of GitLab.
type SCMProviderGitlab struct {
	Group                 string           `json:"group"`
	API                   string           `json:"api,omitempty"`
	TokenRef              *SecretKeyRef    `json:"tokenRef,omitempty"`
	IncludeSubgroups      bool             `json:"includeSubgroups,omitempty"`
	IncludeSharedProjects *bool            `json:"includeSharedProjects,omitempty"`
	IncludeArchivedRepos  bool             `json:"includeArchivedRepos,omitempty"`
	AllBranches           bool             `json:"allBranches,omitempty"`
	Topic                 string           `json:"topic,omitempty"`
	Insecure              bool             `json:"insecure,omitempty"`
	CARef                 *ConfigMapKeyRef `json:"caRef,omitempty"`
}

// SCMProviderBitbucket is an owner at Bitbucket Cloud.
type SCMProviderBitbucket struct {
	Owner          string        `json:"owner"`
	User           string        `json:"user"`
	AppPasswordRef *SecretKeyRef `json:"appPasswordRef,omitempty"`
	AllBranches    bool          `json:"allBranches,omitempty"`
}

// BasicAuthBitbucketServer is a user and a password.
type BasicAuthBitbucketServer struct {
	Username    string        `json:"username"`
	PasswordRef *SecretKeyRef `json:"passwordRef,omitempty"`
}

// BearerTokenBitbucket is a token.
type BearerTokenBitbucket struct {
	TokenRef *SecretKeyRef `json:"tokenRef,omitempty"`
}

// SCMProviderBitbucketServer is a project of Bitbucket Server.
type SCMProviderBitbucketServer struct {
	Project     string                    `json:"project"`
	API         string                    `json:"api"`
	BasicAuth   *BasicAuthBitbucketServer `json:"basicAuth,omitempty"`
	BearerToken *BearerTokenBitbucket     `json:"bearerToken,omitempty"`
	AllBranches bool                      `json:"allBranches,omitempty"`
	Insecure    bool                      `json:"insecure,omitempty"`
	CARef       *ConfigMapKeyRef          `json:"caRef,omitempty"`
}

// SCMProviderGitea is an owner at Gitea.
type SCMProviderGitea struct {
	Owner                string        `json:"owner"`
	API                  string        `json:"api"`
	TokenRef             *SecretKeyRef `json:"tokenRef,omitempty"`
	AllBranches          bool          `json:"allBranches,omitempty"`
	Insecure             bool          `json:"insecure,omitempty"`
	ExcludeArchivedRepos bool          `json:"excludeArchivedRepos,omitempty"`
}

// SCMProviderAzureDevOps is a project of Azure DevOps.
type SCMProviderAzureDevOps struct {
	Organization   string        `json:"organization"`
	TeamProject    string        `json:"teamProject"`
	API            string        `json:"api,omitempty"`
	AccessTokenRef *SecretKeyRef `json:"accessTokenRef,omitempty"`
	AllBranches    bool          `json:"allBranches,omitempty"`
}

// SCMProviderAWSCodeCommit is an account at AWS.
type SCMProviderAWSCodeCommit struct {
	TagFilters  []TagFilter `json:"tagFilters,omitempty"`
	Role        string      `json:"role,omitempty"`
	Region      string      `json:"region,omitempty"`
	AllBranches bool        `json:"allBranches,omitempty"`
}

// TagFilter is met by what has the tag, with the value where one is given.
type TagFilter struct {
	Key   string `json:"key"`
	Value string `json:"value,omitempty"`
}

// PullRequestGenerator gives a set for each open pull request.
type PullRequestGenerator struct {
	Github                      *PullRequestGithub          `json:"github,omitempty"`
	GitLab                      *PullRequestGitLab          `json:"gitlab,omitempty"`
	Gitea                       *PullRequestGitea           `json:"gitea,omitempty"`
	BitbucketServer             *PullRequestBitbucketServer `json:"bitbucketServer,omitempty"`
	Bitbucket                   *PullRequestBitbucket       `json:"bitbucket,omitempty"`
	AzureDevOps                 *PullRequestAzureDevOps     `json:"azuredevops,omitempty"`
	Filters                     []PullRequestFilter         `json:"filters,omitempty"`
	ContinueOnRepoNotFoundError bool                        `json:"continueOnRepoNotFoundError,omitempty"`
	RequeueAfterSeconds         *int64                      `json:"requeueAfterSeconds,omitempty"`
	Values                      map[string]string           `json:"values,omitempty"`
	Template                    *ApplicationSetTemplate     `json:"template,omitempty"`
}

// PullRequestFilter is met by a pull request that meets all its fields.
type PullRequestFilter struct {
	BranchMatch       *string `json:"branchMatch,omitempty"`
	TargetBranchMatch *string `json:"targetBranchMatch,omitempty"`
	TitleMatch        *string `json:"titleMatch,omitempty"`
}

// PullRequestGithub is a repository of GitHub.
type PullRequestGithub struct {
	Owner         string        `json:"owner"`
	Repo          string        `json:"repo"`
	API           string        `json:"api,omitempty"`
	TokenRef      *SecretKeyRef `json:"tokenRef,omitempty"`
	AppSecretName string        `json:"appSecretName,omitempty"`
	Labels        []string      `json:"labels,omitempty"`
}

// PullRequestGitLab is a project of GitLab.
type PullRequestGitLab struct {
	Project          string           `json:"project"`
	API              string           `json:"api,omitempty"`
	TokenRef         *SecretKeyRef    `json:"tokenRef,omitempty"`
	Labels           []string         `json:"labels,omitempty"`
	PullRequestState string           `json:"pullRequestState,omitempty"`
	Insecure         bool             `json:"insecure,omitempty"`
	CARef            *ConfigMapKeyRef `json:"caRef,omitempty"`
}

// PullRequestGitea is a repository of Gitea.
type PullRequestGitea struct {
	Owner    string        `json:"owner"`
	Repo     string        `json:"repo"`
	API      string        `json:"api"`
	TokenRef *SecretKeyRef `json:"tokenRef,omitempty"`
	Insecure bool          `json:"insecure,omitempty"`
	Labels   []string      `json:"labels,omitempty"`
}

// PullRequestBitbucketServer is a repository of Bitbucket Server.
type PullRequestBitbucketServer struct {
	Project     string                    `json:"project"`
	Repo        string                    `json:"repo"`
	API         string                    `json:"api"`
	BasicAuth   *BasicAuthBitbucketServer `json:"basicAuth,omitempty"`
	BearerToken *BearerTokenBitbucket     `json:"bearerToken,omitempty"`
	Insecure    bool                      `json:"insecure,omitempty"`
	CARef       *ConfigMapKeyRef          `json:"caRef,omitempty"`
}

// PullRequestBitbucket is a repository of Bitbucket Cloud.
type PullRequestBitbucket struct {
	Owner       string                    `json:"owner"`
	Repo        string                    `json:"repo"`
	API         string                    `json:"api,omitempty"`
	BasicAuth   *BasicAuthBitbucketServer `json:"basicAuth,omitempty"`
	BearerToken *BearerTokenBitbucket     `json:"bearerToken,omitempty"`
}

// PullRequestAzureDevOps is a repository of Azure DevOps.
type PullRequestAzureDevOps struct {
	Organization string        `json:"organization"`
	Project      string        `json:"project"`
	Repo         string        `json:"repo"`
	API          string        `json:"api,omitempty"`
	TokenRef     *SecretKeyRef `json:"tokenRef,omitempty"`
	Labels       []string      `json:"labels,omitempty"`
}
