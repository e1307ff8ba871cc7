package seal

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What the agent reads from a file and what the runbook's openssl reads from it must be the same passphrase.
func TestPassphraseFileIsReadAsOpenSSLReadsIt(t *testing.T) {
	for _, content := range []string{"secret", "secret\n", "secret\r\n", "two words \nsecond line", "пароль\n\n",
		"\tx", strings.Repeat("a", maxPassphrase) + "\nmore"} {
		path := file(t, content)
		passphrase, err := ReadPassphraseFile(path)
		if err != nil {
			t.Errorf("%q: %v", content, err)
			continue
		}
		cmd := exec.Command("openssl", "enc", "-d", "-aes-256-cbc", "-pbkdf2", "-pass", "file:"+path)
		cmd.Stdin = bytes.NewReader(sealed(t, NewOpenSSL(passphrase, rand.Reader), []byte("plain text")))
		if got, err := cmd.Output(); err != nil || string(got) != "plain text" {
			t.Errorf("%q: openssl reads another passphrase: %v", content, err)
		}
	}
}

func TestPassphraseFileRefusesWhatWouldBeReadOtherwise(t *testing.T) {
	for _, content := range []string{"", "\n", "\nsecond", "a\x00b\n", strings.Repeat("a", maxPassphrase+1)} {
		if _, err := ReadPassphraseFile(file(t, content)); err == nil {
			t.Errorf("%.20q is accepted", content)
		} else if len(content) > 3 && strings.Contains(err.Error(), strings.Trim(content, "\n")) {
			t.Errorf("the error says the passphrase: %v", err)
		}
	}
	if _, err := ReadPassphraseFile(filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("a file that is absent is accepted")
	}
}

func TestOldPassphrasesAreReadOneALine(t *testing.T) {
	got, err := ReadPassphrases(file(t, "newest\n\nolder one\noldest"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"newest", "older one", "oldest"}, got); diff != "" {
		t.Error(diff)
	}
	all := Passphrases{Current: "current", Old: got}.All()
	if diff := cmp.Diff([]string{"current", "newest", "older one", "oldest"}, all); diff != "" {
		t.Error(diff)
	}
	if _, err := ReadPassphrases(file(t, "good\nb\x00d")); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a bad line gave %v, want an error that names it", err)
	}
}

func TestPassphrasesAreNeverPrinted(t *testing.T) {
	const canary = "canary-7f3a"
	p := Passphrases{Current: canary, Old: []string{canary}}
	holder := struct {
		P Passphrases
		Q *Passphrases
		S *OpenSSL
	}{p, &p, NewOpenSSL(canary, rand.Reader)}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb+verb+"\n", p, &p, holder, holder.S)
	}
	encoded, err := json.Marshal(holder.P)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(encoded)
	slog.New(slog.NewTextHandler(&out, nil)).Info("text", "p", p, "holder", holder)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "p", p, "q", &p)
	if hex := fmt.Sprintf("%x", canary); strings.Contains(out.String(), canary) || strings.Contains(out.String(), hex) {
		t.Errorf("a passphrase is printed:\n%s", out.String())
	}
}
