package health

// promoter holds for GitOps Promoter: what it makes has a condition Ready, and states of branches.
var promoter = group{anyKind: promoted, "ChangeTransferPolicy": changeTransfer, "PromotionStrategy": promotionStrategy}

func promoted(v view) Health {
	switch {
	case v.deleting():
		return progressing("The object is being deleted")
	case v.empty() || v.condition("Ready").kind == "":
		return progressing("Waiting for a condition Ready")
	}
	return worst(usual(v), listed(view{map[string]any{"environments": v.value("status", "environments")}}))
}

func changeTransfer(v view) Health {
	if h := promoted(v); h.Status != Healthy {
		return h
	}
	return transferred(v.at("status"))
}

// transferred compares the commit of a branch with the one that is proposed for it.
func transferred(branch view) Health {
	active, proposed := branch.text("active", "dry", "sha"), branch.text("proposed", "dry", "sha")
	switch {
	case active == "" || proposed == "":
		return progressing("A commit is not known yet")
	case active != proposed:
		return progressing("The promotion of " + proposed + " is in progress")
	}
	return healthy("The branch is at commit " + active)
}

func promotionStrategy(v view) Health {
	out := promoted(v)
	for _, branch := range v.list("status", "environments") {
		out = worst(out, transferred(branch))
	}
	return out
}
