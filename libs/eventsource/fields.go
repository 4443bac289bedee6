package eventsource

import (
	"encoding/json"
	"strings"
)

// needs are the fields without which an event cannot be read, by kind; several with |
// between them stand for each other.
var needs = map[string][]string{
	"amqp":              {"url|urlSecret"},
	"azureEventsHub":    {"fqdn", "hubName"},
	"azureQueueStorage": {"queueName", "connectionString|storageAccountName"},
	"azureServiceBus":   {"queueName|topicName", "connectionString|fullyQualifiedNamespace"},
	"emitter":           {"broker", "channelName", "channelKey"},
	"file":              {"watchPathConfig.directory", "watchPathConfig.path|watchPathConfig.pathRegexp"},
	"generic":           {"url"},
	"hdfs":              {"addresses", "directory", "path|pathRegexp", "hdfsUser"},
	"jetstream":         {"url", "stream"},
	"kafka":             {"url", "topic", "partition|consumerGroup"},
	"minio":             {"endpoint", "bucket.name", "accessKey.name", "secretKey.name"},
	"mns":               {"endpoint", "queue"},
	"mqtt":              {"url", "topic", "clientId"},
	"nats":              {"url", "subject"},
	"nsq":               {"hostAddress", "topic", "channel"},
	"pubSub":            {"topic|subscriptionID"},
	"pulsar":            {"url", "topics"},
	"redis":             {"hostAddress", "channels|patterns"},
	"redisStream":       {"hostAddress", "streams"},
	"resource":          {"version", "resource", "eventTypes"},
	"sqs":               {"queue"},
	"sftp":              {"address", "watchPathConfig.directory", "watchPathConfig.path|watchPathConfig.pathRegexp"},
}

// refusals are the fields that this version does not support, and without which the
// event would mean something else.
var refusals = map[string]map[string]string{
	"kafka": {
		"schemaRegistry": "is not supported by this version: messages in Avro are base64 without jsonBody",
		"config":         "is not supported by this version",
	},
	"hdfs": {
		"krbKeytabSecret": "is not supported by this version: name nodes that want Kerberos cannot be read",
		"krbCCacheSecret": "is not supported by this version: name nodes that want Kerberos cannot be read",
	},
}

// ownPauses is why connectionBackoff changes nothing.
const ownPauses = "a source that breaks is read again after one second, and after longer pauses up to a minute"

// unsubscribed is why the credentials of sns change nothing.
const unsubscribed = "topics are subscribed to by whoever owns them; the subscription is confirmed here"

// ignored are the fields that are taken and change nothing, by kind; "" means all kinds.
//
//nolint:gosec // names of fields, not secrets
var ignored = map[string]map[string]string{
	"": {
		"connectionBackoff":        ownPauses,
		"serverCertSecret":         "TLS ends before the service",
		"serverKeySecret":          "TLS ends before the service",
		"webhook.serverCertSecret": "TLS ends before the service",
		"webhook.serverKeySecret":  "TLS ends before the service",
	},
	"azureQueueStorage": {
		"dlq": "what is no base64 is taken as it is, and no message is deleted unless its event is stored",
	},
	"bitbucketserver": {"skipBranchRefsChangedOnOpenPR": "all changes of branches are told"},
	"calendar":        {"persistence.configMap": "what is caught up is kept on the bus"},
	"pulsar":          {"tlsValidateHostname": "the name of the host is always checked"},
	"registry": {
		"registryAuth": "a registry is asked without credentials",
		"insecure":     "the scheme of registryURL says it",
	},
	"sns": {
		"accessKey": unsubscribed, "secretKey": unsubscribed, "roleARN": unsubscribed, "endpoint": unsubscribed,
	},
	"redis": {"namespace": "secrets are those of the object's own namespace"},
	"sqs":   {"dlq": "no message is deleted unless its event is stored"},
}

// fields are those of a value by their names in manifests.
func fields(v any) map[string]any {
	out := map[string]any{}
	text, err := json.Marshal(v)
	if err == nil {
		_ = json.Unmarshal(text, &out) // it was written from a struct
	}
	return out
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
	case map[string]any:
		return len(v) > 0
	case bool:
		return v
	default:
		return true
	}
}
