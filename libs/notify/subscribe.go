package notify

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

// prefix begins the annotations of notifications.
const prefix = "notifications.argoproj.io/"

// Destination is a recipient of a service.
type Destination struct {
	Service, Recipient string
}

// maxDestinations bounds who is told about one trigger of one object.
const maxDestinations = 200

// Destinations are who is subscribed to an object, by trigger: by its annotations, by those of its project, and by the
// configuration. Without a trigger the default ones of the service count.
func (c *Config) Destinations(own labels.Set, annotations ...map[string]string) map[string][]Destination {
	out := map[string][]Destination{}
	add := func(trigger, service, recipient string) {
		triggers := []string{trigger}
		if trigger == "" {
			triggers = c.defaults[""]
			if of, is := c.defaults[service]; is {
				triggers = of
			}
		}
		to := Destination{service, strings.TrimSpace(recipient)}
		for _, t := range triggers {
			if !slices.Contains(out[t], to) && len(out[t]) < maxDestinations {
				out[t] = append(out[t], to)
			}
		}
	}
	for _, of := range annotations {
		for key, value := range of {
			switch name, is := strings.CutPrefix(key, prefix); {
			case is && name == "subscriptions":
				annotated(value, add)
			case is && strings.HasPrefix(name, "subscribe."):
				trigger, service, both := strings.Cut(strings.TrimPrefix(name, "subscribe."), ".")
				if !both {
					trigger, service = "", trigger
				}
				for recipient := range strings.SplitSeq(value, ";") {
					add(trigger, service, recipient)
				}
			}
		}
	}
	for _, s := range c.subscriptions {
		if !s.selector.Matches(own) {
			continue
		}
		for _, text := range s.Recipients {
			service, recipient, _ := strings.Cut(text, ":")
			for _, trigger := range s.Triggers {
				add(trigger, service, recipient)
			}
			if len(s.Triggers) == 0 {
				add("", service, recipient)
			}
		}
	}
	for _, list := range out {
		slices.SortFunc(list, func(a, b Destination) int {
			return strings.Compare(a.Service+"\x00"+a.Recipient, b.Service+"\x00"+b.Recipient)
		})
	}
	return out
}

// annotated reads the form of subscriptions that holds several at once.
func annotated(text string, add func(trigger, service, recipient string)) {
	var list []struct {
		Trigger      []string
		Destinations []struct {
			Service    string
			Recipients []string
		}
	}
	if len(text) > maxConfig || yaml.Unmarshal([]byte(text), &list) != nil {
		return // whoever wrote it sees that nothing comes; there is nobody else to tell
	}
	for _, s := range list {
		triggers := s.Trigger
		if len(triggers) == 0 {
			triggers = []string{""}
		}
		for _, d := range s.Destinations {
			for _, r := range d.Recipients {
				for _, t := range triggers {
					add(t, d.Service, r)
				}
			}
		}
	}
}
