package local

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"

	"github.com/pgharbor/pgharbor/agent/store"
)

// receive takes a backup of another instance in, and lets it go.
func receive(s *Store) error {
	for _, part := range []store.Part{store.Dump, store.Globals} {
		file, err := s.CreateIncoming("restore1", part)
		if err != nil {
			return err
		}
		_, err = io.WriteString(file, "sealed")
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
	return s.RemoveIncoming("restore1")
}

func TestAFaultAtAnyStepOfReceivingIsReportedAndRemovable(t *testing.T) {
	total := len(steps(t, nothing, receive))
	if total < 7 { // each part: its folder, the file, a write; and the removal
		t.Errorf("only %d steps can fail", total)
	}
	for n := 1; n <= total; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			s.top.fault = faults{err: syscall.ENOSPC, once: true}.from(n)
			if err := receive(s); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("it ends with %v", err)
			}
			if err := open(t, dir).RemoveIncoming("restore1"); err != nil {
				t.Error(err)
			}
			if left := onDisk(t, dir); left != nil {
				t.Errorf("left: %q", left)
			}
		})
	}
}
