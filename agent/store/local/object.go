package local

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/pgharbor/pgharbor/agent/store"
)

// object implements store.Object, and what a store may add to it.
type object struct {
	*os.File
	size int64
}

// Open opens a part of a backup; fs.ErrNotExist where it is gone. Symbolic links are not followed.
func (s *Store) Open(loc store.Location, part store.Part) (store.Object, error) {
	d, err := s.locate(loc)
	if err != nil {
		return nil, err
	}
	defer d.close()
	f, _, err := d.open(part.Of(loc.File))
	if err != nil {
		return nil, told(err)
	}
	return newObject(f)
}

// newObject takes over an open file. What is no regular file is refused.
func newObject(file *os.File) (store.Object, error) {
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", file.Name())
	}
	if err != nil {
		_ = file.Close() // the other error is told
		return nil, err
	}
	return &object{File: file, size: info.Size()}, nil
}

// Size implements store.Object.
func (o *object) Size() int64 { return o.size }

// Forget tells the kernel that it need not keep a part of the file in memory. It is advice: a file system may not take it.
func (o *object) Forget(from, size int64) {
	_ = unix.Fadvise(int(o.Fd()), from, size, unix.FADV_DONTNEED)
}

// BeingWritten reports whether a process has the file open for writing: the kernel then refuses a read lease (fcntl(2)). An
// error means that it can't be known, as where leases can't be had, for another user's file.
func (o *object) BeingWritten() (bool, error) {
	raw, err := o.SyscallConn()
	if err == nil {
		controlErr := raw.Control(func(fd uintptr) {
			if _, err = unix.FcntlInt(fd, unix.F_SETLEASE, unix.F_RDLCK); err == nil {
				_, err = unix.FcntlInt(fd, unix.F_SETLEASE, unix.F_UNLCK)
			}
		})
		err = errors.Join(controlErr, err)
	}
	if errors.Is(err, unix.EAGAIN) {
		return true, nil
	}
	return false, err
}

// unreadable is store.ErrUnreadable, in the kernel's words alone.
type unreadable struct{ error }

// Unwrap returns what it stands for, and why.
func (u unreadable) Unwrap() []error { return []error{store.ErrUnreadable, u.error} }

// told makes store.ErrUnreadable of what the kernel says of a bad sector or a broken file system.
func told(err error) error {
	if errors.Is(err, unix.EIO) || errors.Is(err, unix.EUCLEAN) || errors.Is(err, unix.EBADMSG) {
		return unreadable{err}
	}
	return err
}
