package fleet

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
)

// The outcomes of an entry of the trail.
const (
	OutcomeStarted   = "started"
	OutcomeSucceeded = "succeeded"
	OutcomeFailed    = "failed"
	OutcomeDenied    = "denied"
)

// ActorControlPlane is who does what no person and no agent asked for.
const ActorControlPlane = "controlplane"

// AuditEntry is one line of the trail.
type AuditEntry struct {
	Sequence int64
	At       time.Time
	Actor    string // "user:NAME", "agent:NAME", "invite", "host" or "controlplane"
	Action   string // for example "backup.restore"
	Instance string
	Target   string
	Reason   string
	Outcome  string
	Detail   string
	// Completes is the sequence of the entry whose action ended here.
	Completes int64
	// PreviousHash and Hash chain the trail: an entry that is edited, dropped
	// or moved no longer fits its neighbours.
	PreviousHash string
	Hash         string
}

// ChainHash is the hash of an entry that follows one with the hash previous:
// SHA-256 over every field, each preceded by its length so that no two entries
// share an encoding.
func (e AuditEntry) ChainHash(previous string) string {
	h := sha256.New()
	for _, field := range []string{
		previous, strconv.FormatInt(e.Sequence, 10), strconv.FormatInt(e.At.UnixMicro(), 10),
		e.Actor, e.Action, e.Instance, e.Target, e.Reason, e.Outcome, e.Detail, strconv.FormatInt(e.Completes, 10),
	} {
		fmt.Fprintf(h, "%d:%s,", len(field), field)
	}
	return hex.EncodeToString(h.Sum(nil))
}
