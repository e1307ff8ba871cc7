package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/pki"
)

// newAuthorities makes a folder with one CA.
func newAuthorities(t *testing.T) (*pki.Authorities, string) {
	t.Helper()
	dir := t.TempDir()
	if _, err := pki.CreateCA(dir, time.Now()); err != nil {
		t.Fatal(err)
	}
	authorities, err := pki.LoadAuthorities(dir)
	if err != nil {
		t.Fatal(err)
	}
	return authorities, dir
}

// issue certifies a new key by what its holder trusts.
func issue(t *testing.T, authorities *pki.Authorities, trusted ...*x509.Certificate) *tls.Certificate {
	t.Helper()
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	var fingerprints []string
	for _, ca := range trusted {
		fingerprints = append(fingerprints, pki.Fingerprint(ca))
	}
	issued, err := authorities.Sign(csr(t, key), anna, time.Hour, time.Now(), fingerprints...)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: issued.Chain, PrivateKey: key}
}

func trusting(cas ...*x509.Certificate) func() []*x509.Certificate {
	return func() []*x509.Certificate { return cas }
}

// A server that runs through a rotation, and the peers that it meets meanwhile.
func TestRotationWhileServing(t *testing.T) {
	authorities, dir := newAuthorities(t)
	address := greet(t, authorities.ServerConfig(time.Now, func(pki.Principal) error { return nil }))
	older := authorities.Certificates()[0]
	before := issue(t, authorities, older)
	comes := func(when string, want bool, trusted func() []*x509.Certificate, cert *tls.Certificate) {
		t.Helper()
		if _, err := meet(address, pki.ClientConfigTrusting(trusted, always(cert))); (err == nil) != want {
			t.Errorf("%s: let in %v, want %v (%v)", when, err == nil, want, err)
		}
	}
	comes("before", true, trusting(older), before)

	if _, err := pki.RotateCA(dir, time.Now()); err != nil {
		t.Fatal(err)
	}
	both := authorities.Certificates()
	if len(both) != 2 || !both[1].Equal(older) {
		t.Fatalf("after the rotation there are %d CAs, the older one last: %v", len(both), both)
	}
	newer := both[0]
	if authorities.Fingerprint() != pki.Fingerprint(older) {
		t.Error("invites name the newer CA, of which the control plane has no certificate yet")
	}
	unaware, moved := issue(t, authorities, older), issue(t, authorities, newer, older)
	if _, err := leafOf(t, moved).Verify(x509.VerifyOptions{Roots: pool(newer), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Errorf("who trusts the newer CA has not a certificate of it: %v", err)
	}
	comes("overlap, away since before", true, trusting(older), before)
	comes("overlap, renewed without knowing", true, trusting(older), unaware)
	comes("overlap, moved", true, trusting(newer, older), moved)
	comes("overlap, trusts the newer one only", false, trusting(newer), moved)
	if _, err := pki.RotateCA(dir, time.Now()); !errors.Is(err, pki.ErrRotating) {
		t.Errorf("a rotation within a rotation: %v", err)
	}

	// Sessions of both are there to be resumed once the older CA is gone.
	cache := tls.NewLRUClientSessionCache(1)
	left := pki.ClientConfigTrusting(trusting(newer, older), always(before))
	left.ClientSessionCache = cache
	if _, err := meet(address, left); err != nil {
		t.Fatal(err)
	}
	if err := pki.RetireCA(dir); err != nil {
		t.Fatal(err)
	}
	comes("retired, moved", true, trusting(newer, older), moved)
	comes("retired, moved and forgot the older one", true, trusting(newer), moved)
	comes("retired, knows the older one only", false, trusting(older), before)
	comes("retired, knows both and did not renew", false, trusting(newer, older), before)
	if resumed, err := meet(address, left); err == nil {
		t.Errorf("let in with a certificate of the retired CA, resumed %v", resumed)
	}
	checkRetired(t, authorities, dir, newer)
}

// checkRetired is what holds of the one CA that is left, in its folder too.
func checkRetired(t *testing.T, authorities *pki.Authorities, dir string, newer *x509.Certificate) {
	t.Helper()
	if authorities.Fingerprint() != pki.Fingerprint(newer) {
		t.Error("invites do not name the CA that is left")
	}
	if _, err := os.Stat(filepath.Join(dir, "ca.key")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the key of the retired CA: %v", err)
	}
	if err := pki.RetireCA(dir); !errors.Is(err, pki.ErrNotRotating) {
		t.Errorf("retiring the only CA: %v", err)
	}
	if _, err := pki.RotateCA(dir, time.Now()); err != nil {
		t.Errorf("the next rotation: %v", err)
	}
}

func leafOf(t *testing.T, cert *tls.Certificate) *x509.Certificate {
	t.Helper()
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func pool(ca *x509.Certificate) *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	return roots
}

// A rotation is cut off before its certificate is there: it has not happened, and
// the next one leaves the key alone.
func TestRotationThatWasCutOff(t *testing.T) {
	authorities, dir := newAuthorities(t)
	if err := os.WriteFile(filepath.Join(dir, "ca-2.key"), []byte("half a "), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := pki.LoadAuthorities(dir); err != nil || len(authorities.Certificates()) != 1 {
		t.Fatalf("%d CAs, %v", len(authorities.Certificates()), err)
	}
	if _, err := pki.RotateCA(dir, time.Now()); err != nil {
		t.Fatal(err)
	}
	if n := len(authorities.Certificates()); n != 2 {
		t.Errorf("%d CAs", n)
	}
}

// Connections are still accepted while the folder can't be read.
func TestFolderThatCannotBeRead(t *testing.T) {
	authorities, dir := newAuthorities(t)
	address := greet(t, authorities.ServerConfig(time.Now, func(pki.Principal) error { return nil }))
	ca := authorities.Certificates()[0]
	cert := issue(t, authorities, ca)
	if err := os.Rename(dir, dir+".gone"); err != nil {
		t.Fatal(err)
	}
	if _, err := meet(address, pki.ClientConfig(ca, always(cert))); err != nil {
		t.Error(err)
	}
	if _, err := pki.LoadAuthorities(dir); err == nil {
		t.Error("loaded from nowhere")
	}
}
