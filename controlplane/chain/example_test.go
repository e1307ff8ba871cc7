package chain_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/chain"
)

// write returns an audit log of one entry for each action, as a control plane writes it.
func write(actions ...string) []chain.Entry {
	var entries []chain.Entry
	var last chain.Entry
	for _, action := range actions {
		e := chain.Entry{
			Sequence: last.Sequence + 1, At: time.Unix(1_800_000_000, 0), Actor: "user:ada", Action: action,
			Outcome: chain.OutcomeSucceeded, PreviousHash: last.Hash,
		}
		e.Hash = e.Sum(last.Hash)
		entries, last = append(entries, e), e
	}
	return entries
}

// Anyone who has seen the checkpoint of an audit log finds out that the audit log was rewritten,
// even where every hash of the new one holds.
func ExampleVerifier() {
	seen := write("backup.download", "backup.restore")
	checkpoint := chain.Checkpoint{Sequence: 2, Hash: seen[1].Hash}
	witness := chain.Witness{Checkpoint: checkpoint, Name: "the agent of shop-db"}

	check := func(auditLog []chain.Entry) error {
		v := chain.NewVerifier(witness)
		for _, e := range auditLog {
			if err := v.Add(e); err != nil {
				return err
			}
		}
		return v.End()
	}
	fmt.Println(check(seen))

	var wrong *chain.Break
	if errors.As(check(write("backup.list", "backup.restore")), &wrong) {
		fmt.Println(wrong.Kind == chain.Rewritten)
	}
	if errors.As(check(seen[:1]), &wrong) {
		fmt.Println(wrong.Kind == chain.CutOff)
	}
	// Output:
	// <nil>
	// true
	// true
}
