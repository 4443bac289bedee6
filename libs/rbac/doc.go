// Package rbac decides who may do what: the policies of argocd-rbac-cm and the roles of AppProjects, and the tokens
// that are issued for such roles. It reads nothing and knows no clock but the one it is given.
//
// Promise: policies are compiled once into a [Snapshot] that never changes, and an [Engine] swaps whole snapshots. What
// cannot be read grants nothing and is told as a [Problem] with file and line. Since a line that is not read may have
// been a deny, the file's other lines do not count either.
//
// Source: Argo CD, docs/operator-manual/rbac.md.
package rbac
