package local

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/pgharbor/pgharbor/agent/store"
)

// A bad sector is damage, in the kernel's words; that a file is gone, or out of reach, is none.
func TestWhatTheMediumCannotGiveBackIsUnreadable(t *testing.T) {
	for cause, damaged := range map[error]bool{
		syscall.EIO: true, syscall.EUCLEAN: true, syscall.EBADMSG: true, syscall.ENOENT: false, syscall.EACCES: false, syscall.ESTALE: false,
	} {
		opening := &fs.PathError{Op: "openat", Path: base, Err: cause}
		err := told(opening)
		if errors.Is(err, store.ErrUnreadable) != damaged || !errors.Is(err, cause) || err.Error() != opening.Error() {
			t.Errorf("%v is told as %v", opening, err)
		}
	}
}

func TestAFileThatAProcessHasOpenForWritingIsBeingWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	writer, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := File(path).Open()
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	file := opened.(*object)
	if writing, err := file.BeingWritten(); !writing || err != nil {
		t.Errorf("while it is open: %v, %v", writing, err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if writing, err := file.BeingWritten(); writing || err != nil {
		t.Errorf("once it is closed: %v, %v", writing, err)
	}
}

func TestLargeWritesArriveWhole(t *testing.T) {
	s := open(t, t.TempDir())
	f, err := s.Create("shop", base, "run1")
	if err != nil {
		t.Fatal(err)
	}
	chunk := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	for range 20 { // crosses the bound at which writeback is asked for
		if _, err := f.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	loc, err := f.Commit(nameAsManifest)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(s.Path(loc))
	if err != nil || !bytes.Equal(data, bytes.Repeat(chunk, 20)) {
		t.Errorf("%d bytes are stored, error %v", len(data), err)
	}
	if space, err := s.Space(); err != nil || space.Free <= 0 {
		t.Errorf("free are %d, %v", space.Free, err)
	}
}
