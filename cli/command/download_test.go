package command

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/agent/seal"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

type sendStream = grpc.ServerStreamingServer[pgharborv1.DownloadResponse]

const chunkBytes = 10_000

func hexHash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// dump is some 100 kB that do not compress to nothing.
func dump() []byte {
	var b bytes.Buffer
	for b.Len() < 100_000 {
		b.WriteString("INSERT INTO t VALUES ('" + rand.Text() + "');\n")
	}
	return b.Bytes()
}

// offer makes the fleet hold one backup, id1, of these stored bytes.
func (f *fleet) offer(stored []byte) *pgharborv1.Backup {
	backup := &pgharborv1.Backup{
		Id: "id1", Instance: "shop-db", Database: "shop", Filename: "backup-2026-11-20-01-00-00.sql", Complete: true,
		SizeBytes: int64(len(stored)), Sha256: hexHash(stored), PlainSizeBytes: int64(len(stored)), PlainSha256: hexHash(stored),
		Compression: "none", Encryption: seal.SchemeNone, State: "present",
	}
	f.backups = []*pgharborv1.Backup{backup}
	f.send = func(r *pgharborv1.DownloadRequest, stream sendStream) error {
		return sendAll(backup, stored[r.GetOffset():], stream)
	}
	return backup
}

func sendAll(backup *pgharborv1.Backup, rest []byte, stream sendStream) error {
	err := stream.Send(&pgharborv1.DownloadResponse{Part: &pgharborv1.DownloadResponse_Header{Header: &pgharborv1.DownloadHeader{
		Filename: backup.GetFilename(), SizeBytes: backup.GetSizeBytes(), Sha256: backup.GetSha256(),
	}}})
	for len(rest) > 0 && err == nil {
		n := min(len(rest), chunkBytes)
		err = stream.Send(&pgharborv1.DownloadResponse{Part: &pgharborv1.DownloadResponse_Chunk{Chunk: rest[:n]}})
		rest = rest[n:]
	}
	return err
}

// entries are the names in a folder.
func entries(t *testing.T, dir string) []string {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range all {
		names = append(names, entry.Name())
	}
	return names
}

func wantFile(t *testing.T, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s has %d bytes, not the %d that it should", path, len(got), len(want))
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v", path, info.Mode(), err)
	}
}

func TestDownload(t *testing.T) {
	f := loggedIn(t)
	stored := dump()
	backup := f.offer(stored)
	dir := t.TempDir()
	got := f.run(t, "download", "id1", "--output", dir, "--reason", "a drill")
	if got.code != exitDone || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	wantFile(t, filepath.Join(dir, backup.GetFilename()), stored)
	if names := entries(t, dir); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
	if asked := f.downloads[0]; asked.GetReason() != "a drill" || asked.GetOffset() != 0 {
		t.Errorf("asked for %v", asked)
	}
}

func TestDownloadGoesIntoTheCurrentFolder(t *testing.T) {
	f := loggedIn(t)
	stored := dump()
	backup := f.offer(stored)
	t.Chdir(t.TempDir())
	if got := f.run(t, "download", "id1"); got.code != exitDone {
		t.Fatalf("%+v", got)
	}
	wantFile(t, backup.GetFilename(), stored)
}

func TestDownloadNeverOverwrites(t *testing.T) {
	f := loggedIn(t)
	backup := f.offer(dump())
	path := filepath.Join(t.TempDir(), "mine")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := f.run(t, "download", "id1", "--output", path)
	if got.code != exitFailed || !strings.Contains(got.stderr, "--output") || len(f.downloads) != 0 {
		t.Errorf("%+v", got)
	}
	wantFile(t, path, []byte("precious"))

	// A file that appears while the download runs stays too.
	path = filepath.Join(t.TempDir(), "late")
	send := f.send
	f.send = func(r *pgharborv1.DownloadRequest, stream sendStream) error {
		if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
			return err
		}
		return send(r, stream)
	}
	if got := f.run(t, "download", backup.GetId(), "--output", path); got.code != exitFailed || !strings.Contains(got.stderr, "exists by now") {
		t.Errorf("%+v", got)
	}
	wantFile(t, path, []byte("precious"))
}

func TestDownloadGoesOnAfterACut(t *testing.T) {
	f := loggedIn(t)
	stored := dump()
	backup := f.offer(stored)
	f.send = func(r *pgharborv1.DownloadRequest, stream sendStream) error {
		rest := stored[r.GetOffset():]
		if err := sendAll(backup, rest[:min(len(rest), 30_000)], stream); err != nil || len(rest) <= 30_000 {
			return err
		}
		return status.Error(codes.Unavailable, "cut")
	}
	path := filepath.Join(t.TempDir(), "file")
	if got := f.run(t, "download", "id1", "--output", path); got.code != exitDone {
		t.Fatalf("%+v", got)
	}
	wantFile(t, path, stored)
	for i, request := range f.downloads {
		if request.GetOffset() != int64(i*30_000) {
			t.Errorf("attempt %d began at %d", i, request.GetOffset())
		}
	}
}

func TestALaterDownloadGoesOnToo(t *testing.T) {
	f := loggedIn(t)
	stored := dump()
	backup := f.offer(stored)
	whole := f.send
	f.send = func(r *pgharborv1.DownloadRequest, stream sendStream) error {
		if r.GetOffset() > 0 {
			return status.Error(codes.Unavailable, "the agent is away")
		}
		if err := sendAll(backup, stored[:30_000], stream); err != nil {
			return err
		}
		return status.Error(codes.Unavailable, "cut")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	got := f.run(t, "download", "id1", "--output", path)
	if got.code != exitUnreachable || !strings.Contains(got.stderr, "goes on from there") {
		t.Fatalf("%+v", got)
	}
	part := filepath.Join(dir, ".file.id1.part")
	wantFile(t, part, stored[:30_000])

	f.send = whole
	f.downloads = nil
	if got := f.run(t, "download", "id1", "--output", path); got.code != exitDone {
		t.Fatalf("%+v", got)
	}
	wantFile(t, path, stored)
	if len(f.downloads) != 1 || f.downloads[0].GetOffset() != 30_000 {
		t.Errorf("went on with %v", f.downloads)
	}
}

func TestAPartThatWasTamperedWithIsNoDownload(t *testing.T) {
	f := loggedIn(t)
	stored := dump()
	f.offer(stored)
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	tampered := bytes.Clone(stored[:50_000])
	tampered[7] ^= 1
	if err := os.WriteFile(filepath.Join(dir, ".file.id1.part"), tampered, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := f.run(t, "download", "id1", "--output", path); got.code != exitIntegrity {
		t.Errorf("%+v", got)
	}
	if names := entries(t, dir); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
	if got := f.run(t, "download", "id1", "--output", path); got.code != exitDone {
		t.Errorf("the next attempt: %+v", got)
	}
}

func TestWhatArrivesDamagedIsNotKept(t *testing.T) {
	stored := dump()
	flipped := bytes.Clone(stored)
	flipped[len(flipped)/2] ^= 1
	another := &pgharborv1.Backup{SizeBytes: int64(len(stored)), Sha256: hexHash(flipped)}
	tests := map[string]func(*pgharborv1.Backup, sendStream) error{
		"a flipped bit": func(b *pgharborv1.Backup, s sendStream) error { return sendAll(b, flipped, s) },
		"too little":    func(b *pgharborv1.Backup, s sendStream) error { return sendAll(b, stored[:70_000], s) },
		"too much":      func(b *pgharborv1.Backup, s sendStream) error { return sendAll(b, append(bytes.Clone(stored), 'x'), s) },
		"another file":  func(_ *pgharborv1.Backup, s sendStream) error { return sendAll(another, flipped, s) },
		"as the control plane says": func(b *pgharborv1.Backup, s sendStream) error {
			if err := sendAll(b, stored[:70_000], s); err != nil {
				return err
			}
			return status.Error(codes.DataLoss, "the hash of the file is wrong")
		},
	}
	for name, send := range tests {
		t.Run(name, func(t *testing.T) {
			f := loggedIn(t)
			backup := f.offer(stored)
			f.send = func(_ *pgharborv1.DownloadRequest, stream sendStream) error { return send(backup, stream) }
			dir := t.TempDir()
			got := f.run(t, "download", "id1", "--output", filepath.Join(dir, "file"))
			if got.code != exitIntegrity || got.stdout != "" || len(f.downloads) != 1 {
				t.Errorf("%+v after %d attempts", got, len(f.downloads))
			}
			wantError(t, got)
			if names := entries(t, dir); len(names) != 0 {
				t.Errorf("left behind: %v", names)
			}
		})
	}
}

func TestAnAgentThatIsAwayIsSaidSoAtOnce(t *testing.T) {
	f := loggedIn(t)
	f.offer(dump())
	f.send = func(*pgharborv1.DownloadRequest, sendStream) error {
		return status.Error(codes.Unavailable, "the agent is away")
	}
	dir := t.TempDir()
	got := f.run(t, "download", "id1", "--output", filepath.Join(dir, "file"))
	if got.code != exitUnreachable || len(f.downloads) != 1 || len(entries(t, dir)) != 0 {
		t.Errorf("%+v after %d attempts, left %v", got, len(f.downloads), entries(t, dir))
	}
}

func TestAFullDiskIsNoCut(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Fatal("the test needs /dev/full: ", err)
	}
	f := loggedIn(t)
	backup := f.offer(dump())
	conn, err := f.app(&bytes.Buffer{}, &bytes.Buffer{}).dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	to := &part{path: filepath.Join(t.TempDir(), "x"), file: full, hash: sha256.New()}
	defer to.Close()
	a := f.app(&bytes.Buffer{}, &bytes.Buffer{})
	if err := a.fetch(t.Context(), conn, backup, "", to); err == nil || !strings.Contains(err.Error(), "no space left") || len(f.downloads) != 1 {
		t.Errorf("%v after %d attempts", err, len(f.downloads))
	}
}

func TestHostileFileNames(t *testing.T) {
	f := loggedIn(t)
	backup := f.offer(dump())
	t.Chdir(t.TempDir())
	for _, name := range []string{"../up", "/tmp/abs", "..", ".", ".hidden", "", "a/b", "a\\b", "-rf", "new\nline", "nul\x00", "bidi\u202e"} {
		backup.Filename = strings.ToValidUTF8(name, "")
		if got := f.run(t, "download", "id1"); got.code != exitFailed || len(f.downloads) != 0 {
			t.Errorf("%q: %+v", name, got)
		}
	}
	if names := entries(t, "."); len(names) != 0 {
		t.Errorf("written: %v", names)
	}
}

func TestTwoDownloadsOfOneBackupDontMix(t *testing.T) {
	f := loggedIn(t)
	f.offer(dump())
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	first, err := openPart(path, "id1")
	if err != nil {
		t.Fatal(err)
	}
	if got := f.run(t, "download", "id1", "--output", path); got.code != exitFailed || !strings.Contains(got.stderr, "another download") {
		t.Errorf("%+v", got)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if got := f.run(t, "download", "id1", "--output", path); got.code != exitDone {
		t.Errorf("after the first has ended: %+v", got)
	}
}

// sealedWith is how a backup is stored: compressed where asked, and sealed.
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
			if got := f.run(t, "download", "id1", "--decrypt", "--output", dir); got.code != exitDone {
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
		"the flag before the variables": {[]string{"--passphrase-file", write(t, "right")}, map[string]string{"BACKUP_ENCRYPT_PASSPHRASE_FILE": write(t, "wrong")}, exitDone},
		"the file before the value":     {nil, map[string]string{"BACKUP_ENCRYPT_PASSPHRASE_FILE": write(t, "right"), "BACKUP_ENCRYPT_PASSPHRASE": "wrong"}, exitDone},
		"the value":                     {nil, map[string]string{"BACKUP_ENCRYPT_PASSPHRASE": "right"}, exitDone},
		"none":                          {nil, nil, exitFailed},
		"a file that is not there":      {[]string{"--passphrase-file", "/nowhere"}, nil, exitFailed},
		"an empty file":                 {[]string{"--passphrase-file", write(t, "")}, nil, exitFailed},
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
			if test.code != exitDone && len(f.downloads) != 0 {
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
		if got.code != exitFailed || !strings.Contains(got.stderr, "passphrase") {
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
	if got := f.run(t, "download", "id1", "--decrypt", "--output", dir); got.code != exitDone || len(f.downloads) != 0 {
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
			if got := f.run(t, "download", "id1", "--decrypt", "--output", filepath.Join(dir, "dump.sql")); got.code != exitIntegrity {
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
	if got := f.run(t, "download", "id1", "--decrypt", "--output", t.TempDir()); got.code != exitFailed || !strings.Contains(got.stderr, "openssl") {
		t.Errorf("%+v", got)
	}
}
