// Package tail keeps the end of what a program writes.
package tail

import "sync"

// Writer keeps the last Limit bytes that are written to it. It is safe for concurrent use, and no Write fails.
type Writer struct {
	Limit int

	mu   sync.Mutex
	kept []byte
}

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept = append(w.kept, p...)
	if over := len(w.kept) - w.Limit; over > 0 {
		w.kept = append(w.kept[:0], w.kept[over:]...)
	}
	return len(p), nil
}

// String returns what is kept.
func (w *Writer) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.kept)
}
