package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/pki"
)

// greet serves TLS on loopback until the test ends: it says hello to whom it lets
// in. It returns the address.
func greet(t *testing.T, config *tls.Config) string {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { listener.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "hello")
			_, _ = io.Copy(io.Discard, conn)
			conn.Close()
		}
	}()
	return listener.Addr().String()
}

// meet dials, and returns nil once the server's hello has come.
func meet(address string, config *tls.Config) (resumed bool, err error) {
	conn, err := tls.Dial("tcp", address, config)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return false, err
	}
	_, err = io.ReadFull(conn, make([]byte, 5))
	return conn.ConnectionState().DidResume, err
}

func certify(t *testing.T, ca *pki.CA, p pki.Principal, now time.Time) *tls.Certificate {
	t.Helper()
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	issued, err := ca.Sign(csr(t, key), p, time.Hour, now)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(issued.Chain[0])
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: issued.Chain, PrivateKey: key, Leaf: leaf}
}

func always(c *tls.Certificate) func() *tls.Certificate { return func() *tls.Certificate { return c } }

func TestServerChecksWhoComes(t *testing.T) {
	ca, foreign := newCA(t), newCA(t)
	var seen atomic.Value
	address := greet(t, ca.ServerConfig(time.Now, func(p pki.Principal) error {
		seen.Store(p)
		if p.Name == "revoked" {
			return errors.New("revoked")
		}
		return nil
	}))
	revoked := pki.Principal{Kind: pki.KindUser, Name: "revoked", Identity: "x"}
	now := time.Now()
	tests := map[string]struct {
		cert *tls.Certificate
		in   bool
	}{
		"nobody":               {nil, true},
		"a person":             {certify(t, ca, anna, now), true},
		"an agent":             {certify(t, ca, agent, now), true},
		"revoked":              {certify(t, ca, revoked, now), false},
		"expired":              {certify(t, ca, anna, now.Add(-2*time.Hour)), false},
		"of the future":        {certify(t, ca, anna, now.Add(2*time.Hour)), false},
		"of a foreign CA":      {certify(t, foreign, anna, now), false},
		"the server's own one": {serverCertificate(t, ca), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := meet(address, pki.ClientConfig(ca.Certificate(), always(test.cert)))
			if (err == nil) != test.in {
				t.Errorf("let in: %v, want %v (%v)", err == nil, test.in, err)
			}
		})
	}
	if p, _ := seen.Load().(pki.Principal); p.Identity == "" {
		t.Error("check saw no principal")
	}
}

// serverCertificate is the certificate that the server shows, with its key.
func serverCertificate(t *testing.T, ca *pki.CA) *tls.Certificate {
	t.Helper()
	cert, err := ca.ServerConfig(time.Now, nil).GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestRevocationBitesOnAResumedSession(t *testing.T) {
	ca := newCA(t)
	var revoked atomic.Bool
	address := greet(t, ca.ServerConfig(time.Now, func(pki.Principal) error {
		if revoked.Load() {
			return errors.New("revoked")
		}
		return nil
	}))
	config := pki.ClientConfig(ca.Certificate(), always(certify(t, ca, anna, time.Now())))
	config.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	if _, err := meet(address, config); err != nil {
		t.Fatal(err)
	}
	resumed, err := meet(address, config)
	if err != nil || !resumed {
		t.Fatalf("resumed %v, %v: the test needs a resumed session", resumed, err)
	}
	revoked.Store(true)
	if resumed, err = meet(address, config); err == nil || !resumed {
		t.Errorf("after the revocation: resumed %v, %v", resumed, err)
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	ca := newCA(t)
	address := greet(t, ca.ServerConfig(time.Now, func(pki.Principal) error { return nil }))
	config := pki.ClientConfig(ca.Certificate(), always(nil))
	config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if _, err := meet(address, config); err == nil {
		t.Error("the server spoke TLS 1.2")
	}

	old := ca.ServerConfig(time.Now, func(pki.Principal) error { return nil })
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if _, err := meet(greet(t, old), pki.ClientConfig(ca.Certificate(), always(nil))); err == nil {
		t.Error("the client spoke TLS 1.2")
	}
}

func TestClientsRefuseWhoIsNoControlPlane(t *testing.T) {
	ca, foreign := newCA(t), newCA(t)
	// An agent's certificate with a server in front of it.
	impostor := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{*certify(t, ca, agent, time.Now())}}
	honest := greet(t, ca.ServerConfig(time.Now, func(pki.Principal) error { return nil }))
	tests := map[string]struct {
		address string
		config  *tls.Config
		in      bool
	}{
		"the control plane":         {honest, pki.ClientConfig(ca.Certificate(), always(nil)), true},
		"a foreign CA":              {honest, pki.ClientConfig(foreign.Certificate(), always(nil)), false},
		"an agent":                  {greet(t, impostor), pki.ClientConfig(ca.Certificate(), always(nil)), false},
		"enrolling":                 {honest, pki.EnrollConfig(ca.Fingerprint()), true},
		"enrolling elsewhere":       {honest, pki.EnrollConfig(foreign.Fingerprint()), false},
		"enrolling without a print": {honest, pki.EnrollConfig(""), false},
		"enrolling with an agent":   {greet(t, impostor), pki.EnrollConfig(ca.Fingerprint()), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := meet(test.address, test.config)
			if (err == nil) != test.in {
				t.Errorf("accepted: %v, want %v (%v)", err == nil, test.in, err)
			}
			if err != nil && !errors.Is(err, pki.ErrWrongServer) {
				t.Errorf("%v is no ErrWrongServer", err)
			}
		})
	}
}

func TestTheFingerprintOfALeafIsNoCA(t *testing.T) {
	ca := newCA(t)
	config := ca.ServerConfig(time.Now, func(pki.Principal) error { return nil })
	cert, err := config.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	// Pinning the leaf by mistake still verifies that leaf; an agent's leaf must not do.
	other := certify(t, ca, agent, time.Now())
	config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return &tls.Certificate{Certificate: append(other.Certificate, cert.Certificate[0]), PrivateKey: other.PrivateKey}, nil
	}
	if _, err := meet(greet(t, config), pki.EnrollConfig(pki.Fingerprint(other.Leaf))); !errors.Is(err, pki.ErrWrongServer) {
		t.Errorf("an agent's leaf was taken for the control plane: %v", err)
	}
}

func TestServerCertificateRenewsItself(t *testing.T) {
	ca := newCA(t)
	now := time.Now()
	config := ca.ServerConfig(func() time.Time { return now }, nil)
	serial := func() string {
		t.Helper()
		cert, err := config.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		if now.Before(cert.Leaf.NotBefore) || now.After(cert.Leaf.NotAfter) {
			t.Errorf("at %v it shows one of %v to %v", now, cert.Leaf.NotBefore, cert.Leaf.NotAfter)
		}
		return cert.Leaf.SerialNumber.Text(16)
	}
	first := serial()
	now = now.Add(15 * time.Hour)
	if serial() != first {
		t.Error("renewed before two thirds of its life")
	}
	now = now.Add(2 * time.Hour)
	second := serial()
	if second == first {
		t.Error("not renewed at two thirds of its life")
	}
	now = now.Add(-20 * time.Hour)
	if serial() == second {
		t.Error("not made again for a clock that was set back")
	}
}

func TestSkewedClientsAreServed(t *testing.T) {
	ca := newCA(t)
	// The control plane's clock is ten minutes ahead of this machine's.
	ahead := func() time.Time { return time.Now().Add(10 * time.Minute) }
	address := greet(t, ca.ServerConfig(ahead, func(pki.Principal) error { return nil }))
	cert := certify(t, ca, anna, ahead())
	if _, err := meet(address, pki.ClientConfig(ca.Certificate(), always(cert))); err != nil {
		t.Error(err)
	}
}

func TestAddresses(t *testing.T) {
	for _, good := range []string{"localhost:7443", "127.0.0.1:1", "[::1]:65535", "a.b-c.example:7443"} {
		if err := pki.ValidAddress(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "localhost", ":7443", "h:0", "h:65536", "h:http", "a b:1", "h/x:1", "\x1b[2J:1", "::1:7443"} {
		if err := pki.ValidAddress(bad); err == nil || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("ValidAddress(%q): %v", bad, err)
		}
	}
}
