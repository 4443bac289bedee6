// Package tag finds the {{tags}} of manifests and replaces them: here alone is said where a tag begins and where it
// ends. What a tag means is up to who replaces it. A Sensor's {{dependency.NAME.outputs.PATH}} (libs/sensing/param) is
// no tag in this sense: of a manifest whose tags are a workflow's it replaces those that begin so, and no other.
package tag

import "strings"

const (
	opens  = "{{"
	closes = "}}"
)

// List returns the tags of a text: what stands between the innermost {{ and }}.
func List(text string) []string {
	var out []string
	for {
		end := strings.Index(text, closes)
		if end < 0 {
			return out
		}
		if begin := strings.LastIndex(text[:end], opens); begin >= 0 {
			out = append(out, strings.TrimSpace(text[begin+len(opens):end]))
		}
		text = text[end+len(closes):]
	}
}

// Name strips the braces of a reference.
func Name(reference string) string {
	return strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(reference), opens), closes))
}

// Replace puts into a text what each of its tags stands for. A tag that value does not find stays as it is; an error of
// value ends the work. Of nested braces the innermost is the tag; what it stands for completes the outer one.
func Replace(in string, value func(tag string) (text string, found bool, err error)) (string, error) {
	var out strings.Builder
	for {
		begin := strings.Index(in, opens)
		if begin < 0 {
			break
		}
		end := strings.Index(in[begin:], closes)
		if end < 0 {
			break
		}
		tag := in[begin+2 : begin+end]
		outer := -1
		if inner := strings.LastIndex(tag, opens); inner >= 0 {
			outer = begin
			begin += inner + 2
			tag = tag[inner+2:]
			end -= inner + 2
		}
		text, found, err := value(tag)
		if err != nil {
			return "", err
		}
		if found && outer >= 0 {
			out.WriteString(in[:outer])
			in = in[outer:begin] + text + in[begin+end+2:]
			continue
		}
		out.WriteString(in[:begin])
		if found {
			out.WriteString(text)
		} else {
			out.WriteString(opens + tag + closes)
		}
		in = in[begin+end+2:]
	}
	out.WriteString(in)
	return out.String(), nil
}
