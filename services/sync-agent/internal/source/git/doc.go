// Package git keeps bare mirrors of repositories and reads and writes commits
// in them with the git command.
//
// Nothing is ever checked out: trees are read from the object store within
// limits, and commits are built beside it. Only the transports that are
// allowed can be used, nothing asks for a password, and every command ends in
// bounded time.
package git
