package archive

import (
	"errors"
	"fmt"
	"hash/maphash"
)

// Block is where the data of an entry stand in an archive.
type Block struct {
	ID     int
	kind   byte
	Offset int64 // of its first byte
	Length int64
	sum    uint64 // of its bytes, by the archive's seed
}

// Index is the index of an archive in the custom format: with it the data of each table can be read apart. It is made by
// writing the archive to it.
type Index struct {
	Contents *Contents
	Blocks   []Block
	seed     maphash.Seed

	err    error
	offset int64  // of the next byte
	kept   []byte // the contents so far, or a field that is not whole
	try    int    // how much must be kept before the contents are parsed again
	state  indexState
	block  Block
	hash   maphash.Hash
	skip   int64 // bytes of a chunk that are still to come
}

// indexState says what comes next.
type indexState int

const (
	inContents indexState = iota
	atBlock               // the head of a block, or the end
	atChunk               // the length of a chunk; 0 ends the block, or the large object
	inChunk
	atBlob // the oid of a large object; 0 ends the block
)

// New returns the index of an archive of which nothing came yet.
func New() *Index {
	a := &Index{seed: maphash.MakeSeed()}
	a.hash.SetSeed(a.seed)
	return a
}

// Usable reports whether the whole archive went by and all of it is known. One that is not can be restored by pg_restore all
// the same, as a whole.
func (a *Index) Usable() bool {
	if a.state == inContents && a.err == nil {
		a.try = 0 // there is no more to wait for
		a.takeContents(nil)
	}
	if a.err != nil || a.state != atBlock || len(a.kept) > 0 {
		return false
	}
	blocks := map[int]bool{}
	for _, b := range a.Blocks {
		blocks[b.ID] = true
	}
	for _, e := range a.Contents.Entries {
		if e.HasData && !blocks[e.ID] {
			return false
		}
	}
	return true
}

// Write implements io.Writer; it returns no error.
func (a *Index) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0 && a.err == nil; {
		taken := 0
		if a.state == inContents {
			taken = a.takeContents(rest)
		} else {
			taken = a.takeBlocks(rest)
		}
		rest = rest[taken:]
	}
	return len(p), nil
}

// takeContents keeps what comes until it is the whole table of contents.
func (a *Index) takeContents(p []byte) int {
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
	rest := a.kept[len(contents.Raw):]
	a.Contents, a.state, a.kept = contents, atBlock, nil
	a.offset = int64(len(contents.Raw))
	a.block = Block{Offset: a.offset}
	for len(rest) > 0 && a.err == nil {
		rest = rest[a.takeBlocks(rest):]
	}
	return len(p)
}

// takeBlocks takes what it can of p, all of which goes through the hash of the block that it belongs to.
func (a *Index) takeBlocks(p []byte) int {
	at, hashed := 0, 0
	for at < len(p) && a.err == nil {
		if a.state == inChunk {
			n := min(a.skip, int64(len(p)-at))
			at += int(n)
			if a.skip -= n; a.skip == 0 {
				a.state = atChunk
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
func (a *Index) field(p []byte) (field []byte, taken int) {
	size := 1 + a.Contents.IntSize
	if a.state == atBlock {
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
func (a *Index) step(field []byte) (ended bool) {
	switch a.state {
	case atBlock:
		a.block.kind, a.block.ID = field[0], readInt(field[1:])
		switch a.block.kind {
		case blockData:
			a.state = atChunk
		case blockBlobs:
			a.state = atBlob
		default:
			a.err = fmt.Errorf("block %d of an archive is not known", field[0])
		}
	case atBlob:
		a.state = atChunk
		return readInt(field) == 0
	case atChunk:
		n := readInt(field)
		switch {
		case n < 0:
			a.err = errors.New("a chunk of an archive has a negative length")
		case n > 0:
			a.state, a.skip = inChunk, int64(n)
		case a.block.kind == blockBlobs:
			a.state = atBlob
		default:
			return true
		}
	}
	return false
}

// endBlock keeps a block that ends before the byte at offset.
func (a *Index) endBlock(offset int64) {
	a.block.Length = offset - a.block.Offset
	a.block.sum = a.hash.Sum64()
	a.Blocks = append(a.Blocks, a.block)
	a.hash.Reset()
	a.state, a.block = atBlock, Block{Offset: offset}
}
