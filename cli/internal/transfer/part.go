// Package transfer brings a backup to this machine: its stored file, verified, and what is inside of it.
package transfer

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pgharbor/pgharbor/internal/disk"
	"github.com/pgharbor/pgharbor/internal/exit"
)

// Part is a file that is being downloaded: hidden next to its target, readable by its owner alone, and locked, so that
// two downloads of the same backup do not mix. It keeps the hash of its content.
type Part struct {
	target, path string
	file         *os.File
	hash         hash.Hash
	size         int64
	// failed is the error of a write, to tell it from one of a reader.
	failed error
}

// OpenPart creates the part of a target, or continues the one that is there.
func OpenPart(target, id string) (*Part, error) {
	path := filepath.Join(filepath.Dir(target), "."+filepath.Base(target)+"."+id+".part")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		file, err = openOwn(path)
	}
	if err != nil {
		return nil, fmt.Errorf("write next to the target: %w", err)
	}
	p := &Part{target: target, path: path, file: file, hash: sha256.New()}
	if err := p.take(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	p.size, err = io.Copy(p.hash, file)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read what an earlier download left: %w", err), file.Close())
	}
	return p, nil
}

// openOwn opens the part that an earlier download left. In a folder that others can write to, it may belong to somebody
// who wants to read what is written, or be a second name of another file of this user.
func openOwn(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	stat, known := info.Sys().(*syscall.Stat_t)
	if !known || int(stat.Uid) != os.Geteuid() || stat.Nlink != 1 {
		err = exit.Fail(exit.Failed, "%s is no file of an earlier download, and nothing is written to it", path).
			WithHint("remove it, or name a file in another folder with --output")
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// take locks the part. Another download may have finished between opening and locking; what was opened is then the
// finished file.
func (p *Part) take() error {
	if err := disk.TryLock(p.file); err != nil {
		if errors.Is(err, disk.ErrLocked) {
			return exit.Fail(exit.Failed, "another download is writing %s", p.path)
		}
		return err
	}
	opened, err := p.file.Stat()
	if err != nil {
		return err
	}
	named, err := os.Lstat(p.path)
	if err != nil || !os.SameFile(opened, named) || !opened.Mode().IsRegular() {
		return exit.Fail(exit.Failed, "another download has just taken %s away", p.path)
	}
	return nil
}

// Size returns how many bytes have been downloaded.
func (p *Part) Size() int64 { return p.size }

// Write implements io.Writer.
func (p *Part) Write(b []byte) (int, error) {
	n, err := p.file.Write(b)
	p.hash.Write(b[:n])
	p.size += int64(n)
	if err != nil {
		p.failed = err
	}
	return n, err
}

// restart empties the part.
func (p *Part) restart() error {
	if err := p.file.Truncate(0); err != nil {
		return err
	}
	p.hash.Reset()
	p.size = 0
	_, err := p.file.Seek(0, io.SeekStart)
	return err
}

// holds returns whether the part is complete: it has this size and hash.
func (p *Part) holds(size int64, sha256Hex string) bool {
	return p.size == size && hex.EncodeToString(p.hash.Sum(nil)) == sha256Hex
}

// Commit gives the part its name, durably and without overwriting anything.
func (p *Part) Commit() error {
	if err := p.file.Sync(); err != nil {
		return fmt.Errorf("write %s: %w", p.path, err)
	}
	err := os.Link(p.path, p.target)
	switch {
	case errors.Is(err, fs.ErrExist):
		return exit.Fail(exit.Failed, "%s exists by now, and is not overwritten", p.target).
			WithHint("name another file with --output: what was downloaded is kept")
	case err != nil:
		// A file system without hard links.
		if _, err := os.Lstat(p.target); !errors.Is(err, fs.ErrNotExist) {
			return exit.Fail(exit.Failed, "%s exists by now, and is not overwritten", p.target)
		}
		err = os.Rename(p.path, p.target)
	default:
		err = os.Remove(p.path)
	}
	if err != nil {
		return fmt.Errorf("give the download its name: %w", err)
	}
	return disk.SyncFolder(filepath.Dir(p.target))
}

// Remove deletes the part.
func (p *Part) Remove() error { return os.Remove(p.path) }

// Close ends the lock. The part stays, so that a later download can continue it.
func (p *Part) Close() error { return p.file.Close() }
