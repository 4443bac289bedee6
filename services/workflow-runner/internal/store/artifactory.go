package store

import (
	"context"
	"encoding/base64"

	"github.com/argosy-mesh/argosy/libs/core/fault"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// artifactory is one file at a URL of an Artifactory, with a user and a password, or a token in its place.
func (s *Stores) artifactory(ctx context.Context, namespace string, l v1alpha1.ArtifactLocation) (Store, error) {
	a := l.Artifactory
	opened, err := s.web(ctx, namespace, v1alpha1.ArtifactLocation{HTTP: &v1alpha1.HTTPArtifact{URL: a.URL}})
	if err != nil || a.UsernameSecret == nil && a.PasswordSecret == nil {
		return opened, err
	}
	if a.UsernameSecret == nil || a.PasswordSecret == nil {
		return nil, fault.Poisonf("artifactory: usernameSecret and passwordSecret come together")
	}
	user, err := s.secret(ctx, namespace, *a.UsernameSecret)
	if err != nil {
		return nil, err
	}
	password, err := s.secret(ctx, namespace, *a.PasswordSecret)
	if err != nil {
		return nil, err
	}
	file, _ := opened.(*web)
	file.headers["Authorization"] = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	return file, nil
}
