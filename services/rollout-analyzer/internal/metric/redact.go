package metric

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// Redactor hides secrets in what people see. The zero value and nil hide nothing. Not safe for concurrent use: one
// measurement has one.
type Redactor struct{ hidden []string }

// hiding is what stands for a secret.
const hiding = "*****"

// Hide adds values that must not be shown, in every form in which they may travel.
func (r *Redactor) Hide(values ...string) {
	for _, v := range values {
		if strings.TrimSpace(v) == "" {
			continue
		}
		quoted, _ := json.Marshal(v)
		for _, form := range []string{
			v, strings.TrimSpace(v), url.QueryEscape(v), url.PathEscape(v),
			strings.ReplaceAll(url.QueryEscape(v), "+", "%20"), strings.Trim(string(quoted), `"`),
			base64.StdEncoding.EncodeToString([]byte(v)),
		} {
			if !slices.Contains(r.hidden, form) {
				r.hidden = append(r.hidden, form)
			}
		}
	}
	// The longest first: a secret may be the beginning of another.
	slices.SortStableFunc(r.hidden, func(a, b string) int { return len(b) - len(a) })
}

// Clone is a redactor that hides the same and is added to apart.
func (r *Redactor) Clone() *Redactor {
	if r == nil {
		return &Redactor{}
	}
	return &Redactor{hidden: slices.Clone(r.hidden)}
}

// Text hides secrets in a text.
func (r *Redactor) Text(text string) string {
	if r == nil {
		return text
	}
	for _, s := range r.hidden {
		text = strings.ReplaceAll(text, s, hiding)
	}
	return text
}

// Error hides secrets in the text of an error, which stays what it is.
func (r *Redactor) Error(err error) error {
	if err == nil {
		return nil
	}
	return redacted{text: clip(r.Text(err.Error()), maxMessage), err: err}
}

type redacted struct {
	text string
	err  error
}

// Error is the text without secrets.
func (e redacted) Error() string { return e.text }

// Unwrap is what it is.
func (e redacted) Unwrap() error { return e.err }
