package health

// elastic holds for the kinds of Elastic Cloud on Kubernetes: a colour, a phase, and numbers of nodes.
var elastic = group{anyKind: elasticKind, "Elasticsearch": elasticsearch, "Logstash": logstash}

func elasticKind(v view) Health {
	colour := v.text("status", "health")
	if v.empty() {
		return unknown("There is no status")
	}
	switch colour {
	case "red":
		return degraded("red")
	case "yellow", "":
		return progressing(colour)
	case "green":
		if v.count("status", "availableNodes") < v.count("status", "expectedNodes") {
			return progressing("Not all nodes are available")
		}
		return healthy(colour)
	}
	return unknown("Unknown health " + colour)
}

func elasticsearch(v view) Health {
	phase := v.text("status", "phase")
	switch {
	case v.empty():
		return unknown("There is no status")
	case phase == "Invalid":
		return degraded(phase)
	case phase != "Ready":
		return progressing(phase)
	}
	wanted := int64(0)
	for _, set := range v.list("spec", "nodeSets") {
		wanted += set.count("count")
	}
	if h := elasticKind(v); h.Status != Healthy || v.count("status", "availableNodes") >= wanted {
		return h
	}
	return progressing("Not all nodes are available")
}

func logstash(v view) Health {
	if v.empty() {
		return progressing("Waiting for a status")
	}
	return elasticKind(v)
}
