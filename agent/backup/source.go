package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/seal"
)

const (
	// headSize is how much of a dump is looked at to tell what it is.
	headSize = 4 << 10
	// maxWindow bounds the memory that a compressed file may ask for; pgharbor's own ask for 1 MiB.
	maxWindow = 32 << 20
)

// What files and dumps begin with.
var (
	magicZstd   = []byte{0x28, 0xb5, 0x2f, 0xfd}
	magicCustom = []byte("PGDMP")
)

// errNoDump reports that something is no dump, so that another passphrase is to be tried.
var errNoDump = errors.New("it is no dump of PostgreSQL")

// fileReader reads stored files: it opens them, and holds them against their manifests.
type fileReader struct {
	keys     seal.Ring
	instance *postgres.Instance // whose pg_restore reads archives
}

// source knows how to open one file: with which passphrase, and what is in it.
type source struct {
	opener     seal.Opener // nil where the file is not sealed
	compressed bool
	format     string
	head       []byte // of the plain dump
}

// identify finds out what a file is by its content: the name may be anybody's. Where the file is sealed it tries the
// keys, and takes the first with which a dump appears. A random key would show one about once in 2^500 times.
func (f *fileReader) identify(file io.ReadSeeker) (*source, error) {
	start := make([]byte, seal.StartSize)
	n, err := readFromStart(file, start)
	if err != nil {
		return nil, err
	}
	scheme := seal.SchemeOf(start[:n])
	if scheme == seal.SchemeNone {
		src := &source{}
		if err := src.look(file); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return src, nil
	}
	openers := f.keys.Openers(scheme)
	if len(openers) == 0 {
		return nil, ErrNoPassphrase
	}
	for _, opener := range openers {
		src := &source{opener: opener}
		err := src.look(file)
		if err == nil {
			return src, nil
		}
		if !errors.Is(err, errNoDump) && !errors.Is(err, seal.ErrCorrupt) {
			return nil, err
		}
	}
	return nil, ErrWrongPassphrase
}

func readFromStart(file io.ReadSeeker, buffer []byte) (int, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := readFull(file, buffer)
	if err == io.EOF {
		err = nil
	}
	return n, err
}

// look reads the begin of the dump and sets what it is. A file that is cut has a begin all the same, which tells a wrong
// passphrase from the right one.
func (s *source) look(file io.ReadSeeker) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	unsealed, err := s.unseal(file)
	if err != nil {
		return err
	}
	head := make([]byte, headSize)
	n, err := readFull(unsealed, head)
	if err != nil && err != io.EOF && n == 0 {
		return err
	}
	if s.compressed = bytes.HasPrefix(head[:n], magicZstd); s.compressed {
		// From here on it is a file of ours: these four bytes don't come up by chance in what was sealed otherwise.
		if n, err = s.lookInside(file, head); err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	s.head = head[:n]
	switch {
	case bytes.HasPrefix(s.head, magicCustom):
		s.format = postgres.FormatCustom
	case isText(s.head):
		s.format = postgres.FormatPlain
	default:
		return errNoDump
	}
	return nil
}

// lookInside reads the begin of a compressed dump.
func (s *source) lookInside(file io.ReadSeeker, head []byte) (int, error) {
	plain, err := s.open(file)
	if err != nil {
		return 0, err
	}
	n, err := readFull(plain, head)
	if n > 0 || err == io.EOF {
		err = nil
	}
	return n, err
}

// isText says that no byte is a control character that SQL has no use for.
func isText(head []byte) bool {
	return bytes.IndexFunc(head, func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' && r != '\r' && r != '\f' && r != '\b' && r != '\v'
	}) < 0
}

// unseal returns a reader of what is sealed in stored.
func (s *source) unseal(stored io.Reader) (io.Reader, error) {
	if s.opener == nil {
		return stored, nil
	}
	return s.opener.Open(stored)
}

// open returns a reader of the plain dump in the file, from its start.
func (s *source) open(file io.ReadSeeker) (io.Reader, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return s.plain(file)
}

// plain returns a reader of the plain dump that is in stored.
func (s *source) plain(stored io.Reader) (io.Reader, error) {
	unsealed, err := s.unseal(stored)
	if err != nil || !s.compressed {
		return unsealed, err
	}
	decoder, err := zstd.NewReader(unsealed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	return decoder, nil
}
