package demo

import "github.com/argosy-mesh/argosy/tools/demo/internal/gitserver"

// Signature is the value of X-Hub-Signature-256 for a body.
func Signature(secret string, body []byte) string { return gitserver.Signature(secret, body) }
