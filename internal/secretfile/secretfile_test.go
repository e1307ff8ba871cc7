package secretfile_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/pgharbor/pgharbor/internal/secretfile"
)

func write(t *testing.T, mode fs.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
	return path
}

func TestModesOfASecret(t *testing.T) {
	group := secretfile.ErrReadable
	if os.Geteuid() == 0 {
		group = nil // it belongs to root, and root lends it to a group
	}
	for mode, want := range map[fs.FileMode]error{
		0o600: nil, 0o400: nil, 0o700: nil, 0o440: group, 0o640: group,
		0o644: secretfile.ErrReadable, 0o604: secretfile.ErrReadable, 0o601: secretfile.ErrReadable,
		0o660: secretfile.ErrChangeable, 0o620: secretfile.ErrChangeable, 0o666: secretfile.ErrChangeable, 0o602: secretfile.ErrChangeable,
	} {
		t.Run(fmt.Sprintf("%04o", mode), func(t *testing.T) {
			path := write(t, mode)
			if err := secretfile.Check(path); !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Errorf("%v, want %v", err, want)
			}
			link := filepath.Join(t.TempDir(), "link")
			if err := os.Symlink(path, link); err != nil {
				t.Fatal(err)
			}
			if err := secretfile.Check(link); !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Errorf("by a link: %v, want %v", err, want)
			}
			open := mode&0o022 != 0
			if err := secretfile.CheckChange(path); errors.Is(err, secretfile.ErrChangeable) != open {
				t.Errorf("of what is no secret: %v", err)
			}
		})
	}
}

func TestAFolderThatEverybodyWritesToKeepsNoSecret(t *testing.T) {
	path := write(t, 0o600)
	for mode, want := range map[fs.FileMode]error{0o777: secretfile.ErrChangeable, 0o777 | fs.ModeSticky: nil, 0o755: nil} {
		if err := os.Chmod(filepath.Dir(path), mode); err != nil {
			t.Fatal(err)
		}
		if err := secretfile.Check(path); !errors.Is(err, want) {
			t.Errorf("%v: %v", mode, err)
		}
	}
}

func TestWhatIsThereNotAndWhatIsNoFile(t *testing.T) {
	if err := secretfile.Check(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := secretfile.Check("/dev/null"); err != nil {
		t.Error(err)
	}
}
