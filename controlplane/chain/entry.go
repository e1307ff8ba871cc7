// Package chain is the form of the audit log that all who check it share: an entry and its hash,
// how an audit log is verified, and the signed checkpoint that witnesses keep. The control plane
// writes it; agents and people hold it to what it wrote. It is the standard library alone, and does
// no I/O.
package chain

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
)

// The outcomes of an entry.
const (
	OutcomeStarted = "started"
	// OutcomeOngoing is how far an action has come that is still under way.
	OutcomeOngoing   = "ongoing"
	OutcomeSucceeded = "succeeded"
	OutcomeFailed    = "failed"
	OutcomeDenied    = "denied"
)

// Outcomes are all of them.
var Outcomes = []string{OutcomeStarted, OutcomeOngoing, OutcomeSucceeded, OutcomeFailed, OutcomeDenied}

// Actors that are neither a person nor an agent.
const (
	// ActorControlPlane does what nobody asked for.
	ActorControlPlane = "controlplane"
	// ActorHost is anyone who works on the control plane's own machine.
	ActorHost = "host"
	// ActorInvite is anyone who holds an invite.
	ActorInvite = "invite"
)

// Entry is one line of the audit log.
type Entry struct {
	Sequence int64 // 1 for the first; no number is left out
	At       time.Time
	Actor    string // "user:NAME", "agent:NAME", "invite", "host" or "controlplane"
	Action   string // for example "backup.restore"
	Instance string
	Target   string
	Reason   string
	Outcome  string
	Detail   string
	// Completes is the sequence of the entry whose action ended, or came this far,
	// here.
	Completes int64
	// PreviousHash and Hash chain the audit log: an entry that is edited, dropped or moved no
	// longer fits its neighbours.
	PreviousHash string
	Hash         string
}

// Sum is the hash of an entry that follows one with the hash previous, in
// hexadecimal: SHA-256 over every field but the two hashes, each as
// "LENGTH:FIELD," so that no two entries share an encoding. Lengths are in bytes,
// numbers are decimal, and the time is in microseconds since 1970, UTC.
func (e Entry) Sum(previous string) string {
	h := sha256.New()
	for _, field := range []string{
		previous, strconv.FormatInt(e.Sequence, 10), strconv.FormatInt(e.At.UnixMicro(), 10),
		e.Actor, e.Action, e.Instance, e.Target, e.Reason, e.Outcome, e.Detail, strconv.FormatInt(e.Completes, 10),
	} {
		fmt.Fprintf(h, "%d:%s,", len(field), field)
	}
	return hex.EncodeToString(h.Sum(nil))
}
