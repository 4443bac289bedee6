module github.com/argosy-mesh/argosy/services/workflow-runner

go 1.26.0

require (
	github.com/argosy-mesh/argosy/libs/bus v0.0.0
	github.com/argosy-mesh/argosy/libs/core v0.0.0
	github.com/argosy-mesh/argosy/libs/kube v0.0.0
	github.com/argosy-mesh/argosy/libs/obs v0.0.0
	github.com/argosy-mesh/argosy/schemas v0.0.0
)

require (
	github.com/casbin/govaluate v1.10.0 // indirect
	github.com/expr-lang/expr v1.17.8 // indirect
	github.com/google/go-cmp v0.7.0 // indirect
	go.yaml.in/yaml/v2 v2.4.3 // indirect
	sigs.k8s.io/yaml v1.6.0 // indirect
)

replace (
	github.com/argosy-mesh/argosy/libs/bus => ../../libs/bus
	github.com/argosy-mesh/argosy/libs/core => ../../libs/core
	github.com/argosy-mesh/argosy/libs/kube => ../../libs/kube
	github.com/argosy-mesh/argosy/libs/obs => ../../libs/obs
	github.com/argosy-mesh/argosy/schemas => ../../schemas
)
