package load

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/pgharbor/pgharbor/agent/dump"
)

// workers run statements over several sessions.
type workers struct {
	source *sessionSource
	jobs   int // at once; at least 1
}

// each runs statements, in no order, and ends them all when one fails.
func (w *workers) each(ctx context.Context, all []dump.Definition, run func(context.Context, *loadSessions, dump.Definition) error) error {
	if len(all) == 0 {
		return nil
	}
	tasks := make(chan dump.Definition, len(all))
	for _, d := range all {
		tasks <- d
	}
	close(tasks)
	group, ctx := errgroup.WithContext(ctx)
	for range min(w.jobs, len(all)) {
		group.Go(func() error {
			sessions := w.source.sessions()
			defer sessions.close(ctx)
			for d := range tasks {
				if err := run(ctx, sessions, d); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}
