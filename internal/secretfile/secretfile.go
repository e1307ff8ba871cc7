// Package secretfile says whether a file is its user's alone: one that holds a secret, such as a
// passphrase or a key, or one that says who is trusted.
package secretfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// What is wrong with a file. Each comes in an error that says the mode or the owner.
var (
	// ErrChangeable reports that others than its user and root may change the file, or put another in its place.
	ErrChangeable = errors.New("others may change it")
	// ErrReadable reports that others may read the file.
	ErrReadable = errors.New("others may read it")
)

// Remedy is what to do about a file, for anyone who reads of one of the errors.
const Remedy = "chmod 600 it, and let it belong to the user that reads it, or to root"

// Check looks at a file that holds a secret, or where a link leads to. It returns ErrChangeable
// before ErrReadable, nil for a file that is private, and the error of the system for one that
// can't be looked at. A group may read what belongs to root: so packages and systemd's credentials
// give a service its secrets. What is no file, such as a pipe, is private.
func Check(path string) error {
	info, err := look(path)
	if err != nil || info == nil {
		return err
	}
	if err := changeable(info); err != nil {
		return err
	}
	mode, owner := info.Mode().Perm(), owner(info)
	if mode&0o007 != 0 || mode&0o070 != 0 && owner != 0 {
		return fmt.Errorf("%w: its mode is %04o", ErrReadable, mode)
	}
	if owner != 0 && owner != os.Geteuid() {
		return fmt.Errorf("%w: it belongs to the user with the id %d", ErrReadable, owner)
	}
	return nil
}

// CheckChange looks at a file that everybody may read and nobody else may change. It returns
// ErrChangeable, or as Check.
func CheckChange(path string) error {
	info, err := look(path)
	if err != nil || info == nil {
		return err
	}
	return changeable(info)
}

// look returns nil for what is no regular file. Anyone who may write to the folder can put another
// file in the place of this one.
func look(path string) (fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil, err
	}
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return info, nil // an open file that has no name any longer, as a shell hands over
	}
	if err != nil {
		return nil, err
	}
	folder, err := os.Stat(filepath.Dir(real))
	if err != nil {
		return nil, err
	}
	if folder.Mode().Perm()&0o002 != 0 && folder.Mode()&fs.ModeSticky == 0 {
		return nil, fmt.Errorf("%w: everybody may write to its folder", ErrChangeable)
	}
	return info, nil
}

func changeable(info fs.FileInfo) error {
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("%w: its mode is %04o", ErrChangeable, mode)
	}
	return nil
}

func owner(info fs.FileInfo) int {
	return int(info.Sys().(*syscall.Stat_t).Uid)
}
