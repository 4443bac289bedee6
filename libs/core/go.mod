module github.com/argosy-mesh/argosy/libs/core

go 1.26.0
