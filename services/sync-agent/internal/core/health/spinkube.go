package health

var spinkube = group{"SpinApp": spinApp, anyKind: usual}

func spinApp(v view) Health {
	if c := v.condition("Progressing"); c.is("True") && !isBad(c.reason) {
		return progressing(c.because())
	}
	return usual(v)
}
