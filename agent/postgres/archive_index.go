package postgres

import (
	"errors"
	"fmt"
	"hash/maphash"
)

// archiveBlock is where the data of an entry stand in an archive.
type archiveBlock struct {
	id     int
	kind   byte
	offset int64 // of its first byte
	length int64
	sum    uint64 // of its bytes, by the archive's seed
}

// Archive is the index of an archive in the custom format: with it the data of each table can be read apart. It is made by
// writing the archive to it.
type Archive struct {
	contents *archiveContents
	blocks   []archiveBlock
	seed     maphash.Seed

	err    error
	offset int64  // of the next byte
	kept   []byte // the contents so far, or a field that is not whole
	try    int    // how much must be kept before the contents are parsed again
	state  archiveState
	block  archiveBlock
	hash   maphash.Hash
	skip   int64 // bytes of a chunk that are still to come
}

// archiveState says what comes next.
type archiveState int

const (
	archiveInContents archiveState = iota
	archiveAtBlock                 // the head of a block, or the end
	archiveAtChunk                 // the length of a chunk; 0 ends the block, or the large object
	archiveInChunk
	archiveAtBlob // the oid of a large object; 0 ends the block
)

// NewArchive returns the index of an archive of which nothing came yet.
func NewArchive() *Archive {
	a := &Archive{seed: maphash.MakeSeed()}
	a.hash.SetSeed(a.seed)
	return a
}

// Usable says whether the whole archive went by and all of it is known. One that is not can be restored by pg_restore all
// the same, as a whole.
func (a *Archive) Usable() bool {
	if a.state == archiveInContents && a.err == nil {
		a.try = 0 // there is no more to wait for
		a.takeContents(nil)
	}
	if a.err != nil || a.state != archiveAtBlock || len(a.kept) > 0 {
		return false
	}
	blocks := map[int]bool{}
	for _, b := range a.blocks {
		blocks[b.id] = true
	}
	for _, e := range a.contents.entries {
		if e.hasData && !blocks[e.id] {
			return false
		}
	}
	return true
}

// Write implements io.Writer; it returns no error.
func (a *Archive) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0 && a.err == nil; {
		taken := 0
		if a.state == archiveInContents {
			taken = a.takeContents(rest)
		} else {
			taken = a.takeBlocks(rest)
		}
		rest = rest[taken:]
	}
	return len(p), nil
}

// takeContents keeps what comes until it is the whole table of contents.
func (a *Archive) takeContents(p []byte) int {
	a.kept = append(a.kept, p...)
	if len(a.kept) < a.try {
		return len(p)
	}
	contents, err := parseContents(a.kept)
	if errors.Is(err, errCut) && len(a.kept) < maxContents {
		a.try = 2 * len(a.kept)
		return len(p)
	}
	if err != nil {
		a.err, a.kept = err, nil
		return len(p)
	}
	rest := a.kept[len(contents.raw):]
	a.contents, a.state, a.kept = contents, archiveAtBlock, nil
	a.offset = int64(len(contents.raw))
	a.block = archiveBlock{offset: a.offset}
	for len(rest) > 0 && a.err == nil {
		rest = rest[a.takeBlocks(rest):]
	}
	return len(p)
}

// takeBlocks takes what it can of p, all of which goes through the hash of the block that it belongs to.
func (a *Archive) takeBlocks(p []byte) int {
	at, hashed := 0, 0
	for at < len(p) && a.err == nil {
		if a.state == archiveInChunk {
			n := min(a.skip, int64(len(p)-at))
			at += int(n)
			if a.skip -= n; a.skip == 0 {
				a.state = archiveAtChunk
			}
			continue
		}
		field, taken := a.field(p[at:])
		at += taken
		if field == nil {
			break
		}
		if a.step(field) {
			_, _ = a.hash.Write(p[hashed:at])
			hashed = at
			a.endBlock(a.offset + int64(at))
		}
	}
	_, _ = a.hash.Write(p[hashed:at])
	a.offset += int64(at)
	return at
}

// field returns the next field once all of it has come.
func (a *Archive) field(p []byte) (field []byte, taken int) {
	size := 1 + a.contents.intSize
	if a.state == archiveAtBlock {
		size++
	}
	if len(a.kept) == 0 && len(p) >= size {
		return p[:size], size
	}
	taken = min(size-len(a.kept), len(p))
	a.kept = append(a.kept, p[:taken]...)
	if len(a.kept) < size {
		return nil, taken
	}
	field, a.kept = a.kept, nil
	return field, taken
}

// step takes a field and says whether it ended a block.
func (a *Archive) step(field []byte) (ended bool) {
	switch a.state {
	case archiveAtBlock:
		a.block.kind, a.block.id = field[0], archiveInt(field[1:])
		switch a.block.kind {
		case blockData:
			a.state = archiveAtChunk
		case blockBlobs:
			a.state = archiveAtBlob
		default:
			a.err = fmt.Errorf("block %d of an archive is not known", field[0])
		}
	case archiveAtBlob:
		a.state = archiveAtChunk
		return archiveInt(field) == 0
	case archiveAtChunk:
		n := archiveInt(field)
		switch {
		case n < 0:
			a.err = errors.New("a chunk of an archive has a negative length")
		case n > 0:
			a.state, a.skip = archiveInChunk, int64(n)
		case a.block.kind == blockBlobs:
			a.state = archiveAtBlob
		default:
			return true
		}
	}
	return false
}

// endBlock keeps a block that ends before the byte at offset.
func (a *Archive) endBlock(offset int64) {
	a.block.length = offset - a.block.offset
	a.block.sum = a.hash.Sum64()
	a.blocks = append(a.blocks, a.block)
	a.hash.Reset()
	a.state, a.block = archiveAtBlock, archiveBlock{offset: offset}
}
