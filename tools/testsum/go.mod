module github.com/argosy-mesh/argosy/tools/testsum

go 1.26.0
