package bridge

import (
	"errors"
	"fmt"

	"github.com/argosy-mesh/argosy/libs/flow/protocol"
	"google.golang.org/protobuf/encoding/protowire"
)

// Numbers of fields. Source: Argo Workflows, pkg/apiclient/artifact/artifact.proto.
const (
	pluginName          = 1
	pluginConfiguration = 2
	pluginPatience      = 3
	pluginKey           = 4

	artifactName   = 1
	artifactPath   = 2
	artifactPlugin = 5
)

// question is a request to a driver.
type question struct {
	artifact protocol.Driven
	path     string // of the file to load into, or to save; "" where none is
	// The numbers of both in this request.
	artifactAt, pathAt protowire.Number
}

// answer is what a driver says. Each of its answers has some of this.
type answer struct {
	ok      bool // success, or whether it is a directory
	problem string
	objects []string
}

// codec encodes questions and decodes answers.
type codec struct{}

// Name is that of the usual encoding: servers know no other.
func (codec) Name() string { return "proto" }

// Marshal encodes a question.
func (codec) Marshal(v any) ([]byte, error) {
	q, ok := v.(*question)
	if !ok {
		return nil, fmt.Errorf("a %T is no question", v)
	}
	var plugin []byte
	plugin = appendText(plugin, pluginName, q.artifact.Name)
	plugin = appendText(plugin, pluginConfiguration, q.artifact.Configuration)
	if q.artifact.Patience != 0 {
		plugin = protowire.AppendTag(plugin, pluginPatience, protowire.VarintType)
		plugin = protowire.AppendVarint(plugin, uint64(q.artifact.Patience)) // negative ones are encoded so
	}
	plugin = appendText(plugin, pluginKey, q.artifact.Key)
	var artifact []byte
	artifact = appendText(artifact, artifactName, q.artifact.Key)
	artifact = appendText(artifact, artifactPath, q.path)
	artifact = protowire.AppendTag(artifact, artifactPlugin, protowire.BytesType)
	artifact = protowire.AppendBytes(artifact, plugin)
	var out []byte
	out = protowire.AppendTag(out, q.artifactAt, protowire.BytesType)
	out = protowire.AppendBytes(out, artifact)
	if q.pathAt != 0 {
		out = appendText(out, q.pathAt, q.path)
	}
	return out, nil
}

func appendText(to []byte, at protowire.Number, text string) []byte {
	if text == "" {
		return to
	}
	return protowire.AppendString(protowire.AppendTag(to, at, protowire.BytesType), text)
}

var errWire = errors.New("the answer of the driver cannot be read")

// Unmarshal decodes an answer. Field 1 of all of them is whether it went well, or the objects; field 2 is the problem.
func (codec) Unmarshal(raw []byte, v any) error {
	a, ok := v.(*answer)
	if !ok {
		return fmt.Errorf("a %T is no answer", v)
	}
	for len(raw) > 0 {
		number, kind, n := protowire.ConsumeTag(raw)
		if n < 0 {
			return errWire
		}
		raw = raw[n:]
		switch {
		case number == 1 && kind == protowire.VarintType:
			value, n := protowire.ConsumeVarint(raw)
			if n < 0 {
				return errWire
			}
			a.ok, raw = value != 0, raw[n:]
		case kind == protowire.BytesType && number <= 2:
			text, n := protowire.ConsumeString(raw)
			if n < 0 {
				return errWire
			}
			if raw = raw[n:]; number == 1 {
				a.objects = append(a.objects, text)
			} else {
				a.problem = text
			}
		default:
			n := protowire.ConsumeFieldValue(number, kind, raw)
			if n < 0 {
				return errWire
			}
			raw = raw[n:]
		}
	}
	return nil
}
