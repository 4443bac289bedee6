package workflowtest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/argosy-mesh/argosy/libs/flow"
	"github.com/argosy-mesh/argosy/libs/flow/location"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// measured is a metric as text.
func measured(m flow.Metric) string {
	if m.Problem != "" {
		return m.Name + ": " + m.Problem
	}
	var labels strings.Builder
	for _, name := range slices.Sorted(maps.Keys(m.Labels)) {
		labels.WriteString(" " + name + "=" + m.Labels[name])
	}
	value := strconv.FormatFloat(m.Value, 'f', -1, 64)
	switch {
	case !m.Since.IsZero() && m.Until.IsZero():
		value = "runs"
	case !m.Since.IsZero():
		value = m.Until.Sub(m.Since).String()
	}
	return fmt.Sprintf("%s%s %s%s %s", m.Name, labels.String(), m.Kind, strings.TrimSuffix(" "+m.Operation, " "), value)
}

// placeText is where an artifact is kept, as text.
func placeText(l v1alpha1.ArtifactLocation) string {
	switch {
	case l.HTTP != nil:
		return l.HTTP.URL
	case l.Git != nil:
		return l.Git.Repo
	case l.Artifactory != nil:
		return l.Artifactory.URL
	case l.Raw != nil:
		return "raw"
	case l.Plugin != nil && l.Plugin.Name != "":
		return "plugin " + l.Plugin.Name + "(" + l.Plugin.Configuration + "):" + l.Plugin.Key
	case l.S3 == nil && location.Key(l) != "":
		return location.Store(l) + ":" + location.Key(l)
	case l.S3 == nil:
		return "?"
	case l.S3.Bucket != "":
		return l.S3.Bucket + ":" + l.S3.Key
	}
	return l.S3.Key
}
