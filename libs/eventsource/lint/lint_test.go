package lint

import (
	"fmt"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/argoproj/lint"
)

func TestFindingsOfEventSources(t *testing.T) {
	for name, c := range map[string]struct{ spec, want string }{
		"fine": {
			"calendar:\n    a: {interval: 10s}\n  webhook:\n    b: {endpoint: /b, method: POST}\n", "",
		},
		"no events": {"replicas: 2\n", "error: spec: has no events"},
		"two of a name": {
			"nats:\n    a: {url: u, subject: s}\n  redis:\n    a: {hostAddress: h, channels: [c]}\n",
			"5: error: spec.redis.a: spec.nats.a has the same name",
		},
		"two of an endpoint": {
			"webhook:\n    a: {endpoint: /x}\n    b: {endpoint: x/}\n",
			"4: error: spec.webhook.b.endpoint: spec.webhook.a listens on /x with method POST already",
		},
		"a field is missing": {"kafka:\n    a: {url: u}\n", "3: error: spec.kafka.a: topic is missing"},
		"an empty field": {
			"redis:\n    a: {hostAddress: h, channels: []}\n", "error: spec.redis.a: channels or patterns is missing",
		},
		"one of two": {
			"amqp:\n    a: {exchangeType: direct}\n", "error: spec.amqp.a: url or urlSecret is missing",
		},
		"a deeper field": {
			"file:\n    a: {eventType: CREATE, watchPathConfig: {path: x}}\n",
			"error: spec.file.a: watchPathConfig.directory is missing",
		},
		"both clocks": {
			"calendar:\n    a: {interval: 10s, schedule: '* * * * *'}\n",
			"warning: spec.calendar.a.interval: has no effect beside schedule",
		},
		"seconds in cron": {
			"calendar:\n    a: {schedule: '0 * * * * *'}\n",
			`3: error: spec.calendar.a.schedule: "0 * * * * *": expected exactly 5 fields`,
		},
		"no duration": {"calendar:\n    a: {interval: 10}\n", "error: spec.calendar.a.interval"},
		"a wrong duration": {
			"calendar:\n    a: {interval: 10x}\n", `error: spec.calendar.a.interval: "10x" is not a duration`,
		},
		"a wrong zone": {
			"calendar:\n    a: {interval: 1s, timezone: Mars/Base}\n",
			`error: spec.calendar.a.timezone: "Mars/Base" is no time zone`,
		},
		"an unnamed queue": {
			"azureServiceBus:\n    a: {connectionString: {name: s, key: k}}\n",
			"3: error: spec.azureServiceBus.a: queueName or topicName is missing",
		},
		"unsigned": {
			"github:\n    a: {webhook: {endpoint: /a}, events: [push]}\n",
			"warning: spec.github.a: without webhookSecret anyone may send events",
		},
		"half an enterprise": {
			"github:\n    a: {webhook: {endpoint: /a}, events: [push], githubBaseURL: u, webhookSecret: {name: s, key: k}}\n",
			"warning: spec.github.a: githubBaseURL and githubUploadURL go together",
		},
		"no url": {
			"github:\n    a: {webhook: {endpoint: /a}, events: [push], apiToken: {name: s, key: t}, webhookSecret: {name: s, key: k}}\n",
			"warning: spec.github.a: no hook is made at GitHub",
		},
		"an empty filter": {
			"webhook:\n    a: {endpoint: /x, filter: {}}\n", "warning: spec.webhook.a.filter: has no effect",
		},
		"a unit": {
			"webhook:\n    a: {endpoint: /x}\n  rateLimit: {unit: Day, requestsPerUnit: 1}\n",
			`warning: spec.rateLimit.unit: "Day"`,
		},
		"own TLS": {
			"webhook:\n    a: {endpoint: /x, serverCertSecret: {name: s, key: k}}\n",
			"warning: spec.webhook.a.serverCertSecret: has no effect",
		},
		"a method that is none": {
			"webhook:\n    a: {endpoint: /x, method: POTS}\n", `3: error: spec.webhook.a.method: "POTS" is no method`,
		},
		"small letters": {"webhook:\n    a: {endpoint: /x, method: post}\n", ""},
		"two ports": {
			"webhook:\n    a: {endpoint: /x, port: '1'}\n    b: {endpoint: /x, port: '2'}\n",
			"4: warning: spec.webhook.b.endpoint: spec.webhook.a listens on /x too",
		},
		"two methods": {
			"webhook:\n    a: {endpoint: /x, method: GET}\n    b: {endpoint: /x, method: POST}\n", "",
		},
		"the root":   {"webhook:\n    a: {endpoint: /, method: POST}\n", ""},
		"a variable": {"webhook:\n    a: {endpoint: '/user/{name}', method: POST}\n", ""},
		"an open variable": {
			"webhook:\n    a: {endpoint: '/user/{name', method: POST}\n",
			"3: error: spec.webhook.a.endpoint: \"/user/{name\" has a { without its }",
		},
		"our own paths": {
			"webhook:\n    a: {endpoint: /hooks/ns/es/a}\n",
			"3: error: spec.webhook.a.endpoint: /hooks/ns/es/a is below /hooks/",
		},
		"an endpoint deeper": {
			"gitea:\n    a: {webhook: {endpoint: '/{'}, webhookSecret: {name: s, key: k}}\n",
			"3: error: spec.gitea.a.webhook.endpoint",
		},
		"a filter": {
			"webhook:\n    a:\n      endpoint: /x\n      filter:\n        expression: 'body.'\n",
			"6: error: spec.webhook.a.filter.expression: ",
		},
		"a filter of a queue": {
			"nats:\n    a: {url: u, subject: s, filter: {expression: 'a b'}}\n",
			"3: error: spec.nats.a.filter.expression: ",
		},
		"a calendar's filter": {
			"calendar:\n    a: {interval: 10s, filter: {expression: '('}}\n",
			"error: spec.calendar.a.filter.expression: ",
		},
		"an exclusion": {
			"calendar:\n    a:\n      schedule: 30 9 * * *\n      exclusionDates:\n      - EXDATE:20251225T000000Z\n      - RRULE:FREQ=WEEKLY\n",
			"7: error: spec.calendar.a.exclusionDates[1]: ",
		},
		"no such day": {
			"calendar:\n    a: {schedule: 0 0 31 2 *}\n", "3: error: spec.calendar.a.schedule: it names no day",
		},
		"weekday 7": {"calendar:\n    a: {schedule: 0 0 * * 7}\n", "3: error: spec.calendar.a.schedule"},
		"good exclusions": {
			"calendar:\n    a: {schedule: 30 9 * * *, exclusionDates: ['EXDATE;VALUE=DATE:20251225', 'EXDATE;TZID=America/New_York:20251225T043000', 'RRULE:FREQ=WEEKLY;BYDAY=SA,SU']}\n",
			"",
		},
		"catch up": {
			"calendar:\n    a: {interval: 10s, persistence: {catchup: {enabled: true, maxDuration: long}}}\n",
			"error: spec.calendar.a.persistence.catchup.maxDuration",
		},
		"fields of objects": {
			"resource:\n    a: {version: v1, resource: pods, eventTypes: [ADD], filter: {fields: [{key: a, operation: '==', value: '('}]}}\n",
			"3: error: spec.resource.a.filter.fields[0]: value of a",
		},
		"labels of objects": {
			"resource:\n    a: {version: v1, resource: pods, eventTypes: [ADD], filter: {labels: [{key: a, operation: like, value: b}]}}\n",
			"3: error: spec.resource.a.filter.labels[0]",
		},
		"good labels": {
			"resource:\n    a: {version: v1, resource: pods, eventTypes: [ADD], filter: {labels: [{key: a, operation: exists}, {key: b, operation: '!'}]}}\n",
			"",
		},
		"events of objects": {
			"resource:\n    a: {version: v1, resource: pods, eventTypes: [CREATE]}\n",
			`3: error: spec.resource.a.eventTypes[0]: "CREATE" is none of ADD`,
		},
		"events of files": {
			"file:\n    a: {eventType: CHANGED, watchPathConfig: {directory: /x, path: y}}\n",
			`3: error: spec.file.a.eventType: "CHANGED" names none`,
		},
		"two events of files": {
			"file:\n    a: {eventType: CREATE|REMOVE, watchPathConfig: {directory: /x, path: y}}\n", "",
		},
		"names of files": {
			"sftp:\n    a: {address: {name: s, key: k}, watchPathConfig: {directory: /x, pathRegexp: '('}}\n",
			"3: error: spec.sftp.a.watchPathConfig.pathRegexp",
		},
		"a pattern of hdfs": {
			"hdfs:\n    a: {addresses: [h], directory: /x, pathRegexp: '(', hdfsUser: u}\n",
			"3: error: spec.hdfs.a.pathRegexp",
		},
		"Kerberos": {
			"hdfs:\n    a: {addresses: [h], directory: /x, path: y, hdfsUser: u, krbKeytabSecret: {name: s, key: k}}\n",
			"3: error: spec.hdfs.a.krbKeytabSecret: is not supported",
		},
		"a group": {
			"kafka:\n    a: {url: u, topic: t}\n", "3: error: spec.kafka.a: partition or consumerGroup is missing",
		},
		"a registry of schemas": {
			"kafka:\n    a: {url: u, topic: t, partition: '0', schemaRegistry: {url: x}}\n",
			"3: error: spec.kafka.a.schemaRegistry: is not supported",
		},
		"a partition": {
			"kafka:\n    a: {url: u, topic: t, partition: first}\n", "3: error: spec.kafka.a.partition",
		},
		"a mechanism": {
			"kafka:\n    a: {url: u, topic: t, partition: '0', sasl: {mechanism: GSSAPI}}\n",
			"3: error: spec.kafka.a.sasl.mechanism",
		},
		"a kind of pulsar": {
			"pulsar:\n    a: {url: 'pulsar://h', topics: [t], type: failover}\n", "3: error: spec.pulsar.a.type",
		},
		"no way into Azure": {
			"azureQueueStorage:\n    a: {queueName: q}\n",
			"3: error: spec.azureQueueStorage.a: connectionString or storageAccountName is missing",
		},
		"half a rule of a hub": {
			"azureEventsHub:\n    a: {fqdn: f, hubName: h, sharedAccessKey: {name: s, key: k}}\n",
			"3: error: spec.azureEventsHub.a.sharedAccessKey: sharedAccessKeyName and sharedAccessKey come together",
		},
		"two ways into Kafka": {
			"kafka:\n    a: {url: u, topic: t, partition: '0', awsMskIamAuth: {region: r}, sasl: {mechanism: PLAIN}}\n",
			"3: error: spec.kafka.a.awsMskIamAuth: of awsMskIamAuth and sasl one is given",
		},
		"keys of sns": {
			"sns:\n    a: {topicArn: t, region: r, webhook: {endpoint: /x}, accessKey: {name: s, key: k}}\n",
			"3: warning: spec.sns.a.accessKey: has no effect",
		},
		"no region of MSK": {
			"kafka:\n    a: {url: u, topic: t, partition: '0', awsMskIamAuth: {region: ''}}\n",
			"3: error: spec.kafka.a.awsMskIamAuth.region: is missing",
		},
		"a provider": {
			"registry:\n    a: {provider: what, pathSecret: {name: s, key: k}}\n",
			"3: error: spec.registry.a.provider: provider what is unknown; it is none of acr",
		},
		"repositories": {
			"registry:\n    a: {repositories: ['team/[a'], pathSecret: {name: s, key: k}}\n",
			"3: error: spec.registry.a.repositories[0]",
		},
		"an open registry": {
			"registry:\n    a: {webhook: {endpoint: /r}}\n", "3: warning: spec.registry.a: without authSecret",
		},
		"hooks of GitLab": {
			"gitlab:\n    a: {events: [PushEvent], secretToken: {name: s, key: k}}\n",
			`3: warning: spec.gitlab.a.events[0]: "PushEvent" names no hook`,
		},
		"no header": {
			"webhook:\n    a: {endpoint: /x, hmac: {secret: {name: s, key: k}}}\n",
			"3: error: spec.webhook.a.hmac.header",
		},
		"an algorithm": {
			"cloudEvents:\n    a: {hmac: {header: X, algorithm: md5, secret: {name: s, key: k}}}\n",
			"3: error: spec.cloudEvents.a.hmac.algorithm",
		},
		"a scheme": {
			"webhook:\n    a: {endpoint: /x, hmac: {scheme: standardWebhooks, secret: {name: s, key: k}}}\n", "",
		},
		"another scheme": {
			"webhook:\n    a: {endpoint: /x, hmac: {scheme: other, secret: {name: s, key: k}}}\n",
			"3: error: spec.webhook.a.hmac.scheme",
		},
		"dlq": {"sqs:\n    a: {queue: q, dlq: true}\n", "3: warning: spec.sqs.a.dlq: has no effect"},
		"a long name": {
			"webhook:\n    " + strings.Repeat("n", 900) + strings.Repeat("ü", 100) + ": {endpoint: /x}\n",
			"is too long",
		},
		"a limit of nothing": {
			"webhook:\n    a: {endpoint: /x}\n  rateLimit: {unit: Minute}\n", "warning: spec.rateLimit.requestsPerUnit",
		},
		"kinds of nothing": {"webhook: 1\n", "error"},
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

func TestLinesPointAtTheKey(t *testing.T) {
	text := "apiVersion: argoproj.io/v1alpha1\nkind: EventSource\nspec:\n  webhook:\n    example:\n      endpoint: /a\n      porto: 1\n  github:\n    hub:\n      events:\n      - push\n      - {}\n"
	got := fmt.Sprint(EventSource([]byte(text)))
	want := "[7: warning: spec.webhook.example.porto: unknown field 9: warning: spec.github.hub: without webhookSecret anyone may send events 12: error: spec.github.hub.events[1]: json: cannot unmarshal object into Go value of type string]"
	if got != want {
		t.Errorf("\n%s, want\n%s", got, want)
	}
}

func TestWhatIsNotYAMLIsOneFinding(t *testing.T) {
	for _, text := range []string{"a: [", "- 1", "\t"} {
		if got := EventSource([]byte(text)); len(got) != 1 || got[0].Severity != lint.Error {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestNamesOfTheObject(t *testing.T) {
	for text, want := range map[string]string{
		"metadata: {name: Shop_1}\nspec: {webhook: {a: {endpoint: /a}}}\n":                          "1: error: metadata.name",
		"metadata:\n  name: shop\n  labels:\n    team: a b\nspec: {webhook: {a: {endpoint: /a}}}\n": "4: error: metadata.labels.team",
		"metadata: {name: shop}\nspec: {webhook: {a: {endpoint: /a}}}\n":                            "",
	} {
		found := fmt.Sprint(EventSource([]byte(text)))
		if want == "" && found != "[]" || !strings.Contains(found, want) {
			t.Errorf("%q: %s", text, found)
		}
	}
}

func FuzzEventSource(f *testing.F) {
	f.Add([]byte("spec: {webhook: {a: {endpoint: '/{x}'}}}"))
	f.Add([]byte("spec: {calendar: {a: {schedule: 0 0 * * *, exclusionDates: ['RRULE:FREQ=DAILY']}}}"))
	f.Fuzz(func(_ *testing.T, text []byte) { EventSource(text) })
}
