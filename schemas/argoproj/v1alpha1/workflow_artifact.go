package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
)

// WorkflowLevelArtifactGC holds the workflow level artifact GC settings of a workflow.
type WorkflowLevelArtifactGC struct {
	ForceFinalizerRemoval bool      `json:"forceFinalizerRemoval,omitempty"`
	PodMetadata           *Metadata `json:"podMetadata,omitempty"`
	PodSpecPatch          string    `json:"podSpecPatch,omitempty"`
	ServiceAccountName    string    `json:"serviceAccountName,omitempty"`
	Strategy              string    `json:"strategy,omitempty"`
}

// ArtifactRepositoryRef holds the artifact repository ref settings of a workflow.
type ArtifactRepositoryRef struct {
	ConfigMap string `json:"configMap,omitempty"`
	Key       string `json:"key,omitempty"`
}

// ArtifactRepositoryRefStatus is the observed state of artifact repository ref.
type ArtifactRepositoryRefStatus struct {
	ArtifactRepository *ArtifactRepository `json:"artifactRepository,omitempty"`
	ConfigMap          string              `json:"configMap,omitempty"`
	Default            bool                `json:"default,omitempty"`
	Key                string              `json:"key,omitempty"`
	Namespace          string              `json:"namespace,omitempty"`
}

// Artifact is a named file or folder that flows between templates.
type Artifact struct {
	ArtifactLocation `json:",inline"`
	Name             string           `json:"name"`
	Archive          *ArchiveStrategy `json:"archive,omitempty"`
	ArtifactGC       *ArtifactGC      `json:"artifactGC,omitempty"`
	Deleted          bool             `json:"deleted,omitempty"`
	From             string           `json:"from,omitempty"`
	FromExpression   string           `json:"fromExpression,omitempty"`
	GlobalName       string           `json:"globalName,omitempty"`
	Mode             *int32           `json:"mode,omitempty"`
	Optional         bool             `json:"optional,omitempty"`
	Path             string           `json:"path,omitempty"`
	RecurseMode      bool             `json:"recurseMode,omitempty"`
	SubPath          string           `json:"subPath,omitempty"`
}

// ArtifactLocation says where an artifact is kept.
type ArtifactLocation struct {
	ArchiveLogs *bool                `json:"archiveLogs,omitempty"`
	Artifactory *ArtifactoryArtifact `json:"artifactory,omitempty"`
	Azure       *AzureArtifact       `json:"azure,omitempty"`
	GCS         *GCSArtifact         `json:"gcs,omitempty"`
	Git         *GitArtifact         `json:"git,omitempty"`
	HDFS        *HDFSArtifact        `json:"hdfs,omitempty"`
	HTTP        *HTTPArtifact        `json:"http,omitempty"`
	OSS         *OSSArtifact         `json:"oss,omitempty"`
	Plugin      *PluginArtifact      `json:"plugin,omitempty"`
	Raw         *RawArtifact         `json:"raw,omitempty"`
	S3          *S3Artifact          `json:"s3,omitempty"`
}

// ArtifactRepository is the repository that keeps artifacts.
type ArtifactRepository struct {
	ArchiveLogs bool                           `json:"archiveLogs,omitempty"`
	Artifactory *ArtifactoryArtifactRepository `json:"artifactory,omitempty"`
	Azure       *AzureArtifactRepository       `json:"azure,omitempty"`
	GCS         *GCSArtifactRepository         `json:"gcs,omitempty"`
	HDFS        *HDFSArtifactRepository        `json:"hdfs,omitempty"`
	OSS         *OSSArtifactRepository         `json:"oss,omitempty"`
	Plugin      *PluginArtifactRepository      `json:"plugin,omitempty"`
	S3          *S3ArtifactRepository          `json:"s3,omitempty"`
}

// ArchiveStrategy holds the archive strategy settings of a workflow.
type ArchiveStrategy struct {
	None *NoneStrategy `json:"none,omitempty"`
	Tar  *TarStrategy  `json:"tar,omitempty"`
	Zip  *ZipStrategy  `json:"zip,omitempty"`
}

// ArtifactGC holds the artifact GC settings of a workflow.
type ArtifactGC struct {
	PodMetadata        *Metadata `json:"podMetadata,omitempty"`
	ServiceAccountName string    `json:"serviceAccountName,omitempty"`
	Strategy           string    `json:"strategy,omitempty"`
}

// ArtifactoryArtifact locates an artifact through artifactory.
type ArtifactoryArtifact struct {
	URL            string                    `json:"url"`
	PasswordSecret *corev1.SecretKeySelector `json:"passwordSecret,omitempty"`
	UsernameSecret *corev1.SecretKeySelector `json:"usernameSecret,omitempty"`
}

// AzureArtifact locates an artifact through azure.
type AzureArtifact struct {
	Blob             string                    `json:"blob"`
	Container        string                    `json:"container"`
	Endpoint         string                    `json:"endpoint"`
	AccountKeySecret *corev1.SecretKeySelector `json:"accountKeySecret,omitempty"`
	UseSDKCreds      bool                      `json:"useSDKCreds,omitempty"`
}

// GCSArtifact locates an artifact through GCS.
type GCSArtifact struct {
	Key                     string                    `json:"key"`
	Bucket                  string                    `json:"bucket,omitempty"`
	ServiceAccountKeySecret *corev1.SecretKeySelector `json:"serviceAccountKeySecret,omitempty"`
}

// GitArtifact locates an artifact through git.
type GitArtifact struct {
	Repo                  string                    `json:"repo"`
	Branch                string                    `json:"branch,omitempty"`
	Depth                 *int64                    `json:"depth,omitempty"`
	DisableSubmodules     bool                      `json:"disableSubmodules,omitempty"`
	Fetch                 []string                  `json:"fetch,omitempty"`
	InsecureIgnoreHostKey bool                      `json:"insecureIgnoreHostKey,omitempty"`
	InsecureSkipTLS       bool                      `json:"insecureSkipTLS,omitempty"`
	PasswordSecret        *corev1.SecretKeySelector `json:"passwordSecret,omitempty"`
	Revision              string                    `json:"revision,omitempty"`
	SingleBranch          bool                      `json:"singleBranch,omitempty"`
	SshPrivateKeySecret   *corev1.SecretKeySelector `json:"sshPrivateKeySecret,omitempty"`
	UsernameSecret        *corev1.SecretKeySelector `json:"usernameSecret,omitempty"`
}

// HDFSArtifact locates an artifact through HDFS.
type HDFSArtifact struct {
	Path                    string                       `json:"path"`
	Addresses               []string                     `json:"addresses,omitempty"`
	DataTransferProtection  string                       `json:"dataTransferProtection,omitempty"`
	Force                   bool                         `json:"force,omitempty"`
	HdfsUser                string                       `json:"hdfsUser,omitempty"`
	KrbCCacheSecret         *corev1.SecretKeySelector    `json:"krbCCacheSecret,omitempty"`
	KrbConfigConfigMap      *corev1.ConfigMapKeySelector `json:"krbConfigConfigMap,omitempty"`
	KrbKeytabSecret         *corev1.SecretKeySelector    `json:"krbKeytabSecret,omitempty"`
	KrbRealm                string                       `json:"krbRealm,omitempty"`
	KrbServicePrincipalName string                       `json:"krbServicePrincipalName,omitempty"`
	KrbUsername             string                       `json:"krbUsername,omitempty"`
}

// HTTPArtifact locates an artifact through HTTP.
type HTTPArtifact struct {
	URL               string               `json:"url"`
	Auth              *HTTPAuth            `json:"auth,omitempty"`
	Headers           []HTTPArtifactHeader `json:"headers,omitempty"`
	SaveStreamViaFile bool                 `json:"saveStreamViaFile,omitempty"`
}

// OSSArtifact locates an artifact through OSS.
type OSSArtifact struct {
	Key                      string                    `json:"key"`
	AccessKeySecret          *corev1.SecretKeySelector `json:"accessKeySecret,omitempty"`
	Bucket                   string                    `json:"bucket,omitempty"`
	CreateBucketIfNotPresent bool                      `json:"createBucketIfNotPresent,omitempty"`
	Endpoint                 string                    `json:"endpoint,omitempty"`
	LifecycleRule            *OSSLifecycleRule         `json:"lifecycleRule,omitempty"`
	SecretKeySecret          *corev1.SecretKeySelector `json:"secretKeySecret,omitempty"`
	SecurityToken            string                    `json:"securityToken,omitempty"`
	UseSDKCreds              bool                      `json:"useSDKCreds,omitempty"`
}

// PluginArtifact locates an artifact through plugin.
type PluginArtifact struct {
	Name                     string `json:"name,omitempty"`
	Key                      string `json:"key"`
	Configuration            string `json:"configuration,omitempty"`
	ConnectionTimeoutSeconds int64  `json:"connectionTimeoutSeconds,omitempty"`
}

// RawArtifact locates an artifact through raw.
type RawArtifact struct {
	Data string `json:"data"`
}

// S3Artifact locates an artifact through S3.
type S3Artifact struct {
	AccessKeySecret          *corev1.SecretKeySelector `json:"accessKeySecret,omitempty"`
	AddressingStyle          string                    `json:"addressingStyle,omitempty"`
	Bucket                   string                    `json:"bucket,omitempty"`
	CaSecret                 *corev1.SecretKeySelector `json:"caSecret,omitempty"`
	CreateBucketIfNotPresent *CreateS3BucketOptions    `json:"createBucketIfNotPresent,omitempty"`
	EncryptionOptions        *S3EncryptionOptions      `json:"encryptionOptions,omitempty"`
	Endpoint                 string                    `json:"endpoint,omitempty"`
	Insecure                 *bool                     `json:"insecure,omitempty"`
	Key                      string                    `json:"key,omitempty"`
	Region                   string                    `json:"region,omitempty"`
	RoleARN                  string                    `json:"roleARN,omitempty"`
	SecretKeySecret          *corev1.SecretKeySelector `json:"secretKeySecret,omitempty"`
	SessionTokenSecret       *corev1.SecretKeySelector `json:"sessionTokenSecret,omitempty"`
	UseSDKCreds              bool                      `json:"useSDKCreds,omitempty"`
}

// ArtifactoryArtifactRepository is the repository that keeps artifacts in artifactory.
type ArtifactoryArtifactRepository struct {
	KeyFormat      string                    `json:"keyFormat,omitempty"`
	PasswordSecret *corev1.SecretKeySelector `json:"passwordSecret,omitempty"`
	RepoURL        string                    `json:"repoURL,omitempty"`
	UsernameSecret *corev1.SecretKeySelector `json:"usernameSecret,omitempty"`
}

// AzureArtifactRepository is the repository that keeps artifacts in azure.
type AzureArtifactRepository struct {
	Container        string                    `json:"container"`
	Endpoint         string                    `json:"endpoint"`
	AccountKeySecret *corev1.SecretKeySelector `json:"accountKeySecret,omitempty"`
	BlobNameFormat   string                    `json:"blobNameFormat,omitempty"`
	UseSDKCreds      bool                      `json:"useSDKCreds,omitempty"`
}

// GCSArtifactRepository is the repository that keeps artifacts in GCS.
type GCSArtifactRepository struct {
	Bucket                  string                    `json:"bucket,omitempty"`
	KeyFormat               string                    `json:"keyFormat,omitempty"`
	ServiceAccountKeySecret *corev1.SecretKeySelector `json:"serviceAccountKeySecret,omitempty"`
}

// HDFSArtifactRepository is the repository that keeps artifacts in HDFS.
type HDFSArtifactRepository struct {
	Addresses               []string                     `json:"addresses,omitempty"`
	DataTransferProtection  string                       `json:"dataTransferProtection,omitempty"`
	Force                   bool                         `json:"force,omitempty"`
	HdfsUser                string                       `json:"hdfsUser,omitempty"`
	KrbCCacheSecret         *corev1.SecretKeySelector    `json:"krbCCacheSecret,omitempty"`
	KrbConfigConfigMap      *corev1.ConfigMapKeySelector `json:"krbConfigConfigMap,omitempty"`
	KrbKeytabSecret         *corev1.SecretKeySelector    `json:"krbKeytabSecret,omitempty"`
	KrbRealm                string                       `json:"krbRealm,omitempty"`
	KrbServicePrincipalName string                       `json:"krbServicePrincipalName,omitempty"`
	KrbUsername             string                       `json:"krbUsername,omitempty"`
	PathFormat              string                       `json:"pathFormat,omitempty"`
}

// OSSArtifactRepository is the repository that keeps artifacts in OSS.
type OSSArtifactRepository struct {
	AccessKeySecret          *corev1.SecretKeySelector `json:"accessKeySecret,omitempty"`
	Bucket                   string                    `json:"bucket,omitempty"`
	CreateBucketIfNotPresent bool                      `json:"createBucketIfNotPresent,omitempty"`
	Endpoint                 string                    `json:"endpoint,omitempty"`
	KeyFormat                string                    `json:"keyFormat,omitempty"`
	LifecycleRule            *OSSLifecycleRule         `json:"lifecycleRule,omitempty"`
	SecretKeySecret          *corev1.SecretKeySelector `json:"secretKeySecret,omitempty"`
	SecurityToken            string                    `json:"securityToken,omitempty"`
	UseSDKCreds              bool                      `json:"useSDKCreds,omitempty"`
}

// PluginArtifactRepository is the repository that keeps artifacts in plugin.
type PluginArtifactRepository struct {
	Name          string `json:"name"`
	Configuration string `json:"configuration"`
	KeyFormat     string `json:"keyFormat,omitempty"`
}

// S3ArtifactRepository is the repository that keeps artifacts in S3.
type S3ArtifactRepository struct {
	AccessKeySecret          *corev1.SecretKeySelector `json:"accessKeySecret,omitempty"`
	AddressingStyle          string                    `json:"addressingStyle,omitempty"`
	Bucket                   string                    `json:"bucket,omitempty"`
	CaSecret                 *corev1.SecretKeySelector `json:"caSecret,omitempty"`
	CreateBucketIfNotPresent *CreateS3BucketOptions    `json:"createBucketIfNotPresent,omitempty"`
	EncryptionOptions        *S3EncryptionOptions      `json:"encryptionOptions,omitempty"`
	Endpoint                 string                    `json:"endpoint,omitempty"`
	Insecure                 *bool                     `json:"insecure,omitempty"`
	KeyFormat                string                    `json:"keyFormat,omitempty"`
	KeyPrefix                string                    `json:"keyPrefix,omitempty"`
	Region                   string                    `json:"region,omitempty"`
	RoleARN                  string                    `json:"roleARN,omitempty"`
	SecretKeySecret          *corev1.SecretKeySelector `json:"secretKeySecret,omitempty"`
	SessionTokenSecret       *corev1.SecretKeySelector `json:"sessionTokenSecret,omitempty"`
	UseSDKCreds              bool                      `json:"useSDKCreds,omitempty"`
}

// NoneStrategy holds the none strategy settings of a workflow.
type NoneStrategy struct {
}

// TarStrategy holds the tar strategy settings of a workflow.
type TarStrategy struct {
	CompressionLevel *int64 `json:"compressionLevel,omitempty"`
}

// ZipStrategy holds the zip strategy settings of a workflow.
type ZipStrategy struct {
}

// HTTPAuth holds the HTTP auth settings of a workflow.
type HTTPAuth struct {
	BasicAuth  *BasicAuth      `json:"basicAuth,omitempty"`
	ClientCert *ClientCertAuth `json:"clientCert,omitempty"`
	OAuth2     *OAuth2Auth     `json:"oauth2,omitempty"`
}

// HTTPArtifactHeader holds the header settings of a workflow.
type HTTPArtifactHeader struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// OSSLifecycleRule holds the OSS lifecycle rule settings of a workflow.
type OSSLifecycleRule struct {
	MarkDeletionAfterDays         int64 `json:"markDeletionAfterDays,omitempty"`
	MarkInfrequentAccessAfterDays int64 `json:"markInfrequentAccessAfterDays,omitempty"`
}

// CreateS3BucketOptions holds the create S3 bucket options settings of a workflow.
type CreateS3BucketOptions struct {
	ObjectLocking bool `json:"objectLocking,omitempty"`
}

// S3EncryptionOptions holds the S3 encryption options settings of a workflow.
type S3EncryptionOptions struct {
	EnableEncryption            bool                      `json:"enableEncryption,omitempty"`
	KmsEncryptionContext        string                    `json:"kmsEncryptionContext,omitempty"`
	KmsKeyID                    string                    `json:"kmsKeyId,omitempty"`
	ServerSideCustomerKeySecret *corev1.SecretKeySelector `json:"serverSideCustomerKeySecret,omitempty"`
}

// ArtifactPaths holds the artifact paths settings of a workflow.
type ArtifactPaths struct {
	Artifact `json:",inline"`
}

// BasicAuth holds the basic auth settings of a workflow.
type BasicAuth struct {
	PasswordSecret *corev1.SecretKeySelector `json:"passwordSecret,omitempty"`
	UsernameSecret *corev1.SecretKeySelector `json:"usernameSecret,omitempty"`
}

// ClientCertAuth holds the client cert auth settings of a workflow.
type ClientCertAuth struct {
	ClientCertSecret *corev1.SecretKeySelector `json:"clientCertSecret,omitempty"`
	ClientKeySecret  *corev1.SecretKeySelector `json:"clientKeySecret,omitempty"`
}

// OAuth2Auth holds the O Auth2 auth settings of a workflow.
type OAuth2Auth struct {
	ClientIDSecret     *corev1.SecretKeySelector `json:"clientIDSecret,omitempty"`
	ClientSecretSecret *corev1.SecretKeySelector `json:"clientSecretSecret,omitempty"`
	EndpointParams     []OAuth2EndpointParam     `json:"endpointParams,omitempty"`
	Scopes             []string                  `json:"scopes,omitempty"`
	TokenURLSecret     *corev1.SecretKeySelector `json:"tokenURLSecret,omitempty"`
}

// OAuth2EndpointParam holds the O Auth2 endpoint param settings of a workflow.
type OAuth2EndpointParam struct {
	Key   string `json:"key"`
	Value string `json:"value,omitempty"`
}
