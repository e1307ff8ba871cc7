package command

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/cli/internal/transfer"
	"github.com/pgharbor/pgharbor/internal/exit"
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
	if got.code != exit.Done || got.stderr != "" {
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

// A size that no disk has, or that a control plane has made up, is refused before a byte is asked for.
func TestDownloadThatTheDiskHasNoRoomForIsNotBegun(t *testing.T) {
	for _, size := range []int64{1 << 60, math.MaxInt64} {
		f := loggedIn(t)
		f.offer(dump()).SizeBytes = size
		dir := t.TempDir()
		got := f.run(t, "download", "id1", "--output", dir)
		if got.code != exit.Failed || !strings.Contains(got.stderr, "free, and the download takes") || len(f.downloads) != 0 {
			t.Errorf("%d bytes: %+v", size, got)
		}
		if names := entries(t, dir); len(names) > 0 {
			t.Errorf("left behind: %v", names)
		}
	}
}

func TestDownloadGoesIntoTheCurrentFolder(t *testing.T) {
	f := loggedIn(t)
	stored := dump()
	backup := f.offer(stored)
	t.Chdir(t.TempDir())
	if got := f.run(t, "download", "id1"); got.code != exit.Done {
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
	if got.code != exit.Failed || !strings.Contains(got.stderr, "--output") || len(f.downloads) != 0 {
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
	if got := f.run(t, "download", backup.GetId(), "--output", path); got.code != exit.Failed || !strings.Contains(got.stderr, "exists by now") {
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
	if got := f.run(t, "download", "id1", "--output", path); got.code != exit.Done {
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
	if got.code != exit.Unreachable || !strings.Contains(got.stderr, "goes on from there") {
		t.Fatalf("%+v", got)
	}
	part := filepath.Join(dir, ".file.id1.part")
	wantFile(t, part, stored[:30_000])

	f.send = whole
	f.downloads = nil
	if got := f.run(t, "download", "id1", "--output", path); got.code != exit.Done {
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
	if got := f.run(t, "download", "id1", "--output", path); got.code != exit.Integrity {
		t.Errorf("%+v", got)
	}
	if names := entries(t, dir); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
	if got := f.run(t, "download", "id1", "--output", path); got.code != exit.Done {
		t.Errorf("the next attempt: %+v", got)
	}
}

func TestTwoDownloadsOfOneBackupDontMix(t *testing.T) {
	f := loggedIn(t)
	f.offer(dump())
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	first, err := transfer.OpenPart(path, "id1")
	if err != nil {
		t.Fatal(err)
	}
	if got := f.run(t, "download", "id1", "--output", path); got.code != exit.Failed || !strings.Contains(got.stderr, "another download") {
		t.Errorf("%+v", got)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if got := f.run(t, "download", "id1", "--output", path); got.code != exit.Done {
		t.Errorf("after the first has ended: %+v", got)
	}
}

// In a folder that others write to, a file with the name of the part may be somebody's who wants to read what comes, or
// a link to another file of this user's.
func TestAPartOfSomebodyElseGetsNothing(t *testing.T) {
	stored := sealedWith(t, dump(), false, "")
	mine := "what is mine"
	for name, plant := range map[string]func(part, other string) error{
		"another user's": func(part, _ string) error {
			return errors.Join(os.WriteFile(part, nil, 0o666), os.Chown(part, 65534, 65534))
		},
		"a second name": func(part, other string) error { return os.Link(other, part) },
		"a link":        func(part, other string) error { return os.Symlink(other, part) },
	} {
		for _, decrypt := range []bool{false, true} {
			f := loggedIn(t)
			f.offerSealed(t, dump(), false, "")
			dir := t.TempDir()
			other, part := filepath.Join(dir, "other"), filepath.Join(dir, ".file.id1.part")
			args := []string{"download", "id1", "--output", filepath.Join(dir, "file")}
			if decrypt {
				part, args = filepath.Join(dir, ".file.id1.plain.part"), append(args, "--decrypt")
			}
			wrong := errors.Join(os.WriteFile(other, []byte(mine), 0o600), plant(part, other))
			if errors.Is(wrong, fs.ErrPermission) {
				continue // only root gives files away
			}
			if wrong != nil {
				t.Fatal(wrong)
			}
			if got := f.run(t, args...); got.code != exit.Failed {
				t.Errorf("%s, decrypt %t: %+v", name, decrypt, got)
			}
			wantFile(t, other, []byte(mine))
			if content, err := os.ReadFile(part); err != nil || bytes.Contains(content, stored) {
				t.Errorf("%s, decrypt %t: the part holds %d bytes, %v", name, decrypt, len(content), err)
			}
		}
	}
}
