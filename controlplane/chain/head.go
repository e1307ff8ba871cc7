package chain

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Head is where a trail ends: as every hash covers the one before it, a head
// stands for the whole trail up to it. The zero Head is that of an empty trail.
type Head struct {
	Sequence int64  `json:"sequence"`
	Hash     string `json:"hash"`
}

// String is "SEQUENCE:HASH", as ParseHead reads it.
func (h Head) String() string { return fmt.Sprintf("%d:%s", h.Sequence, h.Hash) }

var hexHash = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Valid reports whether the head can be that of a trail with entries.
func (h Head) Valid() bool { return h.Sequence > 0 && hexHash.MatchString(h.Hash) }

// ParseHead reads what String writes.
func ParseHead(text string) (Head, error) {
	sequence, hash, _ := strings.Cut(text, ":")
	number, err := strconv.ParseInt(sequence, 10, 64)
	if head := (Head{number, hash}); err == nil && head.Valid() {
		return head, nil
	}
	return Head{}, fmt.Errorf("%.80q is no head of a trail: it is SEQUENCE:HASH, with 64 hexadecimal digits", text)
}

// ErrSignature is wrapped where a head or a seal was not signed by whom it should be.
var ErrSignature = errors.New("not signed by the control plane")

// Signed is what the key of the trail has signed: a SignedHead, or a Seal.
type Signed interface {
	// SignedBy returns an error that wraps ErrSignature where the holder of the key
	// has not signed it. Whose key it is, is the caller's to know.
	SignedBy(key crypto.PublicKey) error
	// Certified returns the certificate of the key that signed, and when it did.
	Certified() (certificate []byte, at time.Time)
}

// SignedHead is a head that the control plane cannot take back.
type SignedHead struct {
	Head
	At        time.Time `json:"at"`
	Signature []byte    `json:"signature"` // ECDSA, ASN.1
	// Certificate is that of the key that signed, DER.
	Certificate []byte `json:"certificate"`
}

// Sign signs a head with an ECDSA key whose certificate is given.
func Sign(head Head, at time.Time, key crypto.Signer, certificate []byte) (SignedHead, error) {
	signed := SignedHead{Head: head, At: at.UTC().Truncate(time.Microsecond), Certificate: certificate}
	digest := signed.digest()
	var err error
	if signed.Signature, err = key.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
		return SignedHead{}, fmt.Errorf("sign the head of the trail: %w", err)
	}
	return signed, nil
}

// SignedBy returns nil where the holder of the key has signed the head, and an
// error that wraps ErrSignature otherwise. Whose key it is, is the caller's to know.
func (h SignedHead) SignedBy(key crypto.PublicKey) error {
	if !h.Valid() || !signedBy(key, h.digest(), h.Signature) {
		return fmt.Errorf("the head of the trail is %w", ErrSignature)
	}
	return nil
}

// Certified returns the certificate of the key that signed, and when it did.
func (h SignedHead) Certified() (certificate []byte, at time.Time) { return h.Certificate, h.At }

func signedBy(key crypto.PublicKey, digest [sha256.Size]byte, signature []byte) bool {
	public, ok := key.(*ecdsa.PublicKey)
	return ok && ecdsa.VerifyASN1(public, digest[:], signature)
}

// digest is what is signed: SHA-256 of a text that nothing else of pgharbor has
// the form of, a seal neither.
func (h SignedHead) digest() [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "pgharbor trail head\n%d\n%s\n%d\n", h.Sequence, h.Hash, h.At.UnixMicro()))
}
