package seal_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/pgharbor/pgharbor/agent/seal"
)

// A backup is encrypted while it is written, and opened with the same passphrase. `openssl enc -d
// -aes-256-cbc -pbkdf2` opens it too.
func ExampleOpenSSL() {
	var file bytes.Buffer
	w, err := seal.NewOpenSSL("correct horse", rand.Reader).Seal(&file)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = io.WriteString(w, "CREATE TABLE goods ();\n")
	if err = errors.Join(err, w.Close()); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(strings.Contains(file.String(), "goods"))

	r, err := seal.NewOpenSSL("correct horse", rand.Reader).Open(&file)
	if err != nil {
		fmt.Println(err)
		return
	}
	dump, err := io.ReadAll(r)
	fmt.Printf("%s%v\n", dump, err)
	// Output:
	// false
	// CREATE TABLE goods ();
	// <nil>
}

// What is no sealed file is told apart from an error of the disk.
func ExampleOpener() {
	var opener seal.Opener = seal.NewOpenSSL("correct horse", rand.Reader)
	_, err := opener.Open(strings.NewReader("CREATE TABLE goods ();"))
	fmt.Println(errors.Is(err, seal.ErrCorrupt))
	// Output: true
}
