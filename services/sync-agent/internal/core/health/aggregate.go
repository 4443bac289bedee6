package health

import (
	"strings"

	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/track"
)

// Annotations that take an object out of the health of its application. Source: Argo CD.
const (
	ignoreAnnotation   = "argocd.argoproj.io/ignore-healthcheck"
	hookAnnotation     = "argocd.argoproj.io/hook"
	helmHookAnnotation = "helm.sh/hook"
)

// Part is one object of an application.
type Part struct {
	Name    string  // what a message calls it
	Health  *Health // nil when it has none; Missing when it is not there
	Ignored bool    // it does not count: a hook, or one that asks not to
}

// PartOf is the part that an object is, as it stands in Git.
func PartOf(name string, desired *track.Object, h *Health) Part {
	annotations := desired.GetAnnotations()
	hook := annotations[hookAnnotation] != "" ||
		annotations[helmHookAnnotation] != "" && annotations[helmHookAnnotation] != "crd-install"
	return Part{Name: name, Health: h, Ignored: hook || annotations[ignoreAnnotation] == "true"}
}

// Worst is the health of an application: that of its worst part. What is missing counts only when all is. Source: Argo
// CD since 3.4.
func Worst(parts []Part) Health {
	out := healthy("")
	missing, counted := 0, 0
	for _, p := range parts {
		if p.Ignored {
			continue
		}
		counted++
		switch {
		case p.Health == nil:
		case p.Health.Status == Missing:
			missing++
		case p.Health.Worse(out):
			out = Health{p.Health.Status, strings.TrimSuffix(strings.TrimSpace(p.Name+": "+p.Health.Message), ":")}
		}
	}
	if counted > 0 && missing == counted {
		return Health{Missing, ""}
	}
	return out
}
