package command

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// exported writes the first n entries of what the control plane tells to a file.
func (f *fleet) exported(t *testing.T, n int) string {
	t.Helper()
	all := f.entries
	f.entries = f.entries[:n]
	defer func() { f.entries = all }()
	path := filepath.Join(t.TempDir(), "sealed.jsonl")
	if err := os.WriteFile(path, []byte(f.run(t, "audit", "export").stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// verifies runs audit verify, and complains if it ends or speaks otherwise.
func (f *fleet) verifies(t *testing.T, code int, says string, args ...string) {
	t.Helper()
	got := f.run(t, append([]string{"audit", "verify"}, args...)...)
	if got.code != code || !strings.Contains(got.stderr, says) || code != exit.Done && got.stdout != "" {
		t.Errorf("%v: %+v, want %d and %q", args, got, code, says)
	}
	if says == "" && got.stderr != "" {
		t.Errorf("%v: it says %q", args, got.stderr)
	}
}

// Anyone who has the keys of a control plane writes its whole past again and seals that off, past
// every checkpoint that somebody holds. Then no checkpoint is taken for checked: not one that is
// asked for, and not what was verified before, at any run, until somebody has seen the file.
func TestAPastThatWasRewrittenAndSealedOffIsNotTakenForChecked(t *testing.T) {
	f := loggedIn(t)
	f.tells(t, 6, "user:a")
	f.verifies(t, exit.Done, "")
	seen := fmt.Sprintf("6:%s", f.entries[5].GetHash())
	f.tells(t, 9, "user:evil")
	forged := f.exported(t, 8)
	f.sealedAt(t, 8, true)
	for range 3 {
		f.verifies(t, exit.Done, "sealed off since, with all up to entry 8, and is not checked: "+seen)
		f.verifies(t, exit.Done, "is not checked: "+seen, "-o", "json")
		f.verifies(t, exit.Failed, "--head "+seen+" can't be checked: entry 6 is in what was sealed off, up to entry 8", "--head", seen)
		f.verifies(t, exit.Failed, "--sealed FILE --head 3:aaa", "--head", "3:"+strings.Repeat("a", 64))
		f.verifies(t, exit.Integrity, "your own verification", "--sealed", forged)
		f.verifies(t, exit.Integrity, "the witness of --head", "--file", forged, "--head", seen)
	}
	f.verifies(t, exit.Done, "", "--accept")
	f.verifies(t, exit.Done, "")
}

func mustCheckpoint(t *testing.T, text string) chain.Checkpoint {
	t.Helper()
	checkpoint, err := chain.ParseCheckpoint(text)
	if err != nil {
		t.Fatal(err)
	}
	return checkpoint
}

// What was sealed off as it was is confirmed by its files, which the audit log continues from.
func TestWhatWasSealedOffIsVerifiedWithItsFiles(t *testing.T) {
	f := loggedIn(t)
	f.tells(t, 6, "user:a")
	f.verifies(t, exit.Done, "")
	seen, third, forged := "6:"+f.entries[5].GetHash(), "3:"+f.entries[2].GetHash(), "3:"+strings.Repeat("0", 64)
	f.tells(t, 9, "user:a")
	f.verifies(t, exit.Failed, "nothing of the audit log was sealed off", "--sealed", f.exported(t, 6))
	file, short := f.exported(t, 8), f.exported(t, 7)
	first := f.exported(t, 3)
	f.entries = f.entries[3:]
	second := f.exported(t, 5)
	f.tells(t, 9, "user:a")
	f.sealedAt(t, 8, true)
	f.verifies(t, exit.Done, "is not checked: "+seen)
	f.checkpoints.Witnessed = []*pgharborv1.WitnessedHead{{Instance: "shop-db", Head: signedCheckpoint(t, f.pki, mustCheckpoint(t, third))}}
	if got := f.run(t, "audit", "verify"); !strings.Contains(got.stdout, "not checked therefore: the agent of shop-db: entry 3") {
		t.Errorf("of what an agent has seen: %+v", got)
	}
	f.verifies(t, exit.Failed, "end with entry 7, and the audit log was sealed off up to entry 8", "--sealed", short)
	f.verifies(t, exit.Integrity, "entry 1 was dropped", "--sealed", second, "--sealed", first)
	f.verifies(t, exit.Integrity, "the witness of --head has seen it with 000", "--sealed", file, "--head", forged)
	f.verifies(t, exit.Failed, "can't be checked", "--sealed", second, "--after", third, "--head", "2:"+strings.Repeat("0", 64))
	f.verifies(t, exit.Done, "is not checked: "+seen) // nothing of this has confirmed it
	f.verifies(t, exit.Done, "", "--sealed", first, "--sealed", second, "--head", third)
	f.verifies(t, exit.Done, "") // it has now
	got := f.run(t, "audit", "verify", "--sealed", second, "--after", third, "--head", third)
	if got.code != exit.Done || !strings.Contains(got.stdout, "entries 1 to 3,") || !strings.Contains(got.stdout, "the witness of --head: entry 3") {
		t.Errorf("after the first part: %+v", got)
	}
	f.verifies(t, exit.Failed, "can't be checked", "--file", second, "--after", third, "--head", "2:"+strings.Repeat("0", 64))
}
