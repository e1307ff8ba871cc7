package tail_test

import (
	"io"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/internal/tail"
)

func TestTheEndIsKept(t *testing.T) {
	w := &tail.Writer{Limit: 5}
	for _, text := range []string{"", "abc", "defg", strings.Repeat("x", 100) + "12345", "6"} {
		if n, err := io.WriteString(w, text); n != len(text) || err != nil {
			t.Fatalf("%q: %d, %v", text, n, err)
		}
	}
	if got := w.String(); got != "23456" {
		t.Errorf("kept %q", got)
	}
}
