package expression

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"strings"
	"sync"

	"github.com/Masterminds/sprig/v3"
	"github.com/argosy-mesh/argosy/libs/flow/exactjson"
	"github.com/expr-lang/expr/vm/runtime"
)

// guards look at the arguments of those functions of the language whose result may be far larger than they are.
func guards() map[string]func(args []any) error {
	return map[string]func([]any) error{
		"repeat": func(args []any) error { return room(runtime.ToInt(at(args, 1)), len(text(args, 0))) },
		"replace": func(args []any) error {
			return room(strings.Count(text(args, 0), text(args, 1)), len(text(args, 2)))
		},
		"join": func(args []any) error {
			if list := reflect.ValueOf(at(args, 0)); list.Kind() == reflect.Slice {
				return room(list.Len(), len(text(args, 1)))
			}
			return nil
		},
	}
}

func at(args []any, i int) any {
	if i < len(args) {
		return args[i]
	}
	return nil
}

func text(args []any, i int) string {
	s, _ := at(args, i).(string)
	return s
}

// room says whether a text, or a list, of n times some bytes may be made.
func room(n, bytes int) error {
	if n > 0 && bytes > 0 && n > maxText/bytes {
		return fmt.Errorf("%w: a value of more than %d bytes", ErrBudget, maxText)
	}
	return nil
}

// library are the functions of sprig, but for those that look at the machine, draw lots, or make keys: a core does the
// same each time it is asked. Those whose result may be far larger than their arguments look first.
func library() map[string]any { return maps.Clone(sharedLibrary()) } // an expression may change the one it gets

var sharedLibrary = sync.OnceValue(func() map[string]any {
	out := sprig.GenericFuncMap()
	for _, impure := range []string{
		"env", "expandenv", "getHostByName", "randAlphaNum", "randAlpha", "randAscii", "randNumeric", "randInt",
		"randBytes",
		"shuffle", "uuidv4",
		"bcrypt", "htpasswd", "genPrivateKey", "derivePassword", "buildCustomCert", "genCA", "genCAWithKey",
		"genSelfSignedCert",
		"genSelfSignedCertWithKey", "genSignedCert", "genSignedCertWithKey", "encryptAES", "decryptAES",
	} {
		delete(out, impure)
	}
	maps.Copy(out, guarded(out))
	out["mustFromJson"] = exactjson.Read
	out["fromJson"] = func(text string) any {
		value, err := exactjson.Read(text)
		if err != nil {
			return "" // as the library does
		}
		return value
	}
	return out
})

func guarded(of map[string]any) map[string]any {
	until, _ := of["untilStep"].(func(start, stop, step int) []int)
	seq, _ := of["seq"].(func(...int) string)
	wrap, _ := of["wrapWith"].(func(int, string, string) string)
	indent := func(spaces int, v string) (string, error) {
		if err := room(strings.Count(v, "\n")+1, max(spaces, 0)); err != nil {
			return "", err
		}
		pad := strings.Repeat(" ", spaces)
		return pad + strings.ReplaceAll(v, "\n", "\n"+pad), nil
	}
	steps := func(start, stop, step int) ([]int, error) {
		if step == 0 {
			return []int{}, nil
		}
		if err := room(abs(stop-start)/abs(step), 8); err != nil {
			return nil, err
		}
		return until(start, stop, step), nil
	}
	return map[string]any{
		"indent": indent,
		"nindent": func(spaces int, v string) (string, error) {
			v, err := indent(spaces, v)
			return "\n" + v, err
		},
		"repeat": func(count int, v string) (string, error) {
			if err := room(count, len(v)); err != nil {
				return "", err
			}
			return strings.Repeat(v, count), nil
		},
		"replace": func(old, by, v string) (string, error) {
			if err := room(strings.Count(v, old), len(by)); err != nil {
				return "", err
			}
			return strings.ReplaceAll(v, old, by), nil
		},
		"untilStep": steps,
		"until": func(count int) ([]int, error) {
			if count < 0 {
				return steps(0, count, -1)
			}
			return steps(0, count, 1)
		},
		"seq": func(params ...int) (string, error) {
			for _, p := range params {
				if err := room(abs(p), 8); err != nil {
					return "", err
				}
			}
			return seq(params...), nil
		},
		"wrapWith": func(width int, by, v string) (string, error) {
			if err := room(len(v)/max(width, 1)+1, len(by)); err != nil {
				return "", err
			}
			return wrap(width, by, v), nil
		},
		"join":                       joiner(of["join"]),
		"regexReplaceAll":            replacer((*regexp.Regexp).ReplaceAllString),
		"mustRegexReplaceAll":        replacer((*regexp.Regexp).ReplaceAllString),
		"regexReplaceAllLiteral":     replacer((*regexp.Regexp).ReplaceAllLiteralString),
		"mustRegexReplaceAllLiteral": replacer((*regexp.Regexp).ReplaceAllLiteralString),
	}
}

func joiner(of any) func(by string, list any) (string, error) {
	join, _ := of.(func(string, any) string)
	return func(by string, list any) (string, error) {
		if v := reflect.ValueOf(list); v.Kind() == reflect.Slice {
			if err := room(v.Len(), len(by)); err != nil {
				return "", err
			}
		}
		return join(by, list), nil
	}
}

func replacer(replace func(r *regexp.Regexp, in, by string) string) func(pattern, in, by string) (string, error) {
	return func(pattern, in, by string) (string, error) {
		r, err := regexp.Compile(pattern)
		if err != nil {
			return "", fmt.Errorf("pattern %q: %w", pattern, err)
		}
		// Each $ may stand for all that was found.
		if err := room(strings.Count(by, "$"), len(in)); err != nil {
			return "", err
		}
		if err := room(len(r.FindAllStringIndex(in, -1)), len(by)); err != nil {
			return "", err
		}
		return replace(r, in, by), nil
	}
}

func abs(n int) int { return max(n, -n) }
