// Package location says where artifacts are kept: in which store, under which key, and which of them are to be taken
// away. It reaches no store.
package location

import (
	"cmp"
	"fmt"
	"hash/crc32"
	"path"
	"strings"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// storeKind is a kind of store that keeps artifacts under keys.
type storeKind struct {
	name string
	// key is where the key stands in a location of this kind; nil when the location is of another.
	key func(*v1alpha1.ArtifactLocation) *string
	// where names the store of a location, without the key; "" when it says no more than a key.
	where func(v1alpha1.ArtifactLocation) string
	// repository is the place that a repository of this kind stands for, and the format of the keys in it.
	repository func(v1alpha1.ArtifactRepository) (l v1alpha1.ArtifactLocation, format string, ok bool)
}

// storeKinds are the kinds of stores with keys. One that is given twice is of the first.
func storeKinds() []storeKind {
	return []storeKind{
		{"s3", func(l *v1alpha1.ArtifactLocation) *string {
			if l.S3 == nil {
				return nil
			}
			return &l.S3.Key
		}, func(l v1alpha1.ArtifactLocation) string { return addressed(l.S3.Endpoint, l.S3.Bucket) }, s3Repository},
		{"gcs", func(l *v1alpha1.ArtifactLocation) *string {
			if l.GCS == nil {
				return nil
			}
			return &l.GCS.Key
		}, func(l v1alpha1.ArtifactLocation) string { return l.GCS.Bucket }, gcsRepository},
		{"azure", func(l *v1alpha1.ArtifactLocation) *string {
			if l.Azure == nil {
				return nil
			}
			return &l.Azure.Blob
		}, func(l v1alpha1.ArtifactLocation) string { return addressed(l.Azure.Endpoint, l.Azure.Container) },
			azureRepository},
		{"oss", func(l *v1alpha1.ArtifactLocation) *string {
			if l.OSS == nil {
				return nil
			}
			return &l.OSS.Key
		}, func(l v1alpha1.ArtifactLocation) string { return addressed(l.OSS.Endpoint, l.OSS.Bucket) }, ossRepository},
		{"hdfs", func(l *v1alpha1.ArtifactLocation) *string {
			if l.HDFS == nil {
				return nil
			}
			return &l.HDFS.Path
		}, func(l v1alpha1.ArtifactLocation) string { return strings.Join(l.HDFS.Addresses, ",") }, hdfsRepository},
		{"plugin", func(l *v1alpha1.ArtifactLocation) *string {
			if l.Plugin == nil {
				return nil
			}
			return &l.Plugin.Key
		}, func(l v1alpha1.ArtifactLocation) string { return driverOf(*l.Plugin) }, pluginRepository},
	}
}

// driverOf names the driver of a place and, in short, what it is told: two configurations are two stores.
func driverOf(p v1alpha1.PluginArtifact) string {
	if p.Name == "" {
		return ""
	}
	return fmt.Sprintf("%s (configuration %08x)", p.Name, crc32.ChecksumIEEE([]byte(p.Configuration)))
}

// addressed is a store of an address and a bucket, "" unless both are given.
func addressed(address, bucket string) string {
	if address == "" || bucket == "" {
		return ""
	}
	return address + "/" + bucket
}

func s3Repository(r v1alpha1.ArtifactRepository) (l v1alpha1.ArtifactLocation, format string, ok bool) {
	s := r.S3
	if s == nil {
		return l, "", false
	}
	if format = s.KeyFormat; format == "" {
		format = path.Join(s.KeyPrefix, keyFormat)
	}
	return v1alpha1.ArtifactLocation{S3: &v1alpha1.S3Artifact{
		AccessKeySecret: s.AccessKeySecret, AddressingStyle: s.AddressingStyle, Bucket: s.Bucket, CaSecret: s.CaSecret,
		CreateBucketIfNotPresent: s.CreateBucketIfNotPresent,
		EncryptionOptions:        s.EncryptionOptions, Endpoint: s.Endpoint, Insecure: s.Insecure, Region: s.Region,
		RoleARN: s.RoleARN, SecretKeySecret: s.SecretKeySecret,
		SessionTokenSecret: s.SessionTokenSecret, UseSDKCreds: s.UseSDKCreds,
	}}, format, true
}

func gcsRepository(r v1alpha1.ArtifactRepository) (l v1alpha1.ArtifactLocation, format string, ok bool) {
	if r.GCS == nil {
		return l, "", false
	}
	return v1alpha1.ArtifactLocation{GCS: &v1alpha1.GCSArtifact{Bucket: r.GCS.Bucket,
		ServiceAccountKeySecret: r.GCS.ServiceAccountKeySecret}}, cmp.Or(r.GCS.KeyFormat, keyFormat), true
}

func azureRepository(r v1alpha1.ArtifactRepository) (l v1alpha1.ArtifactLocation, format string, ok bool) {
	a := r.Azure
	if a == nil {
		return l, "", false
	}
	return v1alpha1.ArtifactLocation{Azure: &v1alpha1.AzureArtifact{Container: a.Container, Endpoint: a.Endpoint,
			AccountKeySecret: a.AccountKeySecret, UseSDKCreds: a.UseSDKCreds}},
		cmp.Or(a.BlobNameFormat, keyFormat), true
}

func ossRepository(r v1alpha1.ArtifactRepository) (l v1alpha1.ArtifactLocation, format string, ok bool) {
	o := r.OSS
	if o == nil {
		return l, "", false
	}
	return v1alpha1.ArtifactLocation{OSS: &v1alpha1.OSSArtifact{
		AccessKeySecret: o.AccessKeySecret, Bucket: o.Bucket, CreateBucketIfNotPresent: o.CreateBucketIfNotPresent,
		Endpoint: o.Endpoint, LifecycleRule: o.LifecycleRule,
		SecretKeySecret: o.SecretKeySecret, SecurityToken: o.SecurityToken, UseSDKCreds: o.UseSDKCreds,
	}}, cmp.Or(o.KeyFormat, keyFormat), true
}

// hdfsRepository has paths, which are absolute: so is the format where none is given.
func hdfsRepository(r v1alpha1.ArtifactRepository) (l v1alpha1.ArtifactLocation, format string, ok bool) {
	h := r.HDFS
	if h == nil {
		return l, "", false
	}
	return v1alpha1.ArtifactLocation{HDFS: &v1alpha1.HDFSArtifact{
		Addresses: h.Addresses, DataTransferProtection: h.DataTransferProtection, Force: h.Force, HdfsUser: h.HdfsUser,
		KrbCCacheSecret:    h.KrbCCacheSecret,
		KrbConfigConfigMap: h.KrbConfigConfigMap, KrbKeytabSecret: h.KrbKeytabSecret, KrbRealm: h.KrbRealm,
		KrbServicePrincipalName: h.KrbServicePrincipalName,
		KrbUsername:             h.KrbUsername,
	}}, cmp.Or(h.PathFormat, "/"+keyFormat), true
}

func pluginRepository(r v1alpha1.ArtifactRepository) (l v1alpha1.ArtifactLocation, format string, ok bool) {
	p := r.Plugin
	if p == nil {
		return l, "", false
	}
	return v1alpha1.ArtifactLocation{Plugin: &v1alpha1.PluginArtifact{Name: p.Name, Configuration: p.Configuration}},
		cmp.Or(p.KeyFormat, keyFormat), true
}

// storeOf is the kind of store of a location, nil when it has no key.
func storeOf(l v1alpha1.ArtifactLocation) *storeKind {
	for _, kind := range storeKinds() {
		if kind.key(&l) != nil {
			return &kind
		}
	}
	return nil
}

// Store names the kind of place of a location: a store with keys, git, http or artifactory; "" when it is none that can
// be reached. One in the built-in store is an s3 without endpoint.
func Store(l v1alpha1.ArtifactLocation) string {
	switch kind := storeOf(l); {
	case l.HTTP != nil:
		return "http"
	case l.Git != nil:
		return "git"
	case l.Artifactory != nil:
		return "artifactory"
	case kind != nil:
		return kind.name
	}
	return ""
}

// Key is the key of a location in its store, "" when that has none.
func Key(l v1alpha1.ArtifactLocation) string {
	if kind := storeOf(l); kind != nil {
		return *kind.key(&l)
	}
	return ""
}

// remote reports whether a place says of which store it is; else it is a key of the run's repository.
func remote(l v1alpha1.ArtifactLocation) bool {
	kind := storeOf(l)
	return l.Artifactory != nil && l.Artifactory.URL != "" || kind != nil && kind.where(l) != ""
}

// Where names the store of a place, whatever its key.
func Where(l v1alpha1.ArtifactLocation) string {
	kind := storeOf(l)
	if kind == nil {
		return ""
	}
	return kind.name + " " + kind.where(l)
}

func sameStore(a, b v1alpha1.ArtifactLocation) bool {
	one, other := storeOf(a), storeOf(b)
	return one != nil && other != nil && one.name == other.name && one.where(a) == other.where(b)
}

// under is the place of a key in a store: that of another place of it.
func under(base v1alpha1.ArtifactLocation, key string) v1alpha1.ArtifactLocation {
	if base.Artifactory != nil {
		place := *base.Artifactory
		place.URL = strings.TrimSuffix(place.URL, "/") + "/" + strings.TrimPrefix(key, "/")
		return v1alpha1.ArtifactLocation{Artifactory: &place}
	}
	kind := storeOf(base)
	if kind == nil {
		return v1alpha1.ArtifactLocation{S3: &v1alpha1.S3Artifact{Key: key}}
	}
	place := *base.DeepCopy()
	place.ArchiveLogs = nil
	*kind.key(&place) = key
	return place
}

// repository is the store of the run, without a key, and the format of the keys in it.
func repository(r *v1alpha1.ArtifactRepository) (store v1alpha1.ArtifactLocation, format string) {
	builtIn := v1alpha1.ArtifactLocation{S3: &v1alpha1.S3Artifact{}}
	if r == nil {
		return builtIn, keyFormat
	}
	for _, kind := range storeKinds() {
		if l, format, ok := kind.repository(*r); ok {
			return l, format
		}
	}
	if a := r.Artifactory; a != nil {
		return v1alpha1.ArtifactLocation{Artifactory: &v1alpha1.ArtifactoryArtifact{URL: a.RepoURL,
			UsernameSecret: a.UsernameSecret, PasswordSecret: a.PasswordSecret}}, cmp.Or(a.KeyFormat, keyFormat)
	}
	return builtIn, keyFormat
}

// configured has a driver that a place names without a configuration be told what the run's repository tells it.
func configured(base, l v1alpha1.ArtifactLocation) v1alpha1.ArtifactLocation {
	if l.Plugin == nil || base.Plugin == nil || l.Plugin.Configuration != "" || l.Plugin.Name != base.Plugin.Name {
		return l
	}
	plugin := *l.Plugin
	plugin.Configuration = base.Plugin.Configuration
	l.Plugin = &plugin
	return l
}

// keyOnly is a place that says no more than its key.
func keyOnly(l v1alpha1.ArtifactLocation) v1alpha1.ArtifactLocation {
	switch key := Key(l); {
	case l.GCS != nil:
		return v1alpha1.ArtifactLocation{GCS: &v1alpha1.GCSArtifact{Key: key}}
	case l.Azure != nil:
		return v1alpha1.ArtifactLocation{Azure: &v1alpha1.AzureArtifact{Blob: key}}
	case l.OSS != nil:
		return v1alpha1.ArtifactLocation{OSS: &v1alpha1.OSSArtifact{Key: key}}
	case l.HDFS != nil:
		return v1alpha1.ArtifactLocation{HDFS: &v1alpha1.HDFSArtifact{Path: key}}
	case l.Plugin != nil:
		return v1alpha1.ArtifactLocation{Plugin: &v1alpha1.PluginArtifact{Key: key}}
	default:
		return v1alpha1.ArtifactLocation{S3: &v1alpha1.S3Artifact{Key: key}}
	}
}

// Located reports whether an artifact can be loaded: by its key or its URL, or because its content is written in the
// manifest.
func Located(a v1alpha1.Artifact) bool {
	return Key(a.ArtifactLocation) != "" || a.Raw != nil || a.HTTP != nil || a.Git != nil || a.Artifactory != nil
}

// keyFormat is the folder of a pod's artifacts where nobody names one. Source: Argo Workflows.
const keyFormat = "{{workflow.name}}/{{pod.name}}"
