package session

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/cli/internal/output"
)

func TestPatienceGrowsAndStartsAgain(t *testing.T) {
	at := time.Now()
	s := &Session{
		Out: &output.Printer{Now: func() time.Time { return at }},
		Pause: func(ctx context.Context, d time.Duration) bool {
			at = at.Add(d)
			return ctx.Err() == nil
		},
	}
	p := s.Patience(time.Minute)
	cut := status.Error(codes.Unavailable, "cut")
	for range 10 {
		if err := p.Wait(t.Context(), cut); err != nil {
			t.Fatalf("gave up early: %v", err)
		}
	}
	at = at.Add(time.Hour)
	p.Progressed()
	if err := p.Wait(t.Context(), cut); err != nil {
		t.Errorf("gave up after progress: %v", err)
	}
	at = at.Add(time.Hour)
	if err := p.Wait(t.Context(), cut); err == nil {
		t.Error("never gives up")
	}
}
