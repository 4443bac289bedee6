package eventsource

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

// rules are what only one kind has.
var rules = map[string]func(c *check, event string, config map[string]any){
	"amqp": func(c *check, _ string, config map[string]any) {
		if given(config, "exchangeName") && !given(config, "exchangeType") {
			c.refuse("exchangeType", "is missing: an exchange is declared with its type, such as topic")
		}
	},
	"azureServiceBus": checkServiceBus,
	"bitbucketserver": duration("checkInterval"),
	"calendar":        checkCalendar,
	"cloudEvents":     func(c *check, e string, _ map[string]any) { c.hmac(c.es.Spec.CloudEvents[e].HMAC) },
	"file": func(c *check, e string, _ map[string]any) {
		f := c.es.Spec.File[e]
		c.watch("watchPathConfig", f.WatchPathConfig, "eventType", f.EventType)
	},
	"github": checkGithub,
	"gitlab": checkGitlab,
	"hdfs": and(duration("checkInterval"), func(c *check, e string, _ map[string]any) {
		h := c.es.Spec.HDFS[e]
		c.watch(
			"", v1alpha1.WatchPathConfig{Directory: h.Directory, Path: h.Path, PathRegexp: h.PathRegexp}, "type",
			h.Type,
		)
	}),
	"azureEventsHub": checkEventsHub,
	"kafka":          checkKafka,
	"mns":            checkMNS,
	"pulsar":         checkPulsar,
	"registry":       checkRegistry,
	"resource":       checkResource,
	"sftp": and(duration("pollIntervalDuration"), func(c *check, e string, _ map[string]any) {
		s := c.es.Spec.SFTP[e]
		c.watch("watchPathConfig", s.WatchPathConfig, "eventType", s.EventType)
	}),
	"webhook": func(c *check, e string, _ map[string]any) {
		w := c.es.Spec.Webhook[e]
		c.listens("", &v1alpha1.WebhookContext{Endpoint: w.Endpoint, Method: w.Method, Port: w.Port})
		c.hmac(w.HMAC)
	},
}

type rule = func(c *check, event string, config map[string]any)

func and(all ...rule) rule {
	return func(c *check, event string, config map[string]any) {
		for _, one := range all {
			one(c, event, config)
		}
	}
}

// hooked looks at where an event listens, whatever its kind.
func (c *check) hooked(config map[string]any) {
	raw, is := config["webhook"].(map[string]any)
	if !is {
		return
	}
	text, err := json.Marshal(raw)
	var w v1alpha1.WebhookContext
	if err == nil && json.Unmarshal(text, &w) == nil { // what cannot be read was said before
		c.listens("webhook", &w)
	}
}

// duration is for a field that holds one, above zero.
func duration(field string) rule {
	return func(c *check, _ string, config map[string]any) {
		text, _ := config[field].(string)
		if text == "" {
			return
		}
		if d, err := time.ParseDuration(text); err != nil || d <= 0 {
			c.refuse(field, "%q is no duration above zero, such as 10s", text)
		}
	}
}

// listens looks at where a hook is sent to.
func (c *check) listens(field string, w *v1alpha1.WebhookContext) {
	in := func(name string) string { return strings.Trim(field+"."+name, ".") }
	method, err := Method(w.Method)
	c.err(in("method"), err)
	endpoint, err := NewEndpoint(w.Endpoint)
	c.err(in("endpoint"), err)
	if err != nil || endpoint.Path == "" {
		return
	}
	l := listening{endpoint.Path, method, string(w.Port), c.at("")}
	for _, other := range c.listen {
		switch {
		case other.path != l.path || other.method != l.method:
		case other.port == l.port:
			c.shared(
				in("endpoint"),
				"%s listens on %s with method %s already; give this one another endpoint, or use its path below %s",
				other.at, l.path, l.method, OwnPaths,
			)
		default:
			c.add(
				Advice, c.at(in("endpoint")),
				"%s listens on %s too, and all ports are one here: this one gets what says port %s in its Host header, and what comes to its path under %s",
				other.at, l.path, l.port, OwnPaths,
			)
		}
	}
	c.listen = append(c.listen, l)
}

func (c *check) hmac(h *v1alpha1.WebhookHMAC) {
	switch {
	case h == nil:
	case h.Scheme != "" && h.Scheme != StandardWebhooks:
		c.refuse("hmac.scheme", "%q is unknown; %s is the one there is", h.Scheme, StandardWebhooks)
	case h.Scheme != "":
		for field, value := range map[string]string{
			"header": h.Header, "algorithm": h.Algorithm, "encoding": h.Encoding, "prefix": h.Prefix,
		} {
			if value != "" {
				c.add(NoEffect, c.at("hmac."+field), "has no effect beside scheme")
			}
		}
	case h.Header == "":
		c.refuse("hmac.header", "is missing; name the header that carries the signature, or a scheme")
	case !slices.Contains([]string{"", "sha256", "sha512"}, h.Algorithm):
		c.refuse("hmac.algorithm", "%q is not supported; use sha256 or sha512", h.Algorithm)
	case !slices.Contains([]string{"", "hex", "base64"}, h.Encoding):
		c.refuse("hmac.encoding", "%q is not supported; use hex or base64", h.Encoding)
	}
}

// StandardWebhooks is the scheme of signatures of that specification.
const StandardWebhooks = "standardWebhooks"

func checkServiceBus(c *check, _ string, config map[string]any) {
	if given(config, "topicName") && !given(config, "queueName") && !given(config, "subscriptionName") {
		c.refuse("subscriptionName", "is missing: a topic is read by one of its subscriptions")
	}
}

func checkCalendar(c *check, event string, _ map[string]any) {
	config := c.es.Spec.Calendar[event]
	if config.Schedule != "" && config.Interval != "" {
		c.add(NoEffect, c.at("interval"), "has no effect beside schedule")
	}
	clock, err := NewClock(config)
	if err == nil {
		err = clock.Fires()
	}
	c.err("", err)
	p := config.Persistence
	if p == nil || p.Catchup == nil || !p.Catchup.Enabled || p.Catchup.MaxDuration == "" {
		return
	}
	if d, err := time.ParseDuration(p.Catchup.MaxDuration); err != nil || d < 0 {
		c.refuse("persistence.catchup.maxDuration", "%q is no duration such as 10s", p.Catchup.MaxDuration)
	}
}

// fileOperations are what can happen to a file.
var fileOperations = []string{"CREATE", "WRITE", "REMOVE", "RENAME", "CHMOD"}

// watch looks at which files are meant, and at what happens to them.
func (c *check) watch(field string, w v1alpha1.WatchPathConfig, eventField, event string) {
	if _, err := regexp.Compile(w.PathRegexp); err != nil {
		c.refuse(strings.Trim(field+".pathRegexp", "."), "%s", err)
	}
	if w.PathRegexp != "" && w.Path != "" {
		c.add(NoEffect, c.at(strings.Trim(field+".path", ".")), "has no effect beside pathRegexp")
	}
	named := func(operation string) bool { return strings.Contains(strings.ToUpper(event), operation) }
	if event != "" && !slices.ContainsFunc(fileOperations, named) {
		c.refuse(eventField, "%q names none of %s: nothing would be told", event, strings.Join(fileOperations, ", "))
	}
}

func checkGithub(c *check, event string, config map[string]any) {
	if given(config, "repositories") && given(config, "organizations") {
		c.add(
			Advice, c.at(""), "repositories and organizations: a push to a repository of the organization comes twice",
		)
	}
	if given(config, "githubBaseURL") != given(config, "githubUploadURL") {
		c.add(
			NoEffect, c.at(""),
			"githubBaseURL and githubUploadURL go together: no hook is kept at GitHub with one of them",
		)
	}
	if (given(config, "apiToken") || given(config, "githubApp")) && !given(config, "webhook.url") {
		c.add(Advice, c.at(""), "no hook is made at GitHub without webhook.url")
	}
	_ = event
}

// GitlabEvents are the names that manifests give to hooks of GitLab.
var GitlabEvents = []string{
	"ConfidentialIssuesEvents", "ConfidentialNoteEvents", "DeploymentEvents", "EmojiEvents", "FeatureFlagEvents",
	"IssuesEvents", "JobEvents", "MemberEvents", "MergeRequestsEvents", "MilestoneEvents", "NoteEvents",
	"PipelineEvents", "PushEvents", "ReleasesEvents", "ResourceAccessTokenEvents", "SubGroupEvents", "TagPushEvents",
	"WikiPageEvents",
}

func checkGitlab(c *check, event string, _ map[string]any) {
	for i, name := range c.es.Spec.Gitlab[event].Events {
		if name != "*" && !slices.Contains(GitlabEvents, name) {
			c.add(
				NoEffect, c.at(fmt.Sprintf("events[%d]", i)), "%q names no hook and takes none: it is none of %s", name,
				strings.Join(GitlabEvents, ", "),
			)
		}
	}
}

func checkKafka(c *check, event string, _ map[string]any) {
	k := c.es.Spec.Kafka[event]
	if k.ConsumerGroup == nil && k.Partition != "" {
		if n, err := strconv.ParseInt(k.Partition, 10, 32); err != nil || n < 0 {
			c.refuse("partition", "%q is no number of a partition", k.Partition)
		}
	}
	if k.ConsumerGroup != nil && k.ConsumerGroup.GroupName == "" {
		c.refuse("consumerGroup.groupName", "is missing")
	}
	if iam := k.AWSMSKIAMAuth; iam != nil {
		if k.SASL != nil {
			c.refuse("awsMskIamAuth", "of awsMskIamAuth and sasl one is given")
		}
		if iam.Region == "" {
			c.refuse("awsMskIamAuth.region", "is missing")
		}
	}
	if s := k.SASL; s != nil &&
		!slices.Contains([]string{"", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}, strings.ToUpper(s.Mechanism)) {
		c.refuse("sasl.mechanism", "%q is not supported; use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", s.Mechanism)
	}
}

func checkEventsHub(c *check, event string, _ map[string]any) {
	h := c.es.Spec.AzureEventsHub[event]
	if (h.SharedAccessKey == nil) != (h.SharedAccessKeyName == nil) {
		c.refuse("sharedAccessKey", "sharedAccessKeyName and sharedAccessKey come together")
	}
}

func checkMNS(c *check, event string, _ map[string]any) {
	q := c.es.Spec.MNS[event]
	if (q.AccessKey == nil) != (q.SecretKey == nil) {
		c.refuse("accessKey", "accessKey and secretKey come together")
	}
}

// AthenzFields may be given in authAthenzParams of Pulsar: the others of its client name files, and those would be
// files of the service that reads.
var AthenzFields = []string{
	"providerDomain", "tenantDomain", "tenantService", "keyId", "principalHeader", "roleHeader", "ztsUrl",
}

func checkPulsar(c *check, event string, _ map[string]any) {
	p := c.es.Spec.Pulsar[event]
	if p.Type != "" && !strings.EqualFold(p.Type, "shared") && !strings.EqualFold(p.Type, "exclusive") {
		c.refuse("type", "%q is not supported; use exclusive or shared", p.Type)
	}
	for _, name := range slices.Sorted(maps.Keys(p.AuthAthenzParams)) {
		if !slices.Contains(AthenzFields, name) {
			c.refuse("authAthenzParams."+name, "is none of %s", strings.Join(AthenzFields, ", "))
		}
	}
	if (len(p.AuthAthenzParams) > 0) != (p.AuthAthenzSecret != nil) {
		c.refuse("authAthenzSecret", "authAthenzParams and authAthenzSecret come together")
	}
	if u, err := url.Parse(p.URL); p.URL != "" && err == nil && u.Scheme != "pulsar" && u.Scheme != "pulsar+ssl" {
		c.refuse("url", "%q begins neither with pulsar:// nor with pulsar+ssl://", p.URL)
	}
}

// RegistryProviders are the registries that a manifest may name.
var RegistryProviders = []string{
	"acr", "artifactRegistry", "distribution", "dockerhub", "ecr", "ghcr", "gitea", "harbor", "jfrog", "quay", "zot",
}

func checkRegistry(c *check, event string, _ map[string]any) {
	r := c.es.Spec.Registry[event]
	if r.Provider != "" && !slices.Contains(RegistryProviders, r.Provider) {
		c.refuse(
			"provider", "provider %s is unknown; it is none of %s", r.Provider, strings.Join(RegistryProviders, ", "),
		)
	}
	for i, pattern := range r.Repositories {
		if _, err := path.Match(pattern, ""); err != nil {
			c.refuse(
				fmt.Sprintf("repositories[%d]", i), "%q is no pattern such as team/*: it would take no repository",
				pattern,
			)
		}
	}
	if r.AuthSecret == nil && r.WebhookSecret == nil && r.PathSecret == nil &&
		(r.Webhook == nil || r.Webhook.AuthSecret == nil) {
		c.add(
			Advice, c.at(""), "without authSecret, webhookSecret or pathSecret anyone may say that an image was pushed",
		)
	}
}

func checkResource(c *check, event string, _ map[string]any) {
	r := c.es.Spec.Resource[event]
	_, err := NewObjects(r.Filter)
	c.err("", err)
	for i, kind := range r.EventTypes {
		if !slices.Contains(ObjectEvents, kind) {
			c.refuse(fmt.Sprintf("eventTypes[%d]", i), "%q is none of %s", kind, strings.Join(ObjectEvents, ", "))
		}
	}
}
