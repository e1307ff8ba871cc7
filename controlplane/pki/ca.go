package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/pgharbor/pgharbor/internal/disk"
)

const (
	caName     = "ca"
	keySuffix  = ".key"
	certSuffix = ".crt"
	caYears    = 10

	// clockSkew is how far a certificate is dated back, so that a peer whose
	// clock is behind can use a new one at once.
	clockSkew = time.Hour
)

// CA is the fleet's certificate authority. It is safe for concurrent use.
type CA struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// CreateCA makes a CA whose key is ECDSA P-256 and that lasts ten years, and writes it to dir (made
// when missing, 0700): ca.key (PKCS#8 PEM, 0600) and ca.crt. It fails with an error that wraps
// fs.ErrExist, and changes nothing, if there is a CA already.
func CreateCA(dir string, now time.Time) (*CA, error) { return createCA(dir, caName, now) }

func createCA(dir, name string, now time.Time) (*CA, error) {
	key, err := NewKey()
	if err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "pgharbor CA"},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.AddDate(caYears, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the CA certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read back the CA certificate: %w", err)
	}
	if err := writeCA(dir, name, key, der); err != nil {
		return nil, err
	}
	return &CA{cert: cert, key: key}, nil
}

// LoadCA reads the CA that CreateCA wrote to dir.
func LoadCA(dir string) (*CA, error) { return loadCA(dir, caName) }

func loadCA(dir, name string) (*CA, error) {
	certFile, keyFile := filepath.Join(dir, name+certSuffix), filepath.Join(dir, name+keySuffix)
	certPEM, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("read the CA certificate: %w", err)
	}
	keyPEM, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("read the CA key: %w", err)
	}
	cert, err := ParseCertificate(certPEM)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", certFile, err)
	}
	key, err := ParseKey(keyPEM)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyFile, err)
	}
	if public, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok || !public.Equal(key.Public()) {
		return nil, fmt.Errorf("%s and %s do not belong together", keyFile, certFile)
	}
	return &CA{cert: cert, key: key}, nil
}

// Certificate is the CA's own certificate, which every client pins.
func (ca *CA) Certificate() *x509.Certificate { return ca.cert }

// Fingerprint names the CA in an invite.
func (ca *CA) Fingerprint() string { return Fingerprint(ca.cert) }

// Fingerprint is "sha256:" and the hexadecimal SHA-256 of the certificate's DER.
func Fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return fingerprintPrefix + hex.EncodeToString(sum[:])
}

// ValidFingerprint reports whether a text has the form that Fingerprint writes.
func ValidFingerprint(text string) bool {
	digits, ok := strings.CutPrefix(text, fingerprintPrefix)
	return ok && len(digits) == hex.EncodedLen(sha256.Size) && strings.Trim(digits, "0123456789abcdef") == ""
}

// NewKey makes a key of the only kind that pgharbor itself makes: ECDSA P-256.
func NewKey() (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return key, nil
}

func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	// RFC 5280 wants it positive.
	return serial.Add(serial, big.NewInt(1)), nil
}

// writeCA never overwrites: the key is created exclusively and first, so of two
// that try at once one fails. The certificate appears whole, as the sign that all
// is there.
func writeCA(dir, name string, key crypto.Signer, certDER []byte) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the CA's folder: %w", err)
	}
	certFile, keyFile := filepath.Join(dir, name+certSuffix), filepath.Join(dir, name+keySuffix)
	if _, err := os.Lstat(certFile); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s: %w", certFile, errors.Join(err, os.ErrExist))
	}
	keyPEM, err := EncodeKey(key)
	if err != nil {
		return err
	}
	if err := writeNew(keyFile, keyPEM, 0o600); err != nil {
		return err
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: certDER})
	if err := renameio.WriteFile(certFile, certPEM, 0o644, renameio.WithTempDir(dir)); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", certFile, err), os.Remove(keyFile))
	}
	return disk.SyncFolder(dir)
}

func writeNew(path string, content []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(path))
	}
	return nil
}
