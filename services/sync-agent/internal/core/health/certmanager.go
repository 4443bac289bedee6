package health

var certManager = group{anyKind: issued}

// issued judges what cert-manager makes: while a certificate is being issued, its not being ready is no fault.
func issued(v view) Health {
	if c := v.condition("Issuing"); c.is("True") {
		return progressing(c.because())
	}
	return usual(v)
}
