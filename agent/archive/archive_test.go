package archive

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// anArchive is a dump in the custom format of a database with rows and large objects.
func anArchive(t *testing.T) []byte {
	t.Helper()
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "archived")
	server.Exec(t, "archived", `CREATE TABLE a AS SELECT g AS n, repeat('x', g) AS t FROM generate_series(1, 400) g; CREATE TABLE b (n int);
		CREATE TABLE c AS SELECT E'\\.' AS t; SELECT lo_from_bytea(0, decode(repeat('ff00', 3000), 'hex')), lo_from_bytea(0, '')`)
	dump := exec.CommandContext(t.Context(), server.Bin+"/pg_dump", "-Fc", "-Z0", "-d", server.URL("archived"))
	archive, err := dump.Output()
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

// index writes an archive in pieces of a size.
func index(archive []byte, size int) *Index {
	a := New()
	for piece := range slices.Chunk(archive, size) {
		_, _ = a.Write(piece)
	}
	return a
}

// The index is the same wherever the archive is cut, its tables read apart are what COPY wrote, and no part of an archive is
// taken for the whole.
func TestArchiveIsReadApart(t *testing.T) {
	archive := anArchive(t)
	want := index(archive, len(archive))
	for _, size := range []int{1, 2, 3, 5, 7, 64, 1000, 4096} {
		got := index(archive, size)
		if !got.Usable() || !slices.EqualFunc(got.Blocks, want.Blocks, func(a, b Block) bool {
			return a.ID == b.ID && a.kind == b.kind && a.Offset == b.Offset && a.Length == b.Length
		}) {
			t.Errorf("in pieces of %d: usable %v, %v", size, got.Usable(), got.Blocks)
		}
	}
	const end = "\\.\n\n\n" // as pg_dump ends the rows of a table
	rows := map[string]string{}
	for _, e := range want.Contents.Entries {
		for _, b := range want.Blocks {
			if e.ID == b.ID && e.TableData() {
				table, _ := dump.CopyTarget(e.CopySQL)
				block := want.BlockReader(bytes.NewReader(archive[b.Offset:]), b)
				text, err := io.ReadAll(NewCopyReader(block, want.Contents.IntSize))
				if err != nil {
					t.Errorf("%s: %v", table, err)
				}
				rows[table] = string(text)
			}
		}
	}
	var a strings.Builder
	for n := range 400 {
		a.WriteString(strings.Join([]string{itoa(n + 1), strings.Repeat("x", n+1)}, "\t") + "\n")
	}
	if diff := cmp.Diff(map[string]string{"public.a": a.String() + end, "public.b": end, "public.c": "\\\\.\n" + end}, rows); diff != "" {
		t.Error(diff)
	}
	for cut := range archive {
		if cut%97 == 0 && index(archive[:cut], 4096).Usable() {
			t.Errorf("the first %d of %d bytes are taken for the whole", cut, len(archive))
		}
	}
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}

// A block that is not what was indexed is never read to an end.
func TestArchiveThatChangedMeanwhile(t *testing.T) {
	archive := anArchive(t)
	a := index(archive, 1<<20)
	for _, b := range a.Blocks {
		for _, at := range []int64{0, b.Length / 2, b.Length - 1} {
			changed := bytes.Clone(archive)
			changed[b.Offset+at] ^= 4
			if _, err := io.ReadAll(a.BlockReader(bytes.NewReader(changed[b.Offset:]), b)); !errors.Is(err, ErrChanged) {
				t.Errorf("block %d, byte %d: %v", b.ID, at, err)
			}
		}
		if _, err := io.ReadAll(a.BlockReader(bytes.NewReader(archive[b.Offset:b.Offset+b.Length-1]), b)); !errors.Is(err, ErrChanged) {
			t.Errorf("block %d, cut: %v", b.ID, err)
		}
	}
}

func FuzzArchive(f *testing.F) {
	f.Add([]byte("PGDMP\x01\x0e\x00\x04\x08\x01\x00\x00\x00\x00\x00"), 3)
	f.Add(append([]byte("PGDMP\x01\x10\x00\x04\x08\x01\x00"), make([]byte, 80)...), 7)
	f.Fuzz(func(t *testing.T, archive []byte, size int) {
		whole, cut := index(archive, max(1, len(archive))), index(archive, 1+size&63)
		if whole.Usable() != cut.Usable() || len(whole.Blocks) != len(cut.Blocks) {
			t.Errorf("usable %v and %v, %d and %d blocks", whole.Usable(), cut.Usable(), len(whole.Blocks), len(cut.Blocks))
		}
		for _, b := range whole.Blocks {
			if b.Offset < 0 || b.Length < 0 || b.Offset+b.Length > int64(len(archive)) {
				t.Fatalf("block %+v of %d bytes", b, len(archive))
			}
			_, _ = io.ReadAll(NewCopyReader(whole.BlockReader(bytes.NewReader(archive[b.Offset:]), b), whole.Contents.IntSize))
		}
	})
}
