package project

import (
	"errors"
	"fmt"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
	"github.com/argosy-mesh/argosy/services/sync-agent/internal/core/push"
)

// Mode is how much of a repository must be signed. Source: Argo CD's source integrity.
type Mode string

// The modes.
const (
	ModeNone   Mode = "none"   // nothing
	ModeHead   Mode = "head"   // the tag that is targeted, else the commit
	ModeStrict Mode = "strict" // that, and every commit before it
)

// Verification is what a project asks of the commits of a repository.
type Verification struct {
	Mode Mode
	Keys []string // one of them must have signed; none is no key at all
}

// Verifications are what must hold before anything of a repository in Git is used: all of them. The older signatureKeys
// are those of every repository.
func (p *Project) Verifications(repoURL string) []Verification {
	var out []Verification
	if len(p.spec.SignatureKeys) > 0 {
		v := Verification{Mode: ModeHead}
		for _, k := range p.spec.SignatureKeys {
			v.Keys = append(v.Keys, k.KeyID)
		}
		out = append(out, v)
	}
	for _, policy := range p.policies() {
		if policy.GPG == nil || Mode(policy.GPG.Mode) == ModeNone || !covers(policy.Repos, repoURL) {
			continue
		}
		v := Verification{Mode: Mode(policy.GPG.Mode), Keys: policy.GPG.Keys}
		if v.Mode == "" {
			v.Mode = ModeHead
		}
		out = append(out, v)
	}
	return out
}

func (p *Project) policies() []v1alpha1.SourceIntegrityGitPolicy {
	if p.spec.SourceIntegrity == nil || p.spec.SourceIntegrity.Git == nil {
		return nil
	}
	return p.spec.SourceIntegrity.Git.Policies
}

// covers reports whether a policy is about a repository; a pattern that begins with ! takes what it matches out.
func covers(repos []v1alpha1.SourceIntegrityGitRepo, repoURL string) bool {
	url, covered := push.NormalURL(repoURL), false
	for _, r := range repos {
		rest, deny := denies(r.URL)
		matches := rest == "*" || Match(normalPattern(rest), url, '/') || Match(rest, repoURL, '/')
		if deny && matches {
			return false
		}
		covered = covered || matches
	}
	return covered
}

// integrity lists what of the policies cannot be read. A mode that is not known verifies as strictly as can be.
func (p *Project) integrity() []error {
	var problems []error
	if len(p.spec.SignatureKeys) > 0 && len(p.policies()) > 0 {
		problems = append(problems, errors.New(
			"spec.signatureKeys and spec.sourceIntegrity: both hold; take signatureKeys out, which is the older one",
		))
	}
	for i, policy := range p.policies() {
		at := fmt.Sprintf("spec.sourceIntegrity.git.policies[%d]", i)
		if policy.GPG == nil {
			problems = append(problems, fmt.Errorf("%s.gpg is missing: the policy verifies nothing", at))
			continue
		}
		switch Mode(policy.GPG.Mode) {
		case ModeNone:
			continue
		case "", ModeHead, ModeStrict:
		default:
			problems = append(problems, fmt.Errorf(
				"%s.gpg.mode: %q is none of none, head, strict; it counts as strict", at, policy.GPG.Mode,
			))
		}
		if len(policy.GPG.Keys) == 0 {
			problems = append(problems, fmt.Errorf("%s.gpg.keys is empty: no commit is good enough", at))
		}
	}
	return problems
}

// Cluster says why Applications may not go to a cluster, "" when they may. owner is the project whose cluster it is, ""
// when it is everybody's.
func (p *Project) Cluster(owner string) string {
	if !p.spec.PermitOnlyProjectScopedClusters || owner == p.Name {
		return ""
	}
	return fmt.Sprintf(
		"project %s permits only clusters of its own (spec.permitOnlyProjectScopedClusters): name it in the Secret of the"+
			" cluster, under the key project", p.Name,
	)
}
