module github.com/argosy-mesh/argosy/tools/structure

go 1.26.0
