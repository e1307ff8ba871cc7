package dump

// ContentError says that something in a dump can't be loaded so that its code gains nothing.
type ContentError struct {
	Object string // "table public.t"
	Why    string
	Err    error // what the server answered; may be nil
}

// Error implements error.
func (e *ContentError) Error() string {
	if e.Err == nil {
		return e.Object + ": " + e.Why
	}
	return e.Object + ": " + e.Why + ": " + e.Err.Error()
}

// Unwrap returns what the server answered.
func (e *ContentError) Unwrap() error { return e.Err }
