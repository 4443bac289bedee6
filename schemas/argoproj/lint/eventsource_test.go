package lint

import (
	"strings"
	"testing"
)

func TestFindingsOfEventSources(t *testing.T) {
	for name, c := range map[string]struct{ spec, want string }{
		"fine":               {"calendar:\n    a: {interval: 10s}\n  webhook:\n    b: {endpoint: /b, method: POST}\n", ""},
		"no events":          {"replicas: 2\n", "error: spec: has no events"},
		"two of a name":      {"nats:\n    a: {url: u, subject: s}\n  redis:\n    a: {hostAddress: h, channels: [c]}\n", "5: error: spec.redis.a: spec.nats.a has the same name"},
		"two of an endpoint": {"webhook:\n    a: {endpoint: /x}\n    b: {endpoint: x/}\n", "4: warning: spec.webhook.b.endpoint: spec.webhook.a listens on /x already"},
		"a field is missing": {"kafka:\n    a: {url: u}\n", "3: error: spec.kafka.a: topic is missing"},
		"an empty field":     {"redis:\n    a: {hostAddress: h, channels: []}\n", "error: spec.redis.a: channels is missing"},
		"one of two":         {"amqp:\n    a: {exchangeType: direct}\n", "error: spec.amqp.a: url or urlSecret is missing"},
		"a deeper field":     {"file:\n    a: {eventType: CREATE, watchPathConfig: {path: x}}\n", "error: spec.file.a: watchPathConfig.directory is missing"},
		"both clocks":        {"calendar:\n    a: {interval: 10s, schedule: '* * * * *'}\n", "error: spec.calendar.a: schedule and interval exclude each other"},
		"seconds in cron":    {"calendar:\n    a: {schedule: '0 * * * * *'}\n", "3: error: spec.calendar.a.schedule: has 6 fields"},
		"no duration":        {"calendar:\n    a: {interval: 10}\n", "error: spec.calendar.a.interval"},
		"a wrong duration":   {"calendar:\n    a: {interval: 10x}\n", `error: spec.calendar.a.interval: "10x" is no duration`},
		"a wrong zone":       {"calendar:\n    a: {interval: 1s, timezone: Mars/Base}\n", `error: spec.calendar.a.timezone: "Mars/Base" is unknown`},
		"an unnamed queue":   {"azureServiceBus:\n    a: {connectionString: {name: s, key: k}}\n", "3: error: spec.azureServiceBus.a: queueName or topicName is missing"},
		"unsigned":           {"github:\n    a: {webhook: {endpoint: /a}, events: [push]}\n", "warning: spec.github.a: without webhookSecret anyone may send events"},
		"half an enterprise": {"github:\n    a: {webhook: {endpoint: /a}, events: [push], githubBaseURL: u, webhookSecret: {name: s, key: k}}\n", "error: spec.github.a: githubBaseURL and githubUploadURL go together"},
		"no url":             {"github:\n    a: {webhook: {endpoint: /a}, events: [push], apiToken: {name: s, key: t}, webhookSecret: {name: s, key: k}}\n", "warning: spec.github.a: no hook is made at GitHub"},
		"an empty filter":    {"webhook:\n    a: {endpoint: /x, filter: {}}\n", "error: spec.webhook.a.filter: expression is missing"},
		"a unit":             {"webhook:\n    a: {endpoint: /x}\n  rateLimit: {unit: Day, requestsPerUnit: 1}\n", `warning: spec.rateLimit.unit: "Day"`},
		"a method":           {"webhook:\n    a: {endpoint: /x, method: post}\n", "warning: spec.webhook.a.method"},
		"own TLS":            {"webhook:\n    a: {endpoint: /x, serverCertSecret: {name: s, key: k}}\n", "warning: spec.webhook.a.serverCertSecret: has no effect"},
		"kinds of nothing":   {"webhook: 1\n", "error"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, f := range EventSource([]byte("spec:\n  " + c.spec)) {
				got = append(got, f.String())
			}
			text := strings.Join(got, "\n")
			if c.want == "" && text != "" || !strings.Contains(text, c.want) {
				t.Errorf("%q, want %q", text, c.want)
			}
		})
	}
}
