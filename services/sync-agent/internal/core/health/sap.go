package health

var sap = group{anyKind: serviceOperator}

func serviceOperator(v view) Health {
	if v.deleting() {
		return progressing("The object is being deleted")
	}
	return usual(v)
}
