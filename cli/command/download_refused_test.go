package command

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

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
			if got.code != exit.Integrity || got.stdout != "" || len(f.downloads) != 1 {
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
	if got.code != exit.Unreachable || len(f.downloads) != 1 || len(entries(t, dir)) != 0 {
		t.Errorf("%+v after %d attempts, left %v", got, len(f.downloads), entries(t, dir))
	}
}

func TestHostileFileNames(t *testing.T) {
	f := loggedIn(t)
	backup := f.offer(dump())
	t.Chdir(t.TempDir())
	for _, name := range []string{"../up", "/tmp/abs", "..", ".", ".hidden", "", "a/b", "a\\b", "-rf", "new\nline", "nul\x00", "bidi\u202e"} {
		backup.Filename = strings.ToValidUTF8(name, "")
		if got := f.run(t, "download", "id1"); got.code != exit.Failed || len(f.downloads) != 0 {
			t.Errorf("%q: %+v", name, got)
		}
	}
	if names := entries(t, "."); len(names) != 0 {
		t.Errorf("written: %v", names)
	}
}
