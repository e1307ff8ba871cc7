package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"strings"
)

// ErrChanged reports that an archive is not what it was when its index was made.
var ErrChanged = errors.New("the archive changed since it was read")

// aclKinds are the entries that pg_restore leaves to the end: what they take away may be needed before.
var aclKinds = []string{"ACL", "ACL LANGUAGE", "DEFAULT ACL"}

// list names entries for pg_restore's --use-list.
func (c *Contents) list(wanted func(e Entry, acl bool) bool) []byte {
	var list bytes.Buffer
	for _, e := range c.Entries {
		if wanted(e, slices.Contains(aclKinds, e.Kind)) {
			fmt.Fprintf(&list, "%d;\n", e.ID)
		}
	}
	return list.Bytes()
}

// TableData reports whether an entry's data are the rows of a table, which COPY reads.
func (e Entry) TableData() bool {
	return e.Kind == "TABLE DATA" && e.HasData && strings.HasPrefix(e.CopySQL, "COPY ")
}

// Definitions are the statements that come before the data, without rights: the first part of a restore.
func (c *Contents) Definitions() []byte {
	return c.list(func(e Entry, acl bool) bool { return e.section == sectionPreData && !acl })
}

// OtherData are large objects, the state of sequences, and tables whose rows are no COPY.
func (c *Contents) OtherData() []byte {
	return c.list(func(e Entry, acl bool) bool { return e.section == sectionData && !acl && !e.TableData() })
}

// Sequences are the states of sequences.
func (c *Contents) Sequences() []byte {
	return c.list(func(e Entry, _ bool) bool { return e.Kind == sequenceState })
}

// sequenceState is the kind of entry that sets a sequence.
const sequenceState = "SEQUENCE SET"

// BesideTables is other data that may be loaded while tables are. A sequence is not: it moves with its table, and what the rows run
// may take numbers from it.
func (c *Contents) BesideTables() []byte {
	return c.list(func(e Entry, acl bool) bool {
		return e.section == sectionData && !acl && !e.TableData() && e.Kind != sequenceState
	})
}

// LargeObjects are the large objects without their content, their owners, rights and comments. The tag alone would not tell: it is the name
// of what others are of, and anything may be called so.
func (c *Contents) LargeObjects() []byte {
	return c.list(func(e Entry, acl bool) bool {
		about := acl || e.Kind == "COMMENT" || e.Kind == "SECURITY LABEL"
		return e.Kind == "BLOB" || e.Kind == "BLOB METADATA" || about && strings.HasPrefix(e.Tag, "LARGE OBJECT")
	})
}

// IndexesAndRights are what comes after the data: the last part of a restore.
func (c *Contents) IndexesAndRights() []byte {
	return c.list(func(e Entry, acl bool) bool { return e.section == sectionPostData || acl })
}

// Session is the SQL with which the archive wants its statements to be run: encoding, strings, search path.
func (c *Contents) Session() string {
	var sql strings.Builder
	for _, kind := range []string{"ENCODING", "STDSTRINGS", "SEARCHPATH"} {
		for _, e := range c.Entries {
			if e.Kind == kind {
				sql.WriteString(e.sql)
			}
		}
	}
	return sql.String()
}

// WithSearchPath returns the contents with another search path for the session.
func (c *Contents) WithSearchPath(sql string) (*Contents, error) {
	for _, e := range c.Entries {
		if e.Kind != "SEARCHPATH" {
			continue
		}
		field := binary.LittleEndian.AppendUint32([]byte{0}, uint32(len(sql)))
		return parseContents(slices.Concat(c.Raw[:e.sqlStart], field, []byte(sql), c.Raw[e.sqlEnd:]))
	}
	return c, nil
}

// blockReader reads one block of an archive as it stands there, and then says whether it is what was indexed.
type blockReader struct {
	src  io.Reader // at the block's first byte
	left int64
	want uint64
	hash maphash.Hash
}

// BlockReader reads a block from src, which is at its first byte.
func (a *Index) BlockReader(src io.Reader, b Block) io.Reader {
	r := &blockReader{src: src, left: b.Length, want: b.sum}
	r.hash.SetSeed(a.seed)
	return r
}

// Read implements io.Reader; ErrChanged comes in the place of io.EOF.
func (r *blockReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		if r.hash.Sum64() != r.want {
			return 0, ErrChanged
		}
		return 0, io.EOF
	}
	n, err := r.src.Read(p[:min(int64(len(p)), r.left)])
	_, _ = r.hash.Write(p[:n])
	r.left -= int64(n)
	if err == io.EOF {
		err = nil
		if r.left > 0 {
			err = ErrChanged
		}
	}
	return n, err
}

// copyReader reads the rows of a table's block without what the archive puts around them.
type copyReader struct {
	block  io.Reader
	buffer []byte
	ready  []byte // of buffer
	skip   int    // of the block's head
	chunk  int    // bytes of the chunk that are to come
	ended  bool   // the last chunk came
	size   int    // of a field
}

// pieceSize is the size of the pieces that are read.
const pieceSize = 256 << 10

// NewCopyReader reads the rows in a block, which is at its head; intSize is that of the archive.
func NewCopyReader(block io.Reader, intSize int) io.Reader {
	return &copyReader{block: block, buffer: make([]byte, pieceSize), skip: 2 + intSize, size: 1 + intSize}
}

// Read implements io.Reader.
func (r *copyReader) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(r.ready) < max(r.skip, r.size) && r.chunk == 0 || len(r.ready) == 0 {
			if err := r.fill(); err != nil {
				return n, err
			}
		}
		switch {
		case r.skip > 0:
			r.ready, r.skip = r.ready[r.skip:], 0
		case r.chunk > 0:
			took := copy(p[n:], r.ready[:min(len(r.ready), r.chunk)])
			n, r.chunk, r.ready = n+took, r.chunk-took, r.ready[took:]
		case r.ended:
			return n, ErrChanged // more comes where the block was over
		default:
			r.chunk = readInt(r.ready[:r.size])
			r.ready = r.ready[r.size:]
			r.ended = r.chunk <= 0
		}
	}
	return n, nil
}

// fill reads on, until there is a field or, within a chunk, a byte. The block's own end is the reader's.
func (r *copyReader) fill() error {
	kept := copy(r.buffer, r.ready)
	need := 1
	if r.chunk == 0 && !r.ended {
		need = max(r.skip, r.size)
	}
	for kept < need {
		n, err := r.block.Read(r.buffer[kept:])
		kept += n
		if err == io.EOF && (!r.ended || kept > 0) {
			err = ErrChanged
		}
		if err != nil {
			return err
		}
	}
	r.ready = r.buffer[:kept]
	return nil
}
