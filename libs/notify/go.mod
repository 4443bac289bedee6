module github.com/argosy-mesh/argosy/libs/notify

go 1.26.0

require (
	github.com/argosy-mesh/argosy/libs/core v0.0.0
	github.com/argosy-mesh/argosy/libs/flow v0.0.0
	github.com/argosy-mesh/argosy/libs/script v0.0.0
	github.com/golang-jwt/jwt/v5 v5.3.1
	k8s.io/apimachinery v0.36.3
	sigs.k8s.io/yaml v1.6.0
)

require (
	dario.cat/mergo v1.0.1 // indirect
	github.com/Masterminds/goutils v1.1.1 // indirect
	github.com/Masterminds/semver/v3 v3.5.0 // indirect
	github.com/Masterminds/sprig/v3 v3.3.0 // indirect
	github.com/casbin/govaluate v1.10.0 // indirect
	github.com/expr-lang/expr v1.17.8 // indirect
	github.com/go-logr/logr v1.4.4 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/huandu/xstrings v1.5.0 // indirect
	github.com/itchyny/gojq v0.12.18 // indirect
	github.com/itchyny/timefmt-go v0.1.7 // indirect
	github.com/mitchellh/copystructure v1.2.0 // indirect
	github.com/mitchellh/reflectwalk v1.0.2 // indirect
	github.com/shopspring/decimal v1.4.0 // indirect
	github.com/spf13/cast v1.7.0 // indirect
	github.com/theory/jsonpath v0.12.1 // indirect
	github.com/yuin/gopher-lua v1.1.1 // indirect
	go.yaml.in/yaml/v2 v2.4.4 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	k8s.io/klog/v2 v2.140.0 // indirect
	k8s.io/utils v0.0.0-20260626114624-be93311217bd // indirect
)

replace github.com/argosy-mesh/argosy/libs/core => ../core

replace github.com/argosy-mesh/argosy/libs/flow => ../flow

replace github.com/argosy-mesh/argosy/libs/script => ../script

replace github.com/argosy-mesh/argosy/schemas => ../../schemas
