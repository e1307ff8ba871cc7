package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// formsOf is a secret in the clear, in hexadecimal, and in base64 wherever it may
// begin in what was encoded.
func formsOf(secret string) [][]byte {
	forms := [][]byte{[]byte(secret), []byte(hex.EncodeToString([]byte(secret)))}
	for before := range 3 {
		encoded := base64.RawStdEncoding.EncodeToString(append(make([]byte, before), secret...))
		// The letters at both ends have bits of what is around.
		first := (before*8 + 5) / 6
		forms = append(forms, []byte(encoded[first:len(encoded)-1]))
	}
	return forms
}

// search remembers where which of the secrets were seen.
type search struct {
	mu    sync.Mutex
	forms map[string][][]byte // by what they are called
	seen  map[string][]string // the places, by the same name
}

func newSearch(secrets map[string]string) *search {
	s := &search{forms: map[string][][]byte{}, seen: map[string][]string{}}
	for name, secret := range secrets {
		s.forms[name] = formsOf(secret)
	}
	return s
}

func (s *search) look(place string, content []byte) {
	for name, forms := range s.forms {
		for _, form := range forms {
			if bytes.Contains(content, form) {
				s.mu.Lock()
				if last := s.seen[name]; len(last) == 0 || last[len(last)-1] != place {
					s.seen[name] = append(last, place)
				}
				s.mu.Unlock()
			}
		}
	}
}

// in are the places of a kind in which a secret was seen.
func (s *search) in(name, kind string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var places []string
	for _, place := range s.seen[name] {
		if strings.HasPrefix(place, kind) {
			places = append(places, place)
		}
	}
	return places
}

// again does something over and over until stop, which waits for the last time.
func again(t *testing.T, every time.Duration, what func()) (stop func()) {
	stopped, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			what()
			select {
			case <-stopped:
				return
			case <-ticker.C:
			}
		}
	}()
	stop = sync.OnceFunc(func() { close(stopped); <-done })
	t.Cleanup(stop)
	return stop
}

// processes looks at the arguments and the environment of every process.
func (s *search) processes() {
	for _, kind := range []string{"cmdline", "environ"} {
		places, _ := filepath.Glob("/proc/[0-9]*/" + kind)
		for _, place := range places {
			content, _ := os.ReadFile(place) // a process that has ended shows nothing
			s.look(kind+" of "+programOf(filepath.Dir(place)), content)
		}
	}
}

// memory looks at all that a process has in memory.
func (s *search) memory(pid int) error {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return err
	}
	image, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return err
	}
	defer image.Close()
	const step, overlap, largestMapping = 1 << 20, 1 << 10, 4 << 30
	buffer, looked := make([]byte, step+overlap), 0
	for line := range strings.Lines(string(maps)) {
		if strings.Contains(line, "[v") { // the kernel's own pages
			continue
		}
		var from, to int64
		var rights string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights); err != nil {
			return fmt.Errorf("%q: %w", line, err)
		}
		// The race detector's shadow is terabytes of its own notes, and nobody's data.
		if !strings.HasPrefix(rights, "r") || to-from > largestMapping {
			continue
		}
		for ; from < to; from += step {
			n, _ := image.ReadAt(buffer[:min(step+overlap, to-from)], from) // a part may go meanwhile
			s.look("memory", buffer[:n])
			looked += n
		}
	}
	if looked == 0 {
		return errors.New("none of its memory can be read")
	}
	return nil
}

// files looks at every file below the paths.
func (s *search) files(paths ...string) error {
	for _, root := range paths {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(path)
			s.look("file "+path, content)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
