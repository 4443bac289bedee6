package script

import (
	"fmt"
	"strings"
	"text/template"
)

// printing are the functions that make text of any value: they show numbers as they are written. What they print else
// is as in text/template and sprig.
func printing(written texts) template.FuncMap {
	show := func(values []any) []any {
		out := make([]any, len(values))
		for i, v := range values {
			out[i] = written.printable(v)
		}
		return out
	}
	shown := func(plain func(...any) string) func(...any) string {
		return func(values ...any) string { return plain(show(values)...) }
	}
	text := func(v any) string {
		switch v := v.(type) {
		case string:
			return v
		case []byte:
			return string(v)
		case error:
			return v.Error()
		}
		return fmt.Sprint(written.printable(v))
	}
	quoted := func(format string) func(...any) string {
		return func(values ...any) string {
			var out []string
			for _, v := range values {
				if v != nil {
					out = append(out, fmt.Sprintf(format, text(v)))
				}
			}
			return strings.Join(out, " ")
		}
	}
	return template.FuncMap{
		showName:  func(v any) any { return written.print(v) },
		calcName:  func(v any) any { return texts{}.print(v) },
		"print":   shown(fmt.Sprint),
		"println": shown(fmt.Sprintln),
		"printf": func(format string, values ...any) string {
			values = show(values)
			return fmt.Sprintf(format, values...)
		},
		"toString": text,
		"quote":    quoted("%q"),
		"squote":   quoted("'%s'"),
		"html":     shown(template.HTMLEscaper),
		"js":       shown(template.JSEscaper),
		"urlquery": shown(template.URLQueryEscaper),
		"cat": func(values ...any) string {
			var out []any
			for _, v := range show(values) {
				if v != nil {
					out = append(out, v)
				}
			}
			return strings.TrimSpace(fmt.Sprintf(strings.Repeat("%v ", len(out)), out...))
		},
		"join":      func(separator string, v any) string { return strings.Join(strs(text, v), separator) },
		"toStrings": func(v any) []string { return strs(text, v) },
	}
}

func strs(text func(any) string, v any) []string {
	var out []string
	switch v := v.(type) {
	case nil:
	case []string:
		return v
	case []any:
		for _, one := range v {
			if one != nil {
				out = append(out, text(one))
			}
		}
	case []int:
		for _, one := range v {
			out = append(out, text(one))
		}
	default:
		out = append(out, text(v))
	}
	if out == nil {
		out = []string{}
	}
	return out
}
