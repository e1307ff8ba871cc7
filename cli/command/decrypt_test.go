package command

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// sealedWith is how a backup is stored: compressed if asked, and sealed.
func sealedWith(t *testing.T, plain []byte, compress bool, passphrase string) []byte {
	t.Helper()
	if compress {
		encoder, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		plain = encoder.EncodeAll(plain, nil)
	}
	if passphrase == "" {
		return plain
	}
	var sealed bytes.Buffer
	w, err := seal.NewOpenSSL(passphrase, rand.Reader).Seal(&sealed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return sealed.Bytes()
}

// offerSealed is offer of a dump as an agent stores it.
func (f *fleet) offerSealed(t *testing.T, plain []byte, compress bool, passphrase string) *pgharborv1.Backup {
	t.Helper()
	backup := f.offer(sealedWith(t, plain, compress, passphrase))
	backup.PlainSizeBytes, backup.PlainSha256 = int64(len(plain)), hexHash(plain)
	if compress {
		backup.Compression = "zstd"
		backup.Filename += ".zst"
	}
	if passphrase != "" {
		backup.Encrypted, backup.Encryption = true, seal.SchemeOpenSSL
		backup.Filename += ".enc"
	}
	return backup
}

func TestDecrypt(t *testing.T) {
	plain := dump()
	for _, compress := range []bool{false, true} {
		for _, passphrase := range []string{"", "open sesame"} {
			f := loggedIn(t)
			f.offerSealed(t, plain, compress, passphrase)
			f.env["BACKUP_ENCRYPT_PASSPHRASE"] = passphrase
			dir := t.TempDir()
			if got := f.run(t, "download", "id1", "--decrypt", "--output", dir); got.code != exit.Done {
				t.Fatalf("zstd %v, passphrase %q: %+v", compress, passphrase, got)
			}
			wantFile(t, filepath.Join(dir, "backup-2026-11-20-01-00-00.sql"), plain)
			if names := entries(t, dir); len(names) != 1 {
				t.Errorf("left behind: %v", names)
			}
		}
	}
}

func TestWhereThePassphraseComesFrom(t *testing.T) {
	plain := dump()
	write := func(t *testing.T, passphrase string) string {
		path := filepath.Join(t.TempDir(), "passphrase")
		if err := os.WriteFile(path, []byte(passphrase+"\nsecond line\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	f := loggedIn(t)
	f.offerSealed(t, plain, false, "right")
	tests := map[string]struct {
		args []string
		env  map[string]string
		code int
	}{
		"the flag before the variables": {[]string{"--passphrase-file", write(t, "right")}, map[string]string{"BACKUP_ENCRYPT_PASSPHRASE_FILE": write(t, "wrong")}, exit.Done},
		"the file before the value":     {nil, map[string]string{"BACKUP_ENCRYPT_PASSPHRASE_FILE": write(t, "right"), "BACKUP_ENCRYPT_PASSPHRASE": "wrong"}, exit.Done},
		"the value":                     {nil, map[string]string{"BACKUP_ENCRYPT_PASSPHRASE": "right"}, exit.Done},
		"none":                          {nil, nil, exit.Failed},
		"a file that is not there":      {[]string{"--passphrase-file", "/nowhere"}, nil, exit.Failed},
		"an empty file":                 {[]string{"--passphrase-file", write(t, "")}, nil, exit.Failed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f.env = test.env
			f.downloads = nil
			args := append([]string{"download", "id1", "--decrypt", "--output", t.TempDir()}, test.args...)
			got := f.run(t, args...)
			if got.code != test.code {
				t.Errorf("%+v", got)
			}
			if test.code != exit.Done && len(f.downloads) != 0 {
				t.Error("downloaded before the passphrase was there")
			}
		})
	}
}

func TestAWrongPassphraseLeavesNoPlaintext(t *testing.T) {
	plain := dump()
	f := loggedIn(t)
	backup := f.offerSealed(t, plain, false, "right")
	dir := t.TempDir()
	refused := func(passphrase string) {
		t.Helper()
		f.env["BACKUP_ENCRYPT_PASSPHRASE"] = passphrase
		got := f.run(t, "download", "id1", "--decrypt", "--output", dir)
		if got.code != exit.Failed || !strings.Contains(got.stderr, "passphrase") {
			t.Fatalf("%+v", got)
		}
		if names := entries(t, dir); len(names) != 1 || names[0] != "."+backup.GetFilename()+".id1.part" {
			t.Fatalf("left: %v", names)
		}
	}
	refused("swordfish")
	// Now and then CBC lets a wrong one pass; what comes out is then another dump.
	backup.PlainSha256 = hexHash([]byte("the real dump"))
	refused("right")

	// The sealed file is not downloaded again for the right one.
	backup.PlainSha256 = hexHash(plain)
	f.downloads = nil
	if got := f.run(t, "download", "id1", "--decrypt", "--output", dir); got.code != exit.Done || len(f.downloads) != 0 {
		t.Fatalf("with the right one: %+v, %d downloads", got, len(f.downloads))
	}
	wantFile(t, filepath.Join(dir, "backup-2026-11-20-01-00-00.sql"), plain)
}

func TestADumpThatDoesNotVerifyIsNotKept(t *testing.T) {
	tests := map[string]func(*pgharborv1.Backup){
		"another dump":  func(b *pgharborv1.Backup) { b.PlainSha256 = hexHash([]byte("x")) },
		"a larger dump": func(b *pgharborv1.Backup) { b.PlainSizeBytes-- },
		"no zstd":       func(b *pgharborv1.Backup) { b.Compression = "zstd" },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			f := loggedIn(t)
			change(f.offerSealed(t, dump(), false, ""))
			dir := t.TempDir()
			if got := f.run(t, "download", "id1", "--decrypt", "--output", filepath.Join(dir, "dump.sql")); got.code != exit.Integrity {
				t.Errorf("%+v", got)
			}
			for _, name := range entries(t, dir) {
				if strings.Contains(name, "plain") || name == "dump.sql" {
					t.Errorf("plaintext is left in %s", name)
				}
			}
		})
	}
}

func TestDecryptWantsAHashToVerify(t *testing.T) {
	f := loggedIn(t)
	f.offerSealed(t, dump(), false, "right").PlainSha256 = ""
	f.env["BACKUP_ENCRYPT_PASSPHRASE"] = "right"
	if got := f.run(t, "download", "id1", "--decrypt", "--output", t.TempDir()); got.code != exit.Failed || !strings.Contains(got.stderr, "openssl") {
		t.Errorf("%+v", got)
	}
}
