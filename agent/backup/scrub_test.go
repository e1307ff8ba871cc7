package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/store/local"
)

func TestScrub(t *testing.T) {
	content := []byte(strings.Repeat("a sealed dump ", 100_000))
	sum := sha256.Sum256(content)
	manifest := Manifest{SizeBytes: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
	flipped := append([]byte(nil), content...)
	flipped[len(flipped)/2] ^= 1
	path := filepath.Join(t.TempDir(), "file")
	for name, test := range map[string]struct {
		content []byte
		damage  string
	}{
		"whole":     {content, ""},
		"flipped":   {flipped, "its hash is not the one that it was stored with"},
		"truncated": {content[:1000], "it has 1000 bytes, and its manifest says 1400000"},
		"empty":     {nil, "it has 0 bytes, and its manifest says 1400000"},
	} {
		if err := os.WriteFile(path, test.content, 0o600); err != nil {
			t.Fatal(err)
		}
		if damage, err := scrubPath(t.Context(), t, path, manifest, nil); damage != test.damage || err != nil {
			t.Errorf("%s: %q, %v", name, damage, err)
		}
	}
}

// The kernel's own EIO: nothing is mapped at the start of a process's memory.
func TestScrubOfABadSector(t *testing.T) {
	damage, err := scrubPath(t.Context(), t, "/proc/self/mem", Manifest{SizeBytes: 1}, nil)
	if damage != "it can't be read: input/output error" || err != nil {
		t.Errorf("%q, %v", damage, err)
	}
}

func TestScrubThatIsBrokenOffSaysNothingOfTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, pace := range map[string]Pace{"before": nil, "while it waits": func(ctx context.Context, _ int) error { return ctx.Err() }} {
		if damage, err := scrubPath(ctx, t, path, Manifest{}, pace); damage != "" || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %q, %v", name, damage, err)
		}
	}
}

func scrubPath(ctx context.Context, t *testing.T, path string, manifest Manifest, pace Pace) (string, error) {
	t.Helper()
	file, err := local.File(path).Open()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	return scrub(ctx, file, manifest.SizeBytes, manifest.SHA256, pace)
}
