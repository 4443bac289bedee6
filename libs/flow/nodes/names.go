package nodes

import (
	"strconv"
	"strings"
)

// ID is the id of a node by its name. The root's is the workflow's name.
// Source: Argo Workflows, Workflow.NodeID.
func ID(workflow, nodeName string) string {
	if nodeName == workflow {
		return workflow
	}
	return workflow + "-" + strconv.FormatUint(uint64(hash(nodeName)), 10)
}

// maxPodPrefix leaves room for the hash in the 253 characters of a pod's name.
// Source: Argo Workflows, util.GeneratePodName, version 2 of pod names.
const maxPodPrefix = 253 - 11

// PodName is the name of the pod of a node.
func PodName(workflow, nodeName, template string) string {
	if nodeName == workflow {
		return workflow
	}
	prefix := workflow
	if !strings.Contains(nodeName, ".inline") && template != "" {
		prefix = workflow + "-" + template
	}
	prefix = prefix[:min(len(prefix), maxPodPrefix)]
	return prefix + "-" + strconv.FormatUint(uint64(hash(nodeName)), 10)
}

// hash is FNV-1a with 32 bits, without the copy of its text that a hash of the standard library takes.
func hash(s string) uint32 {
	h := uint32(2166136261)
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h
}
