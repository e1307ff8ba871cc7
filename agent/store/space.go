package store

import (
	"errors"
	"fmt"
)

// ErrReserve reports that something would not leave the reserve of the disk free.
var ErrReserve = errors.New("the disk is too full for what others ask")

const (
	leastReserve = 1 << 30
	mostReserve  = 32 << 30
	// lookEvery is how much is written between two looks at what is free.
	lookEvery = 1 << 20
)

// ReserveOf is what stays free of a disk of this size, in bytes, where nobody says otherwise: a twentieth of it, at least
// 1 GiB and at most 32 GiB, and no more than a quarter of a small one.
func ReserveOf(size int64) int64 {
	return min(max(size/20, leastReserve), mostReserve, size/4)
}

// Space is what a store still takes.
type Space struct {
	Of      string // the store, for messages: a path, an address
	Free    int64  // bytes that this process may still write; math.MaxInt64 where there is no bound
	Reserve int64  // bytes of Free that what others ask for must leave
}

// Spacious is a store of which the space can be asked.
type Spacious interface {
	Space() (Space, error)
}

// Room returns ErrReserve where something of this size, in bytes, would not leave the reserve and besides free. It is
// for what others ask to be stored here: the host's own backups may have all there is. Neither may be negative.
func Room(in Spacious, size, besides int64) error {
	has, err := in.Space()
	if err != nil {
		return err
	}
	if room := has.Free - has.Reserve; room < 0 || room < besides || room-besides < size {
		return fmt.Errorf("%w: %s has %s free, of which %s stay free for this host's own backups, and this takes %s",
			ErrReserve, has.Of, mebibytes(has.Free), mebibytes(has.Reserve+besides), mebibytes(size))
	}
	return nil
}

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }

// Sparing stops a writer to a store before the reserve is touched.
type Sparing struct {
	in      Spacious
	besides int64
	unseen  int64 // bytes written since the last look
}

// Spare makes one; besides is as in Room.
func Spare(in Spacious, besides int64) *Sparing { return &Sparing{in: in, besides: besides} }

// Take is told that so many bytes are about to be written; ErrReserve where that is too much.
func (s *Sparing) Take(bytes int) error {
	if s.unseen += int64(bytes); s.unseen < lookEvery {
		return nil
	}
	s.unseen = 0
	return Room(s.in, max(int64(bytes), lookEvery), s.besides) // as much may be written until the next look
}

// KeepReserve returns a backup that is written only as far as it leaves the reserve of the store free; ErrReserve where
// that is touched already.
func KeepReserve(in Spacious, backup Pending) (Pending, error) {
	return &sparingPending{Pending: backup, sparing: Spare(in, 0)}, Room(in, 0, 0)
}

type sparingPending struct {
	Pending
	sparing *Sparing
	err     error // the first that a Write had
}

// Write implements io.Writer.
func (p *sparingPending) Write(b []byte) (int, error) {
	if p.err == nil {
		p.err = p.sparing.Take(len(b))
	}
	if p.err != nil {
		return 0, p.err
	}
	return p.Pending.Write(b)
}

// Commit implements Pending.
func (p *sparingPending) Commit(manifest func(Location) ([]byte, error)) (Location, error) {
	if p.err != nil {
		return Location{}, errors.Join(p.err, p.Abort())
	}
	return p.Pending.Commit(manifest)
}
