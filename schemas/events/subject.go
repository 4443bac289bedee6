package events

import (
	"fmt"
	"net/url"
	"strings"
)

// EventSubject returns events.<namespace>.<eventsource>.<event>.
func EventSubject(namespace, eventSource, event string) string {
	return subject("events", namespace, eventSource, event)
}

// TrafficSubject returns events.<namespace>.traffic.<hash>, the subject of [TrafficCounted].
func TrafficSubject(namespace, hash string) string { return EventSubject(namespace, "traffic", hash) }

// SubmitSubject returns the subject of [SubmitWorkflow] commands of a namespace.
func SubmitSubject(namespace string) string {
	return CommandSubject(ServiceWorkflowRunner, "submit", namespace)
}

// CommandSubject returns commands.<service>.<verb>.<namespace>.
func CommandSubject(service, verb, namespace string) string {
	return subject("commands", service, verb, namespace)
}

// FireSubject returns commands.sensor.fire.<namespace>.<uid of the Sensor>, the subject of its [FireTrigger] commands.
func FireSubject(namespace, uid string) string {
	return subject("commands", ServiceSensor, "fire", namespace, uid)
}

// FactSubject returns facts.<service>.<noun>.<verb>.<namespace>.<name>; fact is noun.verb.
func FactSubject(service, fact, namespace, name string) string {
	noun, verb, _ := strings.Cut(fact, ".")
	return subject("facts", service, noun, verb, namespace, name)
}

// RunSubject returns runs.<namespace>.<workflow uid>.
func RunSubject(namespace, uid string) string { return subject("runs", namespace, uid) }

// DeadSubject returns dead.<stream>.<original subject>; the original keeps its tokens.
func DeadSubject(stream, original string) string { return "dead." + Token(stream) + "." + original }

func subject(parts ...string) string {
	for i, part := range parts {
		parts[i] = Token(part)
	}
	return strings.Join(parts, ".")
}

// emptyToken stands for an empty value, which a subject cannot hold. No other value may hold its character.
const emptyToken = "%00"

// Token escapes a value so that it is exactly one token of a subject: what the bus reserves, what it cannot carry and
// what is not ASCII becomes %XX.
func Token(value string) string {
	if value == "" {
		return emptyToken
	}
	var b strings.Builder
	for i := range len(value) {
		if c := value[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(".*>%", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// Untoken returns the value that [Token] escaped.
func Untoken(token string) (string, error) {
	if token == emptyToken {
		return "", nil
	}
	value, err := url.PathUnescape(token)
	if err != nil {
		return "", fmt.Errorf("read subject token %q: %w", token, err)
	}
	return value, nil
}
