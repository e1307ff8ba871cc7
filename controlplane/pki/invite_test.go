package pki_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgharbor/pgharbor/controlplane/pki"
)

func sampleInvite() pki.Invite {
	return pki.Invite{
		Address:     "backups.example.com:7443",
		Fingerprint: "sha256:" + strings.Repeat("0123456789abcdef", 4),
		Secret:      pki.NewSecret(bytes.NewReader(make([]byte, 20))),
	}
}

func TestInviteIsOneShellSafeWord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := pki.Invite{
			Address: rapid.SampledFrom([]string{"localhost", "127.0.0.1", "[::1]", "h.example"}).Draw(t, "host") + ":" +
				rapid.StringMatching(`[1-9][0-9]{0,3}`).Draw(t, "port"),
			Fingerprint: "sha256:" + rapid.StringMatching(`[0-9a-f]{64}`).Draw(t, "fingerprint"),
			Secret:      rapid.StringMatching(`[a-z2-7]{1,64}`).Draw(t, "secret"),
		}
		word := want.String()
		if !regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*$`).MatchString(word) {
			t.Fatalf("%q is no shell-safe word", word)
		}
		got, err := pki.ParseInvite(" " + word + "\n")
		if err != nil || got != want {
			t.Fatalf("%+v became %+v, %v", want, got, err)
		}
	})
}

func TestEveryMistypedInviteIsTold(t *testing.T) {
	word := sampleInvite().String()
	for i := range word {
		for _, mistyped := range []string{
			word[:i],                    // cut
			word[:i] + word[i+1:],       // a letter left out
			word[:i] + "~" + word[i+1:], // not of the alphabet
			word[:i] + other(word[i:]),  // another letter
			word[:i] + "\n" + word[i:],  // broken over lines
			word[:i] + " " + word[i:],   // or with a space in it
		} {
			if strings.TrimSpace(mistyped) == word {
				continue
			}
			if _, err := pki.ParseInvite(mistyped); !errors.Is(err, pki.ErrBadInvite) {
				t.Fatalf("ParseInvite(%q): %v", mistyped, err)
			}
		}
	}
}

func other(tail string) string {
	if tail[0] == 'A' {
		return "B" + tail[1:]
	}
	return "A" + tail[1:]
}

func TestInviteErrorsKeepTheSecret(t *testing.T) {
	invite := sampleInvite()
	invite.Address = "no port"
	_, err := pki.ParseInvite(invite.String())
	if err == nil || strings.Contains(err.Error(), invite.Secret) {
		t.Errorf("ParseInvite: %v", err)
	}
}

func FuzzParseInvite(f *testing.F) {
	f.Add(sampleInvite().String())
	f.Add("pgharbor1_")
	f.Add("")
	f.Fuzz(func(t *testing.T, word string) {
		invite, err := pki.ParseInvite(word)
		if err != nil {
			if !errors.Is(err, pki.ErrBadInvite) {
				t.Errorf("%v is no ErrBadInvite", err)
			}
			return
		}
		if invite.String() != strings.TrimSpace(word) {
			t.Errorf("%q and %q are the same invite", word, invite)
		}
	})
}

func TestSecretsDiffer(t *testing.T) {
	one, two := pki.NewSecret(rand.Reader), pki.NewSecret(rand.Reader)
	if one == two || len(one) != 32 {
		t.Errorf("%q and %q", one, two)
	}
	if pki.HashSecret(one) == pki.HashSecret(two) || strings.Contains(pki.HashSecret(one), one) {
		t.Error("the hash does not hide the secret")
	}
}
