package pause_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgharbor/pgharbor/internal/pause"
)

func TestAPauseEndsWithItsTimeOrItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		if !pause.For(t.Context(), time.Hour) || time.Since(begun) != time.Hour {
			t.Errorf("it took %s", time.Since(begun))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begun = time.Now()
		if pause.For(ctx, time.Hour) || time.Since(begun) != time.Minute {
			t.Errorf("after its context had ended it took %s", time.Since(begun))
		}
	})
}
