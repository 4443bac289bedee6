module github.com/argosy-mesh/argosy/schemas

go 1.26.0
