package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/internal/exit"
)

// A passphrase file that others can read keeps nobody from backing up: check reports what to do, and the agent warns.
func TestAPassphraseFileThatOthersCanRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pass phrase")
	if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := newHost(t, "BACKUP_ENCRYPT_PASSPHRASE_FILE="+file)
	if code, stdout, stderr := h.run("check"); code != exit.Done || !strings.Contains(stdout, "OK      secrets: ") {
		t.Errorf("a private one: exit %d\n%s%s", code, stdout, stderr)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	code, stdout, _ := h.run("check")
	if code != exit.Failed || !strings.Contains(stdout, "FAILED  secrets: BACKUP_ENCRYPT_PASSPHRASE_FILE, "+file+": others may read it: its mode is 0644 — chmod 600 "+strings.ReplaceAll(file, " ", `\ `)) {
		t.Errorf("exit %d\n%s", code, stdout)
	}
}
