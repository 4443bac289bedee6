package health

var networking = group{"Ingress": loadBalanced}

func loadBalanced(v view) Health {
	if len(v.list("status", "loadBalancer", "ingress")) > 0 {
		return Health{Status: Healthy}
	}
	return Health{Status: Progressing}
}
