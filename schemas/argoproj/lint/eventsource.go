package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// EventSource looks at one manifest of an EventSource. A text that is not YAML is one finding. The expressions of
// filters are not compiled here: the service says so in the status.
func EventSource(text []byte) []Finding {
	object, lines, err := Read(text)
	if err != nil {
		return []Finding{{Message: err.Error(), Line: 1, Severity: Error}}
	}
	_, found := Decode[v1alpha1.EventSource](object)
	spec, _ := object["spec"].(map[string]any)
	l := look{found: found, names: map[string]string{}, endpoints: map[string]string{}}
	l.spec(spec)
	return Sorted(l.found, lines)
}

// noKinds are the fields of the spec that declare no events.
var noKinds = []string{"eventBusName", "rateLimit", "replicas", "service", "template"}

// needs are the fields without which an event of a kind cannot work, by kind. Source: Argo Events, the validation of
// each kind; several fields with | between them stand for each other.
var needs = map[string][]string{
	"amqp":              {"url|urlSecret", "exchangeType"},
	"azureEventsHub":    {"fqdn", "hubName", "sharedAccessKeyName", "sharedAccessKey"},
	"azureQueueStorage": {"queueName", "connectionString|storageAccountName"},
	"azureServiceBus":   {"queueName|topicName", "connectionString|fullyQualifiedNamespace"},
	"bitbucket":         {"events"},
	"bitbucketserver":   {"bitbucketserverBaseURL"},
	"calendar":          {"schedule|interval"},
	"emitter":           {"broker", "channelName", "channelKey"},
	"file":              {"eventType", "watchPathConfig.directory", "watchPathConfig.path|watchPathConfig.pathRegexp"},
	"generic":           {"url"},
	"github":            {"events"},
	"gitlab":            {"events"},
	"hdfs":              {"addresses", "type", "directory", "path|pathRegexp"},
	"jetstream":         {"url", "stream"},
	"kafka":             {"url", "topic"},
	"minio":             {"endpoint", "bucket.name", "accessKey", "secretKey"},
	"mns":               {"endpoint", "queue", "accessKey", "secretKey"},
	"mqtt":              {"url", "topic", "clientId"},
	"nats":              {"url", "subject"},
	"nsq":               {"hostAddress", "topic", "channel"},
	"pubSub":            {"topic|subscriptionID"},
	"pulsar":            {"url", "topics"},
	"redis":             {"hostAddress", "channels"},
	"redisStream":       {"hostAddress", "streams"},
	"resource":          {"version", "resource", "eventTypes"},
	"sqs":               {"queue", "region"},
	"sftp":              {"address", "eventType", "watchPathConfig.directory"},
	"sns":               {"topicArn"},
}

// signatures are the fields that make a kind check who sent a hook.
var signatures = map[string]string{
	"bitbucket": "webhookSecret", "bitbucketserver": "webhookSecret", "gitea": "webhookSecret", "github": "webhookSecret",
	"gitlab": "secretToken", "slack": "signingSecret", "sns": "validateSignature", "stripe": "signingSecret",
}

// rules are what only one kind has.
var rules = map[string]func(*look, string, map[string]any){
	"bitbucketserver": func(l *look, at string, c map[string]any) { l.duration(at, c, "checkInterval") },
	"calendar":        (*look).calendar,
	"github":          (*look).github,
	"hdfs":            func(l *look, at string, c map[string]any) { l.duration(at, c, "checkInterval") },
	"sftp":            func(l *look, at string, c map[string]any) { l.duration(at, c, "pollIntervalDuration") },
}

// look gathers findings over one spec.
type look struct {
	found     []Finding
	names     map[string]string // of events, to where they stand
	endpoints map[string]string // of hooks, to where they stand
	events    int
}

func (l *look) add(severity Severity, path, message string, args ...any) {
	l.found = append(l.found, Finding{Path: path, Message: fmt.Sprintf(message, args...), Severity: severity})
}

func (l *look) spec(spec map[string]any) {
	for _, kind := range slices.Sorted(maps.Keys(spec)) {
		events, ok := spec[kind].(map[string]any)
		if !ok || slices.Contains(noKinds, kind) {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(events)) {
			if config, ok := events[name].(map[string]any); ok {
				l.event(kind, name, config)
			}
		}
	}
	if l.events == 0 {
		l.add(Error, "spec", "has no events")
	}
	l.rate(spec)
}

func (l *look) rate(spec map[string]any) {
	limit, _ := spec["rateLimit"].(map[string]any)
	if unit, ok := limit["unit"].(string); ok && !slices.Contains([]string{"Second", "Minute", "Hour"}, unit) {
		l.add(Warning, "spec.rateLimit.unit", "%q is none of Second, Minute, Hour: a second is meant", unit)
	}
}

func (l *look) event(kind, name string, c map[string]any) {
	at := "spec." + kind + "." + name
	l.events++
	if other, twice := l.names[name]; twice {
		l.add(Error, at, "%s has the same name; Sensors could not tell them apart", other)
	}
	l.names[name] = at
	for _, need := range needs[kind] {
		if !slices.ContainsFunc(strings.Split(need, "|"), func(path string) bool { return given(c, path) }) {
			l.add(Error, at, "%s is missing", strings.ReplaceAll(need, "|", " or "))
		}
	}
	l.hook(kind, at, c)
	if filter, ok := c["filter"].(map[string]any); ok && kind != "minio" && kind != "resource" && kind != "storageGrid" && !given(filter, "expression") {
		l.add(Error, at+".filter", "expression is missing")
	}
	if rule := rules[kind]; rule != nil {
		rule(l, at, c)
	}
}

// hook looks at what senders see of an event.
func (l *look) hook(kind, at string, c map[string]any) {
	from := at + ".webhook"
	w, ok := c["webhook"].(map[string]any)
	if kind == "webhook" {
		w, from, ok = c, at, true
	}
	if !ok {
		return
	}
	if endpoint, _ := w["endpoint"].(string); endpoint != "" {
		endpoint = "/" + strings.Trim(endpoint, "/")
		if other, twice := l.endpoints[endpoint]; twice {
			l.add(Warning, from+".endpoint", "%s listens on %s already, whatever the port; this one has its path under /hooks/ only", other, endpoint)
		}
		l.endpoints[endpoint] = at
	}
	if method, ok := w["method"].(string); ok && method != strings.ToUpper(method) {
		l.add(Warning, from+".method", "%q is matched as it is written; methods are in capitals", method)
	}
	for _, own := range []string{"serverCertSecret", "serverKeySecret"} {
		if given(w, own) {
			l.add(Warning, from+"."+own, "has no effect: TLS ends before the service")
		}
	}
	l.signature(kind, at, c, w)
}

func (l *look) signature(kind, at string, c, w map[string]any) {
	field := signatures[kind]
	if field == "" || given(c, field) || given(w, "authSecret") || kind == "slack" && given(c, "token") {
		return
	}
	l.add(Warning, at, "without %s anyone may send events", field)
}

func (l *look) calendar(at string, c map[string]any) {
	l.duration(at, c, "interval")
	schedule, _ := c["schedule"].(string)
	if schedule != "" && given(c, "interval") {
		l.add(Error, at, "schedule and interval exclude each other")
	}
	if n := len(strings.Fields(schedule)); schedule != "" && !strings.HasPrefix(schedule, "@") && n != 5 {
		l.add(Error, at+".schedule", "has %d fields; minute, hour, day, month, weekday are wanted", n)
	}
	if zone, ok := c["timezone"].(string); ok {
		if _, err := time.LoadLocation(zone); err != nil {
			l.add(Error, at+".timezone", "%q is unknown", zone)
		}
	}
}

func (l *look) github(at string, c map[string]any) {
	if given(c, "repositories") && given(c, "organizations") {
		l.add(Warning, at, "repositories and organizations: a push to a repository of the organization comes twice")
	}
	if given(c, "githubBaseURL") != given(c, "githubUploadURL") {
		l.add(Error, at, "githubBaseURL and githubUploadURL go together")
	}
	webhook, _ := c["webhook"].(map[string]any)
	if (given(c, "apiToken") || given(c, "githubApp")) && !given(webhook, "url") {
		l.add(Warning, at, "no hook is made at GitHub without webhook.url")
	}
}

func (l *look) duration(at string, c map[string]any, field string) {
	text, ok := c[field].(string)
	if !ok || text == "" {
		return
	}
	if d, err := time.ParseDuration(text); err != nil || d <= 0 {
		l.add(Error, at+"."+field, "%q is no duration such as 10s", text)
	}
}

// given reports whether a field has a value; an empty one counts as none.
func given(c map[string]any, path string) bool {
	first, rest, deeper := strings.Cut(path, ".")
	if deeper {
		inner, _ := c[first].(map[string]any)
		return given(inner, rest)
	}
	switch v := c[first].(type) {
	case nil:
		return false
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case bool:
		return v
	default:
		return true
	}
}
