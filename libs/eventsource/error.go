package eventsource

// FieldError is what is wrong with one field of an event.
type FieldError struct {
	// Field is where it is, below the event; "" means the event itself.
	Field string
	// Err says what is wrong and what would be right.
	Err error
}

// Error names the field and what is wrong with it.
func (f *FieldError) Error() string {
	if f.Field == "" {
		return f.Err.Error()
	}
	return f.Field + ": " + f.Err.Error()
}

// Unwrap returns what is wrong.
func (f *FieldError) Unwrap() error { return f.Err }
