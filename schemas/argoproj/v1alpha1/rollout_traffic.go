package v1alpha1

import (
	"encoding/json"
)

// RolloutTrafficRouting names the routers whose weights follow the steps.
type RolloutTrafficRouting struct {
	Istio            *IstioTrafficRouting       `json:"istio,omitempty"`
	Nginx            *NginxTrafficRouting       `json:"nginx,omitempty"`
	ALB              *ALBTrafficRouting         `json:"alb,omitempty"`
	SMI              *SMITrafficRouting         `json:"smi,omitempty"`
	Ambassador       *AmbassadorTrafficRouting  `json:"ambassador,omitempty"`
	AppMesh          *AppMeshTrafficRouting     `json:"appMesh,omitempty"`
	Traefik          *TraefikTrafficRouting     `json:"traefik,omitempty"`
	Apisix           *ApisixTrafficRouting      `json:"apisix,omitempty"`
	ManagedRoutes    []MangedRoute              `json:"managedRoutes,omitempty"`
	Plugins          map[string]json.RawMessage `json:"plugins,omitempty"`
	MaxTrafficWeight *int32                     `json:"maxTrafficWeight,omitempty"`
}

// MangedRoute is a route that steps may add and remove.
type MangedRoute struct {
	Name string `json:"name"`
}

// IstioTrafficRouting splits traffic by Istio.
type IstioTrafficRouting struct {
	VirtualService  *IstioVirtualService  `json:"virtualService,omitempty"`
	VirtualServices []IstioVirtualService `json:"virtualServices,omitempty"`
	DestinationRule *IstioDestinationRule `json:"destinationRule,omitempty"`
}

// IstioVirtualService names a VirtualService and its routes.
type IstioVirtualService struct {
	Name      string     `json:"name"`
	Routes    []string   `json:"routes,omitempty"`
	TLSRoutes []TLSRoute `json:"tlsRoutes,omitempty"`
	TcpRoutes []TCPRoute `json:"tcpRoutes,omitempty"`
}

// TLSRoute matches a TLS route.
type TLSRoute struct {
	Port     int64    `json:"port,omitempty"`
	SniHosts []string `json:"sniHosts,omitempty"`
}

// TCPRoute matches a TCP route.
type TCPRoute struct {
	Port int64 `json:"port,omitempty"`
}

// IstioDestinationRule names a DestinationRule and its subsets.
type IstioDestinationRule struct {
	Name                  string   `json:"name"`
	CanarySubsetName      string   `json:"canarySubsetName"`
	StableSubsetName      string   `json:"stableSubsetName"`
	AdditionalSubsetNames []string `json:"additionalSubsetNames,omitempty"`
}

// NginxTrafficRouting splits traffic by ingress-nginx annotations.
type NginxTrafficRouting struct {
	StableIngress                string            `json:"stableIngress,omitempty"`
	StableIngresses              []string          `json:"stableIngresses,omitempty"`
	AnnotationPrefix             string            `json:"annotationPrefix,omitempty"`
	AdditionalIngressAnnotations map[string]string `json:"additionalIngressAnnotations,omitempty"`
	CanaryIngressAnnotations     map[string]string `json:"canaryIngressAnnotations,omitempty"`
}

// ALBTrafficRouting splits traffic by an AWS load balancer.
type ALBTrafficRouting struct {
	Ingress          string            `json:"ingress,omitempty"`
	Ingresses        []string          `json:"ingresses,omitempty"`
	ServicePort      int32             `json:"servicePort"`
	RootService      string            `json:"rootService,omitempty"`
	AnnotationPrefix string            `json:"annotationPrefix,omitempty"`
	StickinessConfig *StickinessConfig `json:"stickinessConfig,omitempty"`
}

// StickinessConfig keeps a client on one target group.
type StickinessConfig struct {
	Enabled         bool  `json:"enabled"`
	DurationSeconds int64 `json:"durationSeconds"`
}

// SMITrafficRouting splits traffic by a TrafficSplit.
type SMITrafficRouting struct {
	RootService      string `json:"rootService,omitempty"`
	TrafficSplitName string `json:"trafficSplitName,omitempty"`
}

// AmbassadorTrafficRouting splits traffic by Ambassador mappings.
type AmbassadorTrafficRouting struct {
	Mappings []string `json:"mappings"`
}

// AppMeshTrafficRouting splits traffic by App Mesh.
type AppMeshTrafficRouting struct {
	VirtualService   *AppMeshVirtualService   `json:"virtualService,omitempty"`
	VirtualNodeGroup *AppMeshVirtualNodeGroup `json:"virtualNodeGroup,omitempty"`
}

// AppMeshVirtualService names a virtual service and its routes.
type AppMeshVirtualService struct {
	Name   string   `json:"name"`
	Routes []string `json:"routes,omitempty"`
}

// AppMeshVirtualNodeGroup names the two virtual nodes.
type AppMeshVirtualNodeGroup struct {
	CanaryVirtualNodeRef *AppMeshVirtualNodeReference `json:"canaryVirtualNodeRef"`
	StableVirtualNodeRef *AppMeshVirtualNodeReference `json:"stableVirtualNodeRef"`
}

// AppMeshVirtualNodeReference names a virtual node.
type AppMeshVirtualNodeReference struct {
	Name string `json:"name"`
}

// TraefikTrafficRouting splits traffic by a TraefikService.
type TraefikTrafficRouting struct {
	WeightedTraefikServiceName string `json:"weightedTraefikServiceName"`
}

// ApisixTrafficRouting splits traffic by an ApisixRoute.
type ApisixTrafficRouting struct {
	Route *ApisixRoute `json:"route,omitempty"`
}

// ApisixRoute names a route and its rules.
type ApisixRoute struct {
	Name  string   `json:"name"`
	Rules []string `json:"rules,omitempty"`
}
