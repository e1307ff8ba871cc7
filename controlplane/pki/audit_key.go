package pki

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/pgharbor/pgharbor/internal/disk"
	"github.com/pgharbor/pgharbor/internal/random"
)

// KindAuditLog is the principal of the key that signs checkpoints of the audit log. It is nobody's
// client and serves nothing.
const KindAuditLog Kind = "trail"

const auditKeyFile = "trail.key"

// AuditKey returns the key in the folder (trail.key, PKCS#8 PEM, 0600) that signs checkpoints of
// the audit log, made if there is none, and what returns a certificate for it, DER, of the CA that
// everybody trusts at that moment. The key lasts as long as the audit log does; its certificate is
// made again at each start and for each CA.
func (a *Authorities) AuditKey(now func() time.Time) (crypto.Signer, func() ([]byte, error), error) {
	key, err := auditKey(a.dir)
	if err != nil {
		return nil, nil, fmt.Errorf("the key that signs the audit log: %w", err)
	}
	var mu sync.Mutex
	var of *CA
	var certificate []byte
	return key, func() ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		if ca := a.serving(); ca != of {
			der, err := ca.certifyAuditLog(key, now())
			if err != nil {
				return nil, err
			}
			of, certificate = ca, der
		}
		return certificate, nil
	}, nil
}

func (ca *CA) certifyAuditLog(key crypto.Signer, now time.Time) ([]byte, error) {
	p := Principal{Kind: KindAuditLog, Name: "trail", Identity: random.ID()}
	issued, err := ca.issue(key.Public(), p, x509.ExtKeyUsageTimeStamping, ca.cert.NotAfter.Sub(now), now)
	if err != nil {
		return nil, err
	}
	return issued.Chain[0], nil
}

func auditKey(dir string) (crypto.Signer, error) {
	path := filepath.Join(dir, auditKeyFile)
	content, err := os.ReadFile(path)
	if err == nil {
		return ParseKey(content)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key, err := NewKey()
	if err != nil {
		return nil, err
	}
	if content, err = EncodeKey(key); err != nil {
		return nil, err
	}
	if err := writeNew(path, content, 0o600); err != nil {
		return nil, err
	}
	return key, disk.SyncFolder(dir)
}

// VerifyAuditCertificate returns the key of a certificate that one of these CAs issued to sign
// checkpoints of the audit log, and that held at that moment.
func VerifyAuditCertificate(der []byte, at time.Time, authorities ...*x509.Certificate) (crypto.PublicKey, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read the certificate of the audit log's key: %w", err)
	}
	roots := x509.NewCertPool()
	for _, ca := range authorities {
		roots.AddCert(ca)
	}
	_, err = cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}, CurrentTime: at})
	if err != nil {
		return nil, fmt.Errorf("the certificate of the audit log's key does not hold: %w", err)
	}
	p, err := FromCertificate(cert)
	if err != nil {
		return nil, err
	}
	if p.Kind != KindAuditLog {
		return nil, fmt.Errorf("%w: %s does not sign the audit log", ErrNoPrincipal, p)
	}
	return cert.PublicKey, nil
}
