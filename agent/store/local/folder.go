package local

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// folder is one folder of the store, and every change that the store makes to a disk is one of its methods.
type folder struct {
	root *os.Root
	dir  *os.File
	// fault stands in for a failing disk: an error that it returns for a step is the step's. Nil outside of tests.
	fault func(step, name string) error
}

func newFolder(root *os.Root, fault func(step, name string) error) (*folder, error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return &folder{root: root, dir: dir, fault: fault}, nil
}

func (d *folder) close() error { return errors.Join(d.dir.Close(), d.root.Close()) }

func (d *folder) before(step, name string) error {
	if d.fault == nil {
		return nil
	}
	if err := d.fault(step, name); err != nil {
		return &fs.PathError{Op: step, Path: name, Err: err}
	}
	return nil
}

// create makes a file that is new, private, and the caller's to close.
func (d *folder) create(name string) (*os.File, error) {
	if err := d.before("create", name); err != nil {
		return nil, err
	}
	return d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

func (d *folder) write(f *os.File, p []byte) (int, error) {
	if err := d.before("write", f.Name()); err != nil {
		return 0, err
	}
	return f.Write(p)
}

// settle makes a file durable and closes it. A failed fsync is final: the kernel forgets the pages that it could not
// write, and a second fsync would say that all is well.
func (d *folder) settle(f *os.File) error {
	err := d.before("fsync", f.Name())
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// settleNames makes the names of the folder durable.
func (d *folder) settleNames() error {
	if err := d.before("fsync-folder", d.dir.Name()); err != nil {
		return err
	}
	return d.dir.Sync()
}

// place gives the file of a partial name its final one, never replacing what has that name: fs.ErrExist. The partial name
// stays, and shows a later sweep whose the file is; where the disk has no links, it goes.
func (d *folder) place(partial, name string) error {
	err := d.before("link", name)
	if err == nil {
		err = d.root.Link(partial, name)
	}
	if errors.Is(err, syscall.EPERM) || errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EMLINK) {
		fd := int(d.dir.Fd())
		err = unix.Renameat2(fd, partial, fd, name, unix.RENAME_NOREPLACE)
		return wrapPath("rename", name, err)
	}
	return err
}

func (d *folder) rename(from, to string) error {
	if err := d.before("rename", to); err != nil {
		return err
	}
	return d.root.Rename(from, to)
}

// remove removes a file; that it is gone already is no error.
func (d *folder) remove(name string) error {
	if err := d.before("remove", name); err != nil {
		return err
	}
	if err := d.root.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// makeAll makes a folder and those above it, private, where they are not there. They need not survive a crash.
func (d *folder) makeAll(name string) error {
	if err := d.before("make-folders", name); err != nil {
		return err
	}
	return d.root.MkdirAll(name, 0o700)
}

// removeAll removes a folder with all that is in it; that it is gone already is no error.
func (d *folder) removeAll(name string) error {
	if err := d.before("remove-all", name); err != nil {
		return err
	}
	return d.root.RemoveAll(name)
}

// makePrivate takes from others what an older folder gives them, as far as this user may and the file system knows of
// rights: a backup in a folder that others may read is better than none.
func (d *folder) makePrivate() error {
	info, err := d.dir.Stat()
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return err
	}
	err = d.dir.Chmod(0o700)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

func (d *folder) exists(name string) (bool, error) {
	_, err := d.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// writeNew makes a small file durable under a name that is free, by way of a partial one. After an error it is gone again,
// unless the disk refuses that too.
func (d *folder) writeNew(name, runID string, data []byte) error {
	partial := partialName(name, runID)
	f, err := d.create(partial)
	if err != nil {
		return err
	}
	_, err = d.write(f, data)
	if err = errors.Join(err, d.settle(f)); err == nil {
		err = d.place(partial, name)
	}
	if err != nil {
		return errors.Join(err, d.remove(partial))
	}
	_ = d.remove(partial) // only a second link, which the next sweep takes away
	if err := d.settleNames(); err != nil {
		return errors.Join(err, d.remove(name))
	}
	return nil
}

// open opens a regular file for reading, and nothing that a link leads to.
func (d *folder) open(name string) (*os.File, fs.FileInfo, error) {
	seen, err := d.root.Lstat(name)
	if err != nil {
		return nil, nil, err
	}
	if !seen.Mode().IsRegular() {
		return nil, nil, wrapPath("open", name, errors.New("not a regular file"))
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !os.SameFile(seen, info) {
		err = wrapPath("open", name, errors.New("it was exchanged meanwhile"))
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// read returns the content of a small file.
func (d *folder) read(name string, limit int64) ([]byte, error) {
	f, info, err := d.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size() > limit {
		return nil, wrapPath("read", name, fmt.Errorf("%d bytes are more than the %d that it may have", info.Size(), limit))
	}
	return io.ReadAll(io.LimitReader(f, limit))
}

func wrapPath(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}
