package health

var flux = group{"HelmRepository": helmRepository, "Provider": fluxStatic, "Alert": fluxStatic, anyKind: usual}

// helmRepository of type oci is not fetched, and has no status.
func helmRepository(v view) Health {
	if h := general(v); h.Status != "" || v.text("spec", "type") != "oci" {
		return usual(v)
	}
	return healthy("")
}

// fluxStatic holds for kinds that have no status since version 1beta3.
func fluxStatic(v view) Health {
	if h := general(v); h.Status != "" {
		return h
	}
	return healthy("")
}
