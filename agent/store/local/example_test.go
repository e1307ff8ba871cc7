package local_test

import (
	"fmt"
	"io"
	"os"

	"github.com/pgharbor/pgharbor/agent/store"
	"github.com/pgharbor/pgharbor/agent/store/local"
)

// A backup is there once its manifest is, and not before.
func Example() {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	s, err := local.Open(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()

	unlock, err := s.Lock("shop") // one run of a database at a time
	if err != nil {
		fmt.Println(err)
		return
	}
	defer unlock()
	file, err := s.Create("shop", "backup-2026-11-30-01-00-00.sql.enc", "run1")
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := io.WriteString(file, "sealed"); err != nil {
		fmt.Println(err, file.Abort())
		return
	}
	count := func() (n int) {
		for _, err := range s.Manifests() {
			if err == nil {
				n++
			}
		}
		return n
	}
	fmt.Println("before Commit:", count())
	loc, err := file.Commit(func(store.Location) ([]byte, error) { return []byte(`{"version": 1}`), nil })
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("after Commit:", count(), loc.Database, loc.File)
	// Output:
	// before Commit: 0
	// after Commit: 1 shop backup-2026-11-30-01-00-00.sql.enc
}
