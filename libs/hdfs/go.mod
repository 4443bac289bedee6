module github.com/argosy-mesh/argosy/libs/hdfs

go 1.26.0

require (
	github.com/argosy-mesh/argosy/libs/core v0.0.0
	google.golang.org/protobuf v1.36.12
)

replace github.com/argosy-mesh/argosy/libs/core => ../core
