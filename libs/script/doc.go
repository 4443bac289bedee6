// Package script runs the small programs that manifests carry: Lua, jq and Go
// templates.
//
// They are written by people who are not trusted with this process, so each run
// has a budget: steps, which are counted and the same everywhere; bytes, which no
// string or list may exceed; and an alarm of the caller, who knows what time it
// is. A run that exceeds one of them ends with [ErrBudget]. Programs see neither
// files, nor the network, nor the environment, nor a clock, but for jq's "now" and
// the one that a caller lends to Lua.
//
// Programs are compiled once and may run at the same time.
package script
