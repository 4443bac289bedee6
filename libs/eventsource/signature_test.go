package eventsource

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKindsThatCheckWhoSentAHook(t *testing.T) {
	want := map[string]string{
		"bitbucket": "webhookSecret", "bitbucketserver": "webhookSecret", "gitea": "webhookSecret",
		"github": "webhookSecret", "gitlab": "secretToken", "slack": "signingSecret", "sns": "validateSignature",
		"stripe": "signingSecret",
	}
	if diff := cmp.Diff(want, signatures); diff != "" {
		t.Error(diff)
	}
}
