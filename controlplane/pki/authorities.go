package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pgharbor/pgharbor/internal/disk"
)

// Authorities are the CAs of a fleet, as they are in a folder: one, and while a rotation lasts an
// older and a newer one. Both are trusted then. The older one goes on certifying the control plane
// itself, because that is the one that every peer pins, and the newer one certifies those who have
// said that they trust it.
//
// Another process may rotate or retire a CA meanwhile; the next handshake and the
// next certificate go by what the folder holds then. It is safe for concurrent
// use.
type Authorities struct {
	dir string

	mu    sync.Mutex
	names []string // of the files that cas was read from
	cas   []*CA    // the oldest first; never empty
}

// LoadAuthorities reads the CAs that CreateCA and RotateCA wrote to dir.
func LoadAuthorities(dir string) (*Authorities, error) {
	a := &Authorities{dir: dir}
	_, err := a.current()
	return a, err
}

// current returns the CAs of this moment, the oldest first. A folder that can't be read any longer
// is no reason to refuse everybody: what was read last stays valid.
func (a *Authorities) current() ([]*CA, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	names, err := caNames(a.dir)
	if err == nil && !slices.Equal(names, a.names) {
		var cas []*CA
		if cas, err = loadCAs(a.dir, names); err == nil {
			a.names, a.cas = names, cas
		}
	}
	if a.cas == nil {
		return nil, err
	}
	return a.cas, nil
}

// all returns the CAs of this moment; LoadAuthorities has seen to it that there is
// one.
func (a *Authorities) all() []*CA {
	cas, _ := a.current()
	return cas
}

// serving is the CA of the control plane's own certificate, which invites name.
func (a *Authorities) serving() *CA { return a.all()[0] }

// Fingerprint names in an invite the CA that the control plane's certificate is of.
func (a *Authorities) Fingerprint() string { return a.serving().Fingerprint() }

// Certificates returns the certificates of all CAs that are trusted; the first is
// that of the one that certifies agents and people from now on.
func (a *Authorities) Certificates() []*x509.Certificate {
	var certs []*x509.Certificate
	for _, ca := range a.all() {
		certs = append(certs, ca.cert)
	}
	slices.Reverse(certs)
	return certs
}

// Sign is CA.Sign by the newest CA among the fingerprints that the holder trusts, or by the oldest
// if it has named none: a certificate of a CA that its holder does not know would be refused by the
// holder.
func (a *Authorities) Sign(csrDER []byte, p Principal, ttl time.Duration, now time.Time, trusted ...string) (Issued, error) {
	cas := a.all()
	for _, ca := range slices.Backward(cas) {
		if slices.Contains(trusted, ca.Fingerprint()) {
			return ca.Sign(csrDER, p, ttl, now)
		}
	}
	return cas[0].Sign(csrDER, p, ttl, now)
}

// ServerConfig is CA.ServerConfig for as many CAs as there are at each handshake.
func (a *Authorities) ServerConfig(now func() time.Time, check func(Principal) error) *tls.Config {
	var mu sync.Mutex
	var of []*CA
	var config *tls.Config
	outer := serverConfig(a.all(), now, check)
	outer.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		cas := a.all()
		mu.Lock()
		defer mu.Unlock()
		if !slices.Equal(of, cas) {
			of, config = cas, serverConfig(cas, now, check)
		}
		return config, nil
	}
	return outer
}

// RotateCA makes the next CA in dir, in addition to the current one. It fails with ErrRotating
// while an earlier rotation is not over.
func RotateCA(dir string, now time.Time) (*CA, error) {
	names, err := caNames(dir)
	if err != nil {
		return nil, err
	}
	if len(names) > 1 {
		return nil, ErrRotating
	}
	if _, err := loadCAs(dir, names); err != nil {
		return nil, err
	}
	return createCA(dir, nextName(dir, names[0]), now)
}

// ErrRotating reports that there are two CAs, and the older one has to be retired first.
var ErrRotating = errors.New("a rotation of the CA is not over")

// ErrNotRotating reports that there is one CA, and nothing to retire.
var ErrNotRotating = errors.New("there is one CA only")

// RetireCA removes all CAs but the newest from dir, their keys too. Anyone who trusts only an older
// one can't come back after that.
func RetireCA(dir string) error {
	names, err := caNames(dir)
	if err != nil {
		return err
	}
	if len(names) < 2 {
		return ErrNotRotating
	}
	if _, err := loadCAs(dir, names); err != nil {
		return err
	}
	for _, name := range names[:len(names)-1] {
		// Without its certificate a key is no CA any more.
		for _, suffix := range []string{certSuffix, keySuffix} {
			if err := os.Remove(filepath.Join(dir, name+suffix)); err != nil {
				return fmt.Errorf("retire the CA: %w", err)
			}
		}
	}
	return disk.SyncFolder(dir)
}

// caNames returns the names of the CAs in dir without their suffix, the oldest
// first: "ca", then "ca-2", "ca-3" and so on. One is there when its certificate is.
func caNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("look for the CA: %w", err)
	}
	var names []string
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), certSuffix)
		if ok && numberOf(name) > 0 {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s holds no CA: %w", dir, os.ErrNotExist)
	}
	slices.SortFunc(names, func(a, b string) int { return numberOf(a) - numberOf(b) })
	return names, nil
}

// numberOf is 1 for "ca", n for "ca-n", and 0 for what is no name of a CA.
func numberOf(name string) int {
	if name == caName {
		return 1
	}
	digits, ok := strings.CutPrefix(name, caName+"-")
	number, err := strconv.Atoi(digits)
	if !ok || err != nil || number < 2 || strconv.Itoa(number) != digits {
		return 0
	}
	return number
}

// nextName is free: a rotation that was cut off may have left a key of its own.
func nextName(dir, name string) string {
	for number := numberOf(name) + 1; ; number++ {
		next := caName + "-" + strconv.Itoa(number)
		if _, err := os.Lstat(filepath.Join(dir, next+keySuffix)); errors.Is(err, os.ErrNotExist) {
			return next
		}
	}
}

func loadCAs(dir string, names []string) ([]*CA, error) {
	var cas []*CA
	for _, name := range names {
		ca, err := loadCA(dir, name)
		if err != nil {
			return nil, err
		}
		cas = append(cas, ca)
	}
	return cas, nil
}
