package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The custom format of pg_dump, as PostgreSQL 12 to 18 write it (pg_backup_archiver.c, pg_backup_custom.c): a head, the
// table of contents, and then a block of data for each entry that has some, one after the other.
const (
	archiveMagic   = "PGDMP"
	archiveOldest  = 1<<8 | 13 // PostgreSQL 10 to 11
	archiveNewest  = 1<<8 | 16 // PostgreSQL 17 and 18
	archiveCustom  = 1         // the format's number
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

// errCut says that a text ends before it is over.
var errCut = errors.New("the archive is cut")

// archiveEntry is one object in an archive's table of contents, as far as a restore must know it.
type archiveEntry struct {
	id       int
	kind     string // "TABLE DATA"
	tag      string // "t", "LARGE OBJECT 123"
	section  int    // of its own, or the one in which it stands
	sql      string
	copySQL  string // "COPY public.t (a) FROM stdin;\n"
	hasData  bool
	sqlStart int // where sql stands in the contents, its length first
	sqlEnd   int
}

// archiveContents is the head and the table of contents.
type archiveContents struct {
	raw     []byte
	intSize int
	entries []archiveEntry
}

// parseContents reads them from the front of an archive; errCut where it ends before they do.
func parseContents(raw []byte) (*archiveContents, error) {
	p := &archiveParser{raw: raw}
	version, intSize, err := p.head()
	if err != nil {
		return nil, err
	}
	c := &archiveContents{intSize: intSize}
	count := p.int()
	section := sectionPreData
	for n := 0; n < count && p.err == nil; n++ {
		entry := p.entry(version)
		if entry.section == sectionNone {
			entry.section = section
		}
		section = entry.section
		c.entries = append(c.entries, entry)
	}
	c.raw = raw[:p.at]
	return c, p.err
}

// archiveParser reads the fields of an archive one after the other. After an error all fields are empty.
type archiveParser struct {
	raw                 []byte
	at                  int
	intSize, offsetSize int
	err                 error
}

func (p *archiveParser) bytes(n int) []byte {
	if p.err == nil && (n < 0 || n > len(p.raw)-p.at) {
		p.err = errCut
	}
	if p.err != nil {
		return nil
	}
	p.at += n
	return p.raw[p.at-n : p.at]
}

func (p *archiveParser) byte() byte {
	b := p.bytes(1)
	if b == nil {
		return 0
	}
	return b[0]
}

// int is a sign and then the bytes of the number, lowest first.
func (p *archiveParser) int() int {
	return archiveInt(p.bytes(1 + p.intSize))
}

func archiveInt(field []byte) int {
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
func (p *archiveParser) text() (text string, null bool) {
	n := p.int()
	if n < 0 {
		return "", true
	}
	return string(p.bytes(n)), false
}

func (p *archiveParser) skipTexts(n int) {
	for range n {
		p.text()
	}
}

// head reads up to the number of entries. Only archives whose blocks are not compressed by pg_dump itself are known.
func (p *archiveParser) head() (version, intSize int, err error) {
	if magic := p.bytes(len(archiveMagic)); p.err == nil && string(magic) != archiveMagic {
		return 0, 0, errors.New("it is no archive of pg_dump")
	}
	version = int(p.byte())<<8 | int(p.byte())
	p.byte() // revision
	p.intSize, p.offsetSize = int(p.byte()), int(p.byte())
	format := p.byte()
	if p.err != nil {
		return 0, 0, p.err
	}
	if version < archiveOldest || version > archiveNewest || format != archiveCustom || p.intSize != 4 || p.offsetSize > maxArchiveInts {
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

func (p *archiveParser) entry(version int) archiveEntry {
	e := archiveEntry{id: p.int(), hasData: p.int() != 0}
	p.skipTexts(2) // class, oid
	e.tag, _ = p.text()
	e.kind, _ = p.text()
	e.section = p.int()
	e.sqlStart = p.at
	e.sql, _ = p.text()
	e.sqlEnd = p.at
	p.skipTexts(1) // DROP
	e.copySQL, _ = p.text()
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
