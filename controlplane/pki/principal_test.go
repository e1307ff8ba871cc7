package pki_test

import (
	"crypto/x509"
	"net"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgharbor/pgharbor/controlplane/pki"
)

func TestValidNames(t *testing.T) {
	long := strings.Repeat("a", 63)
	tests := []struct {
		name        string
		agent, user bool
	}{
		{"shop-db.eu_1", true, true},
		{"7", true, true},
		{long, true, true},
		{long + "a", false, false},
		{"Anna", false, true},
		{"anna@example.com", false, true},
		{"", false, false},
		{".hidden", false, false},
		{"-rf", false, false},
		{"..", false, false},
		{"a/b", false, false},
		{"a b", false, false},
		{"a\n", false, false},
		{"münchen", false, false},
	}
	for _, test := range tests {
		if got := pki.ValidName(test.name) == nil; got != test.agent {
			t.Errorf("ValidName(%q) = %v", test.name, got)
		}
		if got := pki.ValidUserName(test.name) == nil; got != test.user {
			t.Errorf("ValidUserName(%q) = %v", test.name, got)
		}
	}
}

func TestPrincipalSurvivesItsURI(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := pki.Principal{
			Kind:     rapid.SampledFrom([]pki.Kind{pki.KindAgent, pki.KindUser, pki.KindServer}).Draw(t, "kind"),
			Identity: rapid.StringMatching(`[a-z0-9][a-z0-9-]{0,63}`).Draw(t, "identity"),
		}
		form := `[a-z0-9][a-z0-9._-]{0,62}`
		if want.Kind == pki.KindUser {
			form = `[A-Za-z0-9][A-Za-z0-9._@-]{0,62}`
		}
		want.Name = rapid.StringMatching(form).Draw(t, "name")
		parsed, err := url.Parse(want.URI().String())
		if err != nil {
			t.Fatal(err)
		}
		got, err := pki.FromCertificate(&x509.Certificate{URIs: []*url.URL{parsed}})
		if err != nil || got != want {
			t.Fatalf("%v became %v, %v", want, got, err)
		}
	})
}

func TestFromCertificateWantsOneNameAlone(t *testing.T) {
	uri := anna.URI()
	tests := map[string]*x509.Certificate{
		"no URI":   {},
		"two URIs": {URIs: []*url.URL{uri, uri}},
		"a DNS":    {URIs: []*url.URL{uri}, DNSNames: []string{"localhost"}},
		"an IP":    {URIs: []*url.URL{uri}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}},
		"an email": {URIs: []*url.URL{uri}, EmailAddresses: []string{"anna@example.com"}},
	}
	for name, cert := range tests {
		if p, err := pki.FromCertificate(cert); err == nil {
			t.Errorf("with %s it is %v", name, p)
		}
	}
}

func FuzzFromCertificate(f *testing.F) {
	for _, seed := range []string{
		"pgharbor://user/anna/id1", "pgharbor://user/anna/id1/", "pgharbor://user//id1", "pgharbor:user/anna/id1",
		"PGHARBOR://user/anna/id1", "https://user/anna/id1", "pgharbor://USER/anna/id1", "pgharbor://user:x@user/anna/id1",
		"pgharbor://user/ann%61/id1", "pgharbor://user/anna/id1?x=y", "pgharbor://user/anna/id1#f", "pgharbor://user/a/b/id1",
		"pgharbor://user:443/anna/id1", "pgharbor://controlplane/c/id", "spiffe://user/anna/id1", "pgharbor://user/anna",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		parsed, err := url.Parse(uri)
		if err != nil {
			return
		}
		p, err := pki.FromCertificate(&x509.Certificate{URIs: []*url.URL{parsed}})
		if err != nil {
			return
		}
		if p.URI().String() != uri && parsed.String() != p.URI().String() {
			t.Errorf("%q was taken for %v", uri, p)
		}
		if p.Validate() != nil {
			t.Errorf("%q gave the invalid %v", uri, p)
		}
	})
}

func TestFromCertificateForms(t *testing.T) {
	refused := []string{
		"pgharbor://user/anna/id1/", "pgharbor://user//id1", "pgharbor:user/anna/id1", "https://user/anna/id1",
		"pgharbor://USER/anna/id1", "pgharbor://x@user/anna/id1", "pgharbor://user/ann%61/id1", "pgharbor://user/anna/id1?x=y",
		"pgharbor://user/anna/id1#f", "pgharbor://user/a/b/id1", "pgharbor://user:443/anna/id1", "pgharbor://user/anna",
		"pgharbor://root/anna/id1", "pgharbor://agent/Anna/id1",
	}
	for _, uri := range refused {
		parsed, err := url.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := pki.FromCertificate(&x509.Certificate{URIs: []*url.URL{parsed}}); err == nil {
			t.Errorf("%s was taken for %v", uri, p)
		}
	}
}
