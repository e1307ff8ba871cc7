package notify

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"
)

// Heartbeat calls a URL for as long as the control plane can evaluate its fleet. A service that
// expects the calls alerts when they stop: an alert of ours could not, once the control plane is
// down.
type Heartbeat struct {
	URL   string
	Every time.Duration
	// Alive reports whether the control plane works.
	Alive func(ctx context.Context) error
	Log   *slog.Logger
}

// Run calls until ctx ends. What fails is logged when it begins and when it ends.
func (h *Heartbeat) Run(ctx context.Context) {
	ticker := time.NewTicker(h.Every)
	defer ticker.Stop()
	failing := false
	for {
		err := h.beat(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			h.Log.Error("the heartbeat URL is not called", "error", err)
		case err == nil && failing:
			h.Log.Info("the heartbeat URL is called again")
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (h *Heartbeat) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, deliverWithin)
	defer cancel()
	if err := h.Alive(ctx); err != nil {
		return fmt.Errorf("the control plane does not do its work: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL, nil)
	if err != nil {
		return withoutURL(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return withoutURL(err)
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, maxAnswer)
	if response.StatusCode < 200 || response.StatusCode >= 300 {
		return fmt.Errorf("it answers %s", response.Status)
	}
	return nil
}
