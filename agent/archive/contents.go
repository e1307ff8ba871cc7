package archive

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The custom format of pg_dump, as PostgreSQL 12 to 18 write it (pg_backup_archiver.c, pg_backup_custom.c): a head, the
// table of contents, and then a block of data for each entry that has some, one after the other.
const (
	magic          = "PGDMP"
	oldest         = 1<<8 | 13 // PostgreSQL 10 to 11
	newest         = 1<<8 | 16 // PostgreSQL 17 and 18
	customFormat   = 1         // the format's number
	blockData      = 1
	blockBlobs     = 3
	maxContents    = 64 << 20 // bytes of a table of contents that are kept in memory
	maxArchiveInts = 8        // bytes of an integer
)

// Sections of an entry.
const (
	sectionNone = 1 + iota
	sectionPreData
	sectionData
	sectionPostData
)

// errCut reports that a text ends before it is over.
var errCut = errors.New("the archive is cut")

// Entry is one object in an archive's table of contents, as far as a restore must know it.
type Entry struct {
	ID       int
	Kind     string // "TABLE DATA"
	Tag      string // "t", "LARGE OBJECT 123"
	section  int    // of its own, or the one in which it stands
	sql      string
	CopySQL  string // "COPY public.t (a) FROM stdin;\n"
	HasData  bool
	sqlStart int // where sql stands in the contents, its length first
	sqlEnd   int
}

// Contents is the head and the table of contents.
type Contents struct {
	Raw     []byte
	IntSize int
	Entries []Entry
}

// parseContents reads them from the front of an archive; errCut where it ends before they do.
func parseContents(raw []byte) (*Contents, error) {
	p := &parser{raw: raw}
	version, intSize, err := p.head()
	if err != nil {
		return nil, err
	}
	c := &Contents{IntSize: intSize}
	count := p.int()
	section := sectionPreData
	for n := 0; n < count && p.err == nil; n++ {
		entry := p.entry(version)
		if entry.section == sectionNone {
			entry.section = section
		}
		section = entry.section
		c.Entries = append(c.Entries, entry)
	}
	c.Raw = raw[:p.at]
	return c, p.err
}

// parser reads the fields of an archive one after the other. After an error all fields are empty.
type parser struct {
	raw                 []byte
	at                  int
	intSize, offsetSize int
	err                 error
}

func (p *parser) bytes(n int) []byte {
	if p.err == nil && (n < 0 || n > len(p.raw)-p.at) {
		p.err = errCut
	}
	if p.err != nil {
		return nil
	}
	p.at += n
	return p.raw[p.at-n : p.at]
}

func (p *parser) byte() byte {
	b := p.bytes(1)
	if b == nil {
		return 0
	}
	return b[0]
}

// int is a sign and then the bytes of the number, lowest first.
func (p *parser) int() int {
	return readInt(p.bytes(1 + p.intSize))
}

func readInt(field []byte) int {
	if len(field) == 0 {
		return 0
	}
	var number [8]byte
	copy(number[:], field[1:])
	n := int(binary.LittleEndian.Uint32(number[:4]))
	if field[0] != 0 {
		return -n
	}
	return n
}

// text has its length before it; -1 is NULL.
func (p *parser) text() (text string, null bool) {
	n := p.int()
	if n < 0 {
		return "", true
	}
	return string(p.bytes(n)), false
}

func (p *parser) skipTexts(n int) {
	for range n {
		p.text()
	}
}

// head reads up to the number of entries. Only archives whose blocks are not compressed by pg_dump itself are known.
func (p *parser) head() (version, intSize int, err error) {
	if first := p.bytes(len(magic)); p.err == nil && string(first) != magic {
		return 0, 0, errors.New("it is no archive of pg_dump")
	}
	version = int(p.byte())<<8 | int(p.byte())
	p.byte() // revision
	p.intSize, p.offsetSize = int(p.byte()), int(p.byte())
	format := p.byte()
	if p.err != nil {
		return 0, 0, p.err
	}
	if version < oldest || version > newest || format != customFormat || p.intSize != 4 || p.offsetSize > maxArchiveInts {
		return 0, 0, fmt.Errorf("version 1.%d, format %d of archives is not known", version&0xff, format)
	}
	compression := 0
	if version >= 1<<8|15 {
		compression = int(p.byte())
	} else {
		compression = p.int()
	}
	if p.err == nil && compression != 0 {
		return 0, 0, errors.New("its data are compressed by pg_dump")
	}
	for range 7 { // the time of the dump
		p.int()
	}
	p.skipTexts(3) // database, server, pg_dump
	return version, p.intSize, p.err
}

func (p *parser) entry(version int) Entry {
	e := Entry{ID: p.int(), HasData: p.int() != 0}
	p.skipTexts(2) // class, oid
	e.Tag, _ = p.text()
	e.Kind, _ = p.text()
	e.section = p.int()
	e.sqlStart = p.at
	e.sql, _ = p.text()
	e.sqlEnd = p.at
	p.skipTexts(1) // DROP
	e.CopySQL, _ = p.text()
	p.skipTexts(2) // schema, tablespace
	if version >= 1<<8|14 {
		p.skipTexts(1) // access method
	}
	if version >= 1<<8|16 {
		p.int() // kind of relation
	}
	p.skipTexts(2) // owner, WITH OIDS
	for p.err == nil {
		if _, last := p.text(); last { // dependencies
			break
		}
	}
	p.bytes(1 + p.offsetSize) // where its data are, which pg_dump does not know as it writes to a pipe
	return e
}
