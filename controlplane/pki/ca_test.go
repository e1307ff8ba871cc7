package pki_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/pki"
)

var (
	anna  = pki.Principal{Kind: pki.KindUser, Name: "Anna@example.com", Identity: "id1"}
	agent = pki.Principal{Kind: pki.KindAgent, Name: "shop-db", Identity: "id2"}
)

func newCA(t *testing.T) *pki.CA {
	t.Helper()
	ca, err := pki.CreateCA(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func csr(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := pki.NewCSR(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestCAIsWrittenOnceAndLoaded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	made, err := pki.CreateCA(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"": 0o700 | fs.ModeDir, "ca.key": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%q has mode %v, want %v", name, info.Mode(), want)
		}
	}
	if _, err := pki.CreateCA(dir, time.Now()); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second CreateCA: %v, want fs.ErrExist", err)
	}
	loaded, err := pki.LoadCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	if loaded.Fingerprint() != made.Fingerprint() {
		t.Errorf("loaded %s, made %s", loaded.Fingerprint(), made.Fingerprint())
	}
}

func TestCreateCAKeepsALoneKey(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ca.key")
	if err := os.WriteFile(path, []byte("the only copy"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := pki.CreateCA(dir, time.Now()); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("CreateCA: %v, want fs.ErrExist", err)
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "the only copy" {
		t.Errorf("the key is now %q, %v", content, err)
	}
}

func TestLoadCARefusesForeignKey(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	for _, d := range []string{dir, other} {
		if _, err := pki.CreateCA(d, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(filepath.Join(other, "ca.key"), filepath.Join(dir, "ca.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := pki.LoadCA(dir); err == nil {
		t.Error("a CA with the key of another was loaded")
	}
}

func TestSignTakesTheKeyOnly(t *testing.T) {
	ca := newCA(t)
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	// The request claims to be a CA of everybody; nothing of that may come through.
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		DNSNames: []string{"evil.example"}, EmailAddresses: []string{"root@evil.example"},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Second)
	issued, err := ca.Sign(der, anna, 90*24*time.Hour, now)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(issued.Chain[0])
	if err != nil {
		t.Fatal(err)
	}
	got, err := pki.FromCertificate(cert)
	if err != nil || got != anna {
		t.Errorf("FromCertificate = %v, %v, want %v", got, err, anna)
	}
	if cert.IsCA || len(cert.ExtKeyUsage) != 1 || cert.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth {
		t.Errorf("IsCA %v, usages %v", cert.IsCA, cert.ExtKeyUsage)
	}
	if !cert.NotBefore.Before(now.Add(-10*time.Minute)) || !cert.NotAfter.Equal(now.Add(90*24*time.Hour)) {
		t.Errorf("valid from %v to %v", cert.NotBefore, cert.NotAfter)
	}
	if !issued.NotAfter.Equal(cert.NotAfter) || issued.Serial != cert.SerialNumber.Text(16) {
		t.Errorf("issued says %v %s", issued.NotAfter, issued.Serial)
	}
	if due := pki.RenewAt(cert); !due.Equal(now.Add(60 * 24 * time.Hour)) {
		t.Errorf("renew at %v, want 60 days after %v", due, now)
	}
}

func TestSignEndsWithTheCA(t *testing.T) {
	ca := newCA(t)
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	issued, err := ca.Sign(csr(t, key), agent, 100*365*24*time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if !issued.NotAfter.Equal(ca.Certificate().NotAfter) {
		t.Errorf("ends %v, after the CA's %v", issued.NotAfter, ca.Certificate().NotAfter)
	}
}

func TestSignAcceptsAndRefuses(t *testing.T) {
	ca := newCA(t)
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p224, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	good := csr(t, p256)
	flipped := append([]byte(nil), good...)
	flipped[len(flipped)-1] ^= 1
	tests := map[string]struct {
		csr       []byte
		principal pki.Principal
		refused   error
	}{
		"P-256":                {good, agent, nil},
		"Ed25519":              {csr(t, edKey), agent, nil},
		"P-224":                {csr(t, p224), agent, pki.ErrBadRequest},
		"P-384":                {csr(t, p384), agent, pki.ErrBadRequest},
		"RSA":                  {csr(t, rsaKey), agent, pki.ErrBadRequest},
		"signature broken":     {flipped, agent, pki.ErrBadRequest},
		"cut":                  {good[:len(good)/2], agent, pki.ErrBadRequest},
		"empty":                {nil, agent, pki.ErrBadRequest},
		"trailing bytes":       {append(append([]byte(nil), good...), 0), agent, pki.ErrBadRequest},
		"too long":             {make([]byte, 1<<20), agent, pki.ErrBadRequest},
		"as the control plane": {good, pki.Principal{Kind: pki.KindServer, Name: "x", Identity: "y"}, errAny},
		"a name with a slash":  {good, pki.Principal{Kind: pki.KindUser, Name: "a/b", Identity: "y"}, errAny},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ca.Sign(test.csr, test.principal, time.Hour, time.Now())
			switch {
			case test.refused == nil && err != nil:
				t.Error(err)
			case test.refused != nil && err == nil:
				t.Error("signed")
			case errors.Is(test.refused, pki.ErrBadRequest) && !errors.Is(err, pki.ErrBadRequest):
				t.Errorf("%v is no ErrBadRequest", err)
			}
		})
	}
}

var errAny = errors.New("any error")
