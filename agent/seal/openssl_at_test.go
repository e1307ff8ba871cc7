package seal

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"testing"

	"pgregory.net/rapid"
)

// A range that is read apart is the same as the one in the whole.
func TestRangesOfASealedFile(t *testing.T) {
	plain := make([]byte, 3*chunkSize+77)
	for n := range plain {
		plain[n] = byte(n * 31 >> 3)
	}
	sealer := NewOpenSSL("secret", rand.Reader)
	var sealed bytes.Buffer
	w, err := sealer.Seal(&sealed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	at, err := sealer.OpenAt(bytes.NewReader(sealed.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		offset := rapid.IntRange(0, len(plain)).Draw(t, "offset")
		length := rapid.IntRange(0, len(plain)-offset).Draw(t, "length")
		got, err := io.ReadAll(at.From(int64(offset), int64(length)))
		if err != nil || !bytes.Equal(got, plain[offset:offset+length]) {
			t.Fatalf("%d bytes from %d: %v, %d bytes", length, offset, err, len(got))
		}
	})
	if _, err := io.ReadAll(at.From(int64(len(plain)), 1000)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("beyond the end: %v", err)
	}
	if _, err := sealer.OpenAt(bytes.NewReader(plain)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("what is not sealed: %v", err)
	}
}
