package output

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestProgressLine(t *testing.T) {
	tests := []struct {
		done, total int64
		rate        float64
		want        string
	}{
		{0, 0, 0, "dump…"},
		{5 << 20, 0, 0, "dump  5.0 MiB"},
		{5 << 20, 0, 1 << 20, "dump  5.0 MiB, 1.0 MiB/s"},
		{5 << 20, 20 << 20, 0, "dump  5.0 MiB of 20 MiB, 25%"},
		{5 << 20, 20 << 20, 1 << 20, "dump  5.0 MiB of 20 MiB, 25%, 1.0 MiB/s, 15s left"},
		{20 << 20, 20 << 20, 1 << 20, "dump  20 MiB of 20 MiB, 100%, 1.0 MiB/s"},
	}
	for _, test := range tests {
		if got := progressLine("dump", test.done, test.total, test.rate); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestProgressRateLeavesOutWhatWasThere(t *testing.T) {
	var drawn bytes.Buffer
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	p := &Progress{w: &drawn, now: func() time.Time { return now }}
	p.Set("download", 100<<20, 200<<20)
	now = now.Add(10 * time.Second)
	p.Set("download", 110<<20, 200<<20)
	if !strings.Contains(drawn.String(), "110 MiB of 200 MiB, 55%, 1.0 MiB/s, 1m30s left") {
		t.Errorf("drawn: %q", drawn.String())
	}
	drawn.Reset()
	p.Set("download", 111<<20, 200<<20)
	if drawn.Len() > 0 {
		t.Errorf("drawn again at once: %q", drawn.String())
	}
	p.Clear()
	if got := drawn.String(); strings.TrimRight(strings.TrimLeft(got, "\r "), "\r") != "" {
		t.Errorf("cleared with %q", got)
	}
}

func TestProgressTellsTables(t *testing.T) {
	var drawn bytes.Buffer
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	p := &Progress{w: &drawn, now: func() time.Time { return now }}
	for _, step := range []struct {
		phase               string
		done, total, tables int64
		want                string
	}{
		{"restore", 5 << 20, 20 << 20, 3, "restore  5.0 MiB of 20 MiB, 25%, 3 of 12 tables"},
		{"compare", 0, 0, 4, "compare  4 of 12 tables"},
	} {
		drawn.Reset()
		now = now.Add(time.Minute)
		p.SetTables(step.phase, step.done, step.total, step.tables, 12)
		if got := strings.Trim(drawn.String(), "\r "); got != step.want {
			t.Errorf("drawn %q, want %q", got, step.want)
		}
	}
}
