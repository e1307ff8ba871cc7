package job

import (
	"context"

	"github.com/pgharbor/pgharbor/agent/backup"
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
	r := on.restorer
	request, origin, done, err := r.restoreRequest(ctx, task, s.Restore)
	if err != nil {
		return err
	}
	defer done()
	request.OnProgress = task.progress
	request.Confined, err = r.admission.admitAsked(ctx, task.allowed, origin, *request.Manifest)
	task.result.Checks = append(r.engine.Preview(ctx, request), backup.OriginCheck(origin, request.Confined, err))
	task.result.Checks = append(task.result.Checks, r.testRestoreCheck(request)...)
	return context.Cause(ctx)
}
