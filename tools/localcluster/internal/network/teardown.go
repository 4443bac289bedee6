package network

import (
	"slices"
	"strings"
)

// table is one table of an iptables-save, with its rules in order.
type table struct {
	name   string
	chains []string
	rules  []string // "-A CHAIN ..."
}

// Teardown turns the output of iptables-save into the input of
// iptables-restore --noflush that removes a node's rules and nothing else:
// its own chain, those of kubelet and kube-proxy (KUBE-*), and those that the
// portmap plugin made for its network. The port map chains that all CNI
// networks share go when no other network uses them. Empty means nothing to do.
func Teardown(saved, own, network string) string {
	var script strings.Builder
	for _, t := range parse(saved) {
		ours := t.owned(own, network)
		if len(ours) == 0 {
			continue
		}
		script.WriteString("*" + t.name + "\n")
		for _, chain := range ours {
			script.WriteString(":" + chain + " - [0:0]\n") // declaring a chain empties it
		}
		for _, rule := range t.rules {
			chain := field(rule, "-A")
			if !slices.Contains(ours, chain) && slices.Contains(ours, target(rule)) {
				script.WriteString("-D" + strings.TrimPrefix(rule, "-A") + "\n")
			}
		}
		for _, chain := range ours {
			script.WriteString("-X " + chain + "\n")
		}
		script.WriteString("COMMIT\n")
	}
	return script.String()
}

// shared are the chains that portmap keeps for every network.
var shared = []string{"CNI-HOSTPORT-DNAT", "CNI-HOSTPORT-MASQ", "CNI-HOSTPORT-SETMARK"}

func (t table) owned(own, network string) []string {
	var ours []string
	others := false
	for _, chain := range t.chains {
		switch {
		case chain == own, strings.HasPrefix(chain, "KUBE-"):
			ours = append(ours, chain)
		case slices.Contains(shared, chain):
		case strings.HasPrefix(chain, "CNI-") && t.madeFor(chain, network):
			ours = append(ours, chain)
		case strings.HasPrefix(chain, "CNI-DN-"):
			others = true
		}
	}
	if others {
		return ours
	}
	for _, chain := range shared {
		if slices.Contains(t.chains, chain) {
			ours = append(ours, chain)
		}
	}
	return ours
}

// madeFor tells whether a rule that leads to the chain names the network; CNI
// plugins write it into the comment.
func (t table) madeFor(chain, network string) bool {
	return slices.ContainsFunc(t.rules, func(rule string) bool {
		return target(rule) == chain && strings.Contains(rule, `name: \"`+network+`\"`)
	})
}

func parse(saved string) []table {
	var tables []table
	for line := range strings.Lines(saved) {
		line = strings.TrimRight(line, "\n")
		if name, ok := strings.CutPrefix(line, "*"); ok {
			tables = append(tables, table{name: name})
		}
		if len(tables) == 0 {
			continue
		}
		t := &tables[len(tables)-1]
		if declared, ok := strings.CutPrefix(line, ":"); ok {
			chain, _, _ := strings.Cut(declared, " ")
			t.chains = append(t.chains, chain)
		}
		if strings.HasPrefix(line, "-A ") {
			t.rules = append(t.rules, line)
		}
	}
	return tables
}

// target is the chain a rule jumps to.
func target(rule string) string {
	if chain := field(rule, "-j"); chain != "" {
		return chain
	}
	return field(rule, "-g")
}

// field is the word after the last flag of that name: comments, which come
// before the target, cannot hide it.
func field(rule, flag string) string {
	words := strings.Fields(rule)
	for i := len(words) - 2; i >= 0; i-- {
		if words[i] == flag {
			return words[i+1]
		}
	}
	return ""
}
