package store

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Object is a stored file that is open for reading, from its start or at any place.
type Object struct {
	*os.File
	size int64
}

// OpenFile opens a file that may stand anywhere; fs.ErrNotExist where there is none. What is no regular file is refused.
func OpenFile(path string) (*Object, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return newObject(file)
}

// newObject takes over an open file.
func newObject(file *os.File) (*Object, error) {
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", file.Name())
	}
	if err != nil {
		_ = file.Close() // the other error is told
		return nil, err
	}
	return &Object{File: file, size: info.Size()}, nil
}

// Size is how many bytes it had when it was opened.
func (o *Object) Size() int64 { return o.size }

// Forget tells the kernel that it need not keep a part of the file in memory. It is advice: a file system may not take it.
func (o *Object) Forget(from, size int64) {
	_ = unix.Fadvise(int(o.Fd()), from, size, unix.FADV_DONTNEED)
}
