package job

import (
	"context"

	"github.com/pgharbor/pgharbor/agent/policy"
	"github.com/pgharbor/pgharbor/agent/state"
)

// PreviewSpec asks what a restore would meet, and changes nothing.
type PreviewSpec struct{ Restore RestoreSpec }

// Kind implements Spec.
func (PreviewSpec) Kind() string { return "preview" }

func (s PreviewSpec) check() error { return s.Restore.check() }

func (s PreviewSpec) about() state.About { return s.Restore.about() }

func (s PreviewSpec) refused(p policy.Policy) string { return s.Restore.refused(p) }

func (s PreviewSpec) run(ctx context.Context, on *workers, task *task) error {
	return on.restorer.performPreview(ctx, s.Restore, task)
}
