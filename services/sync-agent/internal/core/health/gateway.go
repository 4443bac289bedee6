package health

var (
	gatewayAPI = group{
		"HTTPRoute": route, "GRPCRoute": route, "TLSRoute": route, "TCPRoute": route, "UDPRoute": route,
		"ReferenceGrant": configuration, anyKind: usual,
	}
	airlock = group{anyKind: attachedPolicy}
)

// route judges by those parents that have seen the present spec: entries for parents that are no longer named stay.
func route(v view) Health {
	var current []any
	for _, parent := range v.list("status", "parents") {
		fresh := true
		for _, c := range parent.conditions("conditions") {
			fresh = fresh && (c.generation == 0 || c.generation >= v.generation())
		}
		if fresh {
			current = append(current, parent.o)
		}
	}
	if len(current) == 0 {
		return progressing("Waiting for a parent to accept it")
	}
	return usual(view{map[string]any{"metadata": v.value("metadata"), "status": map[string]any{"parents": current}}})
}

// attachedPolicy asks each ancestor that tells anything to tell that it accepts the policy.
func attachedPolicy(v view) Health {
	for _, ancestor := range v.list("status", "ancestors") {
		accepted, told := false, ancestor.conditions("conditions")
		for _, c := range told {
			accepted = accepted || c.kind == "Accepted"
		}
		if len(told) > 0 && !accepted {
			return degraded("Not accepted by " + ancestor.text("ancestorRef", "name"))
		}
	}
	return usual(v)
}
