package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/rand"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// sizes are those around the bounds of blocks and chunks.
var sizes = []int{0, 1, 15, 16, 17, 31, 32, 33, 1000, chunkSize - 17, chunkSize - 16, chunkSize - 1, chunkSize,
	chunkSize + 1, chunkSize + 16, 2*chunkSize - 1, 2 * chunkSize, 3*chunkSize + 5}

// quick is the format with a key that is cheap to derive, for tests that open and seal hundreds of times.
func quick(passphrase string) *OpenSSL {
	derive := func(salt []byte) ([]byte, error) {
		sum := sha512.Sum384(append(salt, passphrase...))
		return sum[:], nil
	}
	return &OpenSSL{derive: derive, random: rand.Reader}
}

func sealed(t testing.TB, o *OpenSSL, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := o.Seal(&out)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.Write(plain); n != len(plain) || err != nil {
		t.Fatalf("Write = %d, %v", n, err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func opened(o *OpenSSL, r io.Reader) ([]byte, error) {
	plain, err := o.Open(r)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(plain)
}

func openssl(t *testing.T, passphrase string, in []byte, args ...string) []byte {
	t.Helper()
	args = append([]string{"enc", "-aes-256-cbc", "-pbkdf2", "-pass", "env:SEAL_TEST"}, args...)
	cmd := exec.Command("openssl", args...)
	cmd.Env = append(os.Environ(), "SEAL_TEST="+passphrase)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl, which these tests need (Debian package openssl): %v", err)
	}
	return out
}

func TestStockOpenSSLOpensWhatWeSealAndTheReverse(t *testing.T) {
	passphrases := []string{"correct horse battery staple", "pä߀ 🐘 密码", " leading and trailing ", "\\$(x)'\"", "\xff\xfe"}
	for i, size := range sizes {
		passphrase := passphrases[i%len(passphrases)]
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			o := NewOpenSSL(passphrase, rand.Reader)
			plain := make([]byte, size)
			rand.Read(plain)
			if got := openssl(t, passphrase, sealed(t, o, plain), "-d"); !bytes.Equal(got, plain) {
				t.Error("openssl reads something else than was sealed")
			}
			got, err := opened(o, bytes.NewReader(openssl(t, passphrase, plain)))
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("what openssl sealed opens as something else, or with error %v", err)
			}
		})
	}
}

// A salt of its own is what makes two files of the same dump differ; all else is fixed by the format.
func TestSealIsByteForByteThatOfOpenSSL(t *testing.T) {
	plain := bytes.Repeat([]byte("row\n"), 100)
	o := NewOpenSSL("p", rand.Reader)
	ours := sealed(t, o, plain)
	theirs := openssl(t, "p", plain, "-S", fmt.Sprintf("%x", ours[8:16]))
	// With a salt that is given, openssl 3 leaves the header out.
	if diff := cmp.Diff(theirs, ours[headerSize:]); diff != "" {
		t.Error(diff)
	}
	if bytes.Equal(ours, sealed(t, o, plain)) {
		t.Error("two seals have the same salt")
	}
}

func TestRoundTripWhereverReadsAndWritesAreCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(rapid.SampledFrom(sizes), rapid.IntRange(0, 100)).Draw(t, "size")
		plain := bytes.Repeat([]byte("0123456789abcdefX"), size/17+1)[:size]
		cuts := rapid.SliceOf(rapid.IntRange(0, size)).Draw(t, "cuts")
		slices.Sort(cuts)

		var out bytes.Buffer
		w, err := quick("p").Seal(&out)
		if err != nil {
			t.Fatal(err)
		}
		from := 0
		for _, cut := range append(cuts, size) {
			if n, err := w.Write(plain[from:cut]); n != cut-from || err != nil {
				t.Fatalf("Write = %d, %v", n, err)
			}
			from = cut
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if want := headerSize + (size/aes.BlockSize+1)*aes.BlockSize; out.Len() != want {
			t.Fatalf("%d bytes were sealed to %d, not %d", size, out.Len(), want)
		}
		var r io.Reader = &out
		switch rapid.IntRange(0, 2).Draw(t, "reader") {
		case 1:
			r = iotest.HalfReader(r)
		case 2:
			r = iotest.DataErrReader(r)
		}
		if got, err := opened(quick("p"), r); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("opens as something else, or with error %v", err)
		}
	})
}

func TestOpenRefusesWhatIsNotWhole(t *testing.T) {
	whole := sealed(t, quick("p"), make([]byte, 100))
	for name, data := range map[string][]byte{
		"empty":              {},
		"half a header":      whole[:10],
		"header alone":       whole[:headerSize],
		"another format":     append([]byte("PGDMP\x01\x0e\x00"), whole[8:]...),
		"cut within a block": whole[:len(whole)-1],
		"a byte more":        append(bytes.Clone(whole), 0),
	} {
		if _, err := opened(quick("p"), bytes.NewReader(data)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", name, err)
		}
	}
}

func TestWrongPassphraseIsSeldomAccepted(t *testing.T) {
	accepted := 0
	for range 256 {
		if _, err := opened(quick("wrong"), bytes.NewReader(sealed(t, quick("p"), []byte("text")))); err == nil {
			accepted++
		} else if !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%v, want ErrCorrupt", err)
		}
	}
	if accepted > 16 { // the padding lets 1 in 256 through; 16 of 256 do not happen by chance
		t.Errorf("%d of 256 wrong passphrases were accepted", accepted)
	}
}

// An error of the source must never look like the end of the data, not even the error that is named after it.
func TestOpenPassesErrorsOfItsSourceOn(t *testing.T) {
	whole := sealed(t, quick("p"), make([]byte, 100))
	for _, cause := range []error{errors.New("reset by peer"), io.ErrUnexpectedEOF} {
		for _, cut := range []int{4, headerSize, 48, len(whole)} {
			r := io.MultiReader(bytes.NewReader(whole[:cut]), iotest.ErrReader(cause))
			if _, err := opened(quick("p"), r); !errors.Is(err, cause) {
				t.Errorf("source ends with %v after %d bytes, Read returned %v", cause, cut, err)
			}
		}
	}
}

type failingWriter struct{ room int }

func (w *failingWriter) Write(p []byte) (int, error) {
	if len(p) > w.room {
		return 0, errors.New("disk full")
	}
	w.room -= len(p)
	return len(p), nil
}

func TestSealReportsErrorsOfItsTarget(t *testing.T) {
	for _, room := range []int{0, headerSize, headerSize + chunkSize} {
		w, err := quick("p").Seal(&failingWriter{room})
		if err == nil {
			_, err = w.Write(make([]byte, room))
		}
		if err == nil {
			err = w.Close()
		}
		if err == nil {
			t.Errorf("a target with room for %d bytes was written to without an error", room)
		}
	}
	if _, err := NewOpenSSL("p", iotest.ErrReader(errors.New("no entropy"))).Seal(io.Discard); err == nil {
		t.Error("sealed without a salt")
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(sealed(f, quick("p"), []byte("text")))
	f.Add([]byte("Salted__12345678"))
	f.Fuzz(func(t *testing.T, data []byte) {
		plain, err := opened(quick("p"), bytes.NewReader(data))
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
		if err == nil && len(plain) > len(data)-headerSize-1 {
			t.Fatalf("%d bytes opened to %d", len(data), len(plain))
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	w, err := quick("p").Seal(io.Discard)
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 1<<20)
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		_, _ = w.Write(buf)
	}
}

func BenchmarkOpen(b *testing.B) {
	data := sealed(b, quick("p"), make([]byte, 16<<20))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		r, err := quick("p").Open(bytes.NewReader(data))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			b.Fatal(err)
		}
	}
}
