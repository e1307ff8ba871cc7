package policy

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/pgharbor/pgharbor/internal/shell"
)

// maxFile bounds what is read of a file.
const maxFile = 64 << 10

// ErrGone reports that a policy that somebody has named is not there. It may have been taken away
// with what it denies, so that the defaults do not stand in for it.
var ErrGone = errors.New("there is no such file, and one that is named must be there: {} in it means the defaults")

// ErrNotOurs reports that others than root and the agent's user may write a policy.
var ErrNotOurs = errors.New("others than root and this user may write to it")

// File is where the policy of a host is stored.
type File struct {
	Path string
	// Optional: the defaults hold if there is no file.
	Optional bool
}

// Read reads the policy as it is now. After an error nothing may be taken as allowed.
func (f File) Read() (Policy, error) {
	p, err := f.read()
	if err != nil {
		return Policy{}, fmt.Errorf("the policy of this host can't be used: %s: %w", f.Path, err)
	}
	return p, nil
}

func (f File) read() (Policy, error) {
	file, err := os.OpenFile(f.Path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe must not hold the agent up
	if errors.Is(err, fs.ErrNotExist) && f.Optional {
		return Default(), nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return Policy{}, ErrGone
	}
	if err != nil {
		return Policy{}, errors.Unwrap(err) // without the path a second time
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return Policy{}, err
	}
	if !info.Mode().IsRegular() {
		return Policy{}, errors.New("it is no file")
	}
	if err := f.oursAlone(info); err != nil {
		return Policy{}, err
	}
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return Policy{}, err
	}
	if len(content) > maxFile {
		return Policy{}, fmt.Errorf("it has more than %d bytes", maxFile)
	}
	return Parse(content)
}

// oursAlone fails if others may write to the file, or to its folder: they could take the file away,
// and with it what it denies. It names which of the two it is, since a file may be as it should and
// its folder not.
func (f File) oursAlone(file fs.FileInfo) error {
	if !ours(file) {
		return fmt.Errorf("%w: %s", ErrNotOurs, shell.Command("chown root %s; chmod go-w %s", f.Path, f.Path))
	}
	dir := filepath.Dir(f.Path)
	folder, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !ours(folder) {
		return fmt.Errorf("%w, by way of its folder: %s", ErrNotOurs, shell.Command("chown root %s; chmod go-w %s", dir, dir))
	}
	return nil
}

// ours reports whether only root and this user may write to a file, or take one out of a folder.
func ours(info fs.FileInfo) bool {
	owner := int(info.Sys().(*syscall.Stat_t).Uid) //nolint:forcetypeassert // it is Linux's
	others := info.Mode().Perm()&0o022 != 0 && (!info.IsDir() || info.Mode()&fs.ModeSticky == 0)
	return (owner == 0 || owner == os.Geteuid()) && !others
}
