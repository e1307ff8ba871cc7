package fleet

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pgharbor/pgharbor/internal/words"
)

// GuardedAction is something that can be made to wait for a second person.
type GuardedAction string

// What a policy can be about.
const (
	ActionReplace   GuardedAction = "backup.replace" // a restore over an existing database
	ActionDownload  GuardedAction = "backup.download"
	ActionRetention GuardedAction = "backup.retention" // a change of what is kept
	ActionRelease   GuardedAction = "backup.release"   // of a hold
	// ActionThresholds is any change of how health is evaluated: what is ignored, or stale only after
	// a year, turns no light red.
	ActionThresholds GuardedAction = "health.thresholds"
)

// ActionElsewhere is a restore on another instance than the backup's own. What
// policies say of a download holds for it too: the file leaves its instance.
const ActionElsewhere GuardedAction = "restore.elsewhere"

// ActionUndo is the undo of a replacement. What policies say of a replacement holds
// for it too: what was written since then goes out of service.
const ActionUndo GuardedAction = "restore.undo"

// What would get around a policy. It waits by itself as soon as any policy asks
// for approvals.
const (
	ActionLoosenPolicy GuardedAction = "policy.loosen"
	ActionEscalate     GuardedAction = "user.empower"  // privilege escalation: any change that makes somebody able to approve
	ActionEnroll       GuardedAction = "device.enroll" // a device of somebody who is, by an invite that nobody approved of
)

// PolicyActions are the actions that a policy can name.
var PolicyActions = []GuardedAction{ActionReplace, ActionDownload, ActionRetention, ActionRelease, ActionThresholds}

// GuardedActions are all.
var GuardedActions = append(slices.Clone(PolicyActions), ActionElsewhere, ActionUndo, ActionLoosenPolicy, ActionEscalate, ActionEnroll)

// Permission is what it takes to do the action, and so to approve of it.
func (a GuardedAction) Permission() Permission {
	switch a {
	case ActionReplace, ActionElsewhere, ActionUndo:
		return PermissionBackupRestore
	case ActionDownload:
		return PermissionBackupDownload
	case ActionRelease:
		return PermissionBackupHold
	case ActionRetention:
		return PermissionAgentManage
	default:
		return PermissionUserManage
	}
}

// GuardedRequest is what somebody wants to do, in full: an approval is good for
// this and nothing else.
type GuardedRequest struct {
	Action   GuardedAction
	Instance string // whose policies apply; empty for what concerns the whole fleet
	Source   string // the instance that the backup leaves, if it does; its policies apply too
	Target   string // the id of the backup or the restore, the glob of a policy, the pattern of thresholds or the person's name
	// Details are all else that makes the request what it is. Anyone who approves is shown them.
	Details []Detail
	Reason  string
	// Requester is the person's name; of a device, that of who made its invite.
	Requester string
}

// Detail is one thing that a request says.
type Detail struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// GuardedJob is the request for a job: all that its spec says is part of it, also
// what a later version adds.
func GuardedJob(action GuardedAction, j Job) (GuardedRequest, error) {
	r := GuardedRequest{Action: action, Instance: j.Instance, Source: j.Spec.SourceInstance, Target: j.Spec.BackupID, Reason: j.Spec.Reason}
	rest := j.Spec
	rest.BackupID, rest.SourceInstance, rest.Reason = "", "", ""
	if action == ActionUndo {
		r.Target, rest.RestoreID = j.Spec.RestoreID, ""
	}
	text, err := json.Marshal(rest)
	if err != nil {
		return r, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return r, err
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		value := string(fields[name])
		if text := ""; json.Unmarshal(fields[name], &text) == nil {
			value = text
		}
		r.Details = append(r.Details, Detail{Name: name, Value: value})
	}
	return r, nil
}

// Instances are those that the request is about: where it acts, and what the
// backup leaves. Empty is the whole fleet.
func (r GuardedRequest) Instances() []string {
	if r.Source != "" {
		return []string{r.Instance, r.Source}
	}
	return []string{r.Instance}
}

// Digest identifies a request: SHA-256 over every field, each preceded by its
// length so that no two requests share an encoding.
func (r GuardedRequest) Digest() string {
	h := sha256.New()
	write := func(field string) { fmt.Fprintf(h, "%d:%s,", len(field), field) }
	for _, field := range []string{string(r.Action), r.Instance, r.Source, r.Target, r.Reason, r.Requester} {
		write(field)
	}
	for _, detail := range r.Details {
		write(detail.Name)
		write(detail.Value)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Summary is the request in a line, for people: the action, what it is done to,
// and the details.
func (r GuardedRequest) Summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %s", r.Action, r.Target)
	if r.Instance != "" {
		fmt.Fprintf(&b, " on %s", r.Instance)
	}
	if r.Source != "" {
		fmt.Fprintf(&b, " from %s", r.Source)
	}
	for i, detail := range r.Details {
		separator := ", "
		if i == 0 {
			separator = " with "
		}
		fmt.Fprintf(&b, "%s%s=%s", separator, detail.Name, detail.Value)
	}
	return b.String()
}

// ApprovalState is how far an approval has come.
type ApprovalState string

// An approval waits, is decided, and is used up by the one effect that it is for. A download holds
// it in use while it runs, and gives it back if it ended early.
const (
	ApprovalPending  ApprovalState = words.ApprovalPending
	ApprovalApproved ApprovalState = words.ApprovalApproved
	ApprovalInUse    ApprovalState = words.ApprovalInUse
	ApprovalUsed     ApprovalState = words.ApprovalUsed
	ApprovalDenied   ApprovalState = words.ApprovalDenied
	ApprovalExpired  ApprovalState = words.ApprovalExpired
	// ApprovalVoid: somebody whom it rests on was revoked or may no longer do it.
	ApprovalVoid ApprovalState = words.ApprovalVoid
)

// Open reports whether the approval can still come to something.
func (s ApprovalState) Open() bool {
	return s == ApprovalPending || s == ApprovalApproved || s == ApprovalInUse
}

// Approval is a request that waits, or waited, for another person.
type Approval struct {
	ID      string
	Request GuardedRequest
	// RequesterIdentity and DeciderIdentity are the enrolments that spoke: what
	// a revoked one said no longer counts.
	RequesterIdentity string
	State             ApprovalState
	CreatedAt         time.Time
	// Lifetime is how long it may wait for its decision, and then again for its use.
	Lifetime        time.Duration
	ExpiresAt       time.Time
	DecidedBy       string // the person's name
	DeciderIdentity string
	DecidedAt       time.Time
	Comment         string
	UsedAt          time.Time
}

// StateAt is the state at a moment: what nobody used in time has expired, also
// before that is written down. What is in use stays so until it ends.
func (a Approval) StateAt(now time.Time) ApprovalState {
	if (a.State == ApprovalPending || a.State == ApprovalApproved) && !now.Before(a.ExpiresAt) {
		return ApprovalExpired
	}
	return a.State
}
