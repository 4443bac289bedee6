package operation

import (
	"slices"
	"strings"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
)

// Options are the sync options of an object or an application, compared as they are spelled.
type Options []string

// Sync options that more than one rule asks for.
const (
	createNamespace = "CreateNamespace=true"
	respectIgnored  = "RespectIgnoreDifferences=true"
	pruneLast       = "PruneLast=true"
)

// OptionsOf reads the options that o itself carries.
func OptionsOf(o *track.Object) Options {
	if o == nil {
		return nil
	}
	return fields(o.GetAnnotations()[OptionsAnnotation])
}

// Has reports whether option is set.
func (o Options) Has(option string) bool { return slices.Contains(o, option) }

// value returns what an option is set to, "" when it is not set.
func (o Options) value(name string) string {
	for _, option := range o {
		if v, ok := strings.CutPrefix(option, name+"="); ok {
			return v
		}
	}
	return ""
}

// effective is the value of an option for an object: its own, else the application's.
func (w World) effective(name string, of ...*track.Object) string {
	for _, o := range of {
		if v := OptionsOf(o).value(name); v != "" {
			return v
		}
	}
	return w.options().value(name)
}

// Has reports whether an option is set for the whole sync.
func (w World) Has(option string) bool { return w.options().Has(option) }

// Propagation is how deletions reach what objects own: foreground, background or orphan.
func (w World) Propagation() string {
	for _, o := range w.options() {
		if v, ok := strings.CutPrefix(o, "PrunePropagationPolicy="); ok && (v == "background" || v == "orphan") {
			return v
		}
	}
	return "foreground"
}

// options are those of the application, or of the operation where that brings its own.
func (w World) options() Options {
	if o := w.running(); o != nil && o.Sync != nil && o.Sync.SyncOptions != nil {
		return o.Sync.SyncOptions
	}
	return w.Policy.SyncOptions
}
