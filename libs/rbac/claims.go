package rbac

// Groups are the values of those claims of a login that name groups. A claim is a text or a list of texts.
func Groups(claims map[string]any, scopes []string) []string {
	var out []string
	for _, name := range scopes {
		switch v := claims[name].(type) {
		case string:
			out = append(out, v)
		case []string:
			out = append(out, v...)
		case []any:
			for _, one := range v {
				if text, is := one.(string); is {
					out = append(out, text)
				}
			}
		}
	}
	return out
}
