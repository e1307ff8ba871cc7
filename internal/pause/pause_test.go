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
		wake := make(chan struct{})
		close(wake)
		begun = time.Now()
		if !pause.Until(t.Context(), wake, time.Hour) || time.Since(begun) != 0 {
			t.Errorf("although it was woken it took %s", time.Since(begun))
		}
		if pause.Until(ctx, wake, time.Hour) {
			t.Error("a context that has ended counts as one that lasts")
		}
	})
}
