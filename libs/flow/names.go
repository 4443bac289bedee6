package flow

import (
	"fmt"
	"hash/fnv"
	"strings"
)

// NodeID is the id of a node by its name. The root's is the workflow's name.
// Source: Argo Workflows, Workflow.NodeID.
func NodeID(workflow, nodeName string) string {
	if nodeName == workflow {
		return workflow
	}
	return fmt.Sprintf("%s-%d", workflow, hash(nodeName))
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
	return fmt.Sprintf("%s-%d", prefix, hash(nodeName))
}

func hash(s string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(s))
	return h.Sum32()
}
