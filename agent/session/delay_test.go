package session

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestPausesGrowAndDiffer(t *testing.T) {
	for failures, window := range map[int]time.Duration{
		0: 2 * time.Second, 1: 4 * time.Second, 4: 32 * time.Second, 5: time.Minute, 1000000: time.Minute,
	} {
		seen := map[time.Duration]bool{}
		for range 200 {
			d := delay(failures, false)
			seen[d] = true
			if d < time.Second || d >= window {
				t.Errorf("after %d failures: %s", failures, d)
			}
		}
		if len(seen) < 100 {
			t.Errorf("after %d failures all agents come at once: %d pauses of 200", failures, len(seen))
		}
	}
	if d := delay(0, true); d >= 5*time.Minute {
		t.Errorf("after a refusal: %s", d)
	}
}

func TestTheLogSaysWhatIsTheMatter(t *testing.T) {
	for word, err := range map[string]error{
		"refuses this agent":    status.Error(codes.Unauthenticated, "revoked"),
		"another agent":         status.Error(codes.Aborted, "a newer session"),
		"can't be reached":      status.Error(codes.Unavailable, "connection refused"),
		"has closed it":         io.EOF,
		"the welcome was wrong": errors.New("the welcome was wrong"),
	} {
		if line := explain(err); !strings.Contains(line, word) || strings.Contains(line, "rpc error") {
			t.Errorf("%v: %s", err, line)
		}
	}
}
