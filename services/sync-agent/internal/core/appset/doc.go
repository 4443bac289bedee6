// Package appset decides which Applications an ApplicationSet makes, and what becomes of those that are there.
//
// [Generate] turns generators into sets of parameters, and these into Applications. What it must know of the world
// (clusters, files of repositories, answers of forges) it asks for: it returns questions, the caller answers them and
// calls again. [Decide] compares the Applications that are wanted with those that exist.
package appset
