package job

import "github.com/pgharbor/pgharbor/agent/backup"

// HoldSpec asks to keep a backup from retention, or with Release to no longer do
// so.
type HoldSpec struct {
	BackupID string
	Release  bool
	Reason   string
	By       string // "user:NAME"
}

// performHold keeps retention from removing a backup between the two steps of a
// hold, the look and the mark.
func (r *Runner) performHold(job Job) error {
	r.removing.Lock()
	defer r.removing.Unlock()
	defer r.inventoryHasChanged()
	spec := job.Hold
	if spec.Release {
		return r.Engine.Release(spec.BackupID)
	}
	return r.Engine.Hold(spec.BackupID, backup.Hold{Reason: spec.Reason, By: spec.By, HeldAt: r.Now().UTC()})
}
