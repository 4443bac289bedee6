package health

var atlas = group{anyKind: atlasSchema}

// atlasSchema is being worked at only while the reason says so: others are names of the step that failed.
func atlasSchema(v view) Health {
	if c := v.condition("Ready"); c.is("False") && c.reason == "Reconciling" {
		return progressing(c.because())
	}
	return byReady(v)
}
