module github.com/argosy-mesh/argosy/libs/httpx

go 1.26.0
