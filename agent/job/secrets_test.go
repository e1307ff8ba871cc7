package job

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Health warns of a secret that others can read, by the name of its setting: where it is is the
// host's to know.
func TestAFileWithASecretThatOthersCanReadIsAWarning(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(secret, []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRunner(t, func(c *Config) {
		c.SecretFiles = []SecretFile{{Setting: "BACKUP_ENCRYPT_PASSPHRASE_FILE", Path: secret}, {Setting: "PGPASSFILE", Path: secret + ".none"}}
	})
	warned := func() string {
		r.Status.Refresh(t.Context())
		return strings.Join(r.Status.Last().Warnings, "\n")
	}
	if text := warned(); strings.Contains(text, "PASSPHRASE_FILE") || strings.Contains(text, "PGPASSFILE") {
		t.Errorf("of a private file: %s", text)
	}
	if err := os.Chmod(secret, 0o644); err != nil {
		t.Fatal(err)
	}
	if text := warned(); !strings.Contains(text, "BACKUP_ENCRYPT_PASSPHRASE_FILE") || strings.Contains(text, secret) {
		t.Errorf("of one that others can read: %s", text)
	}
}
