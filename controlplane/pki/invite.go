package pki

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// ErrBadInvite is wrapped by every error of ParseInvite.
var ErrBadInvite = errors.New("this is not a whole invite")

const (
	invitePrefix      = "pgharbor1_"
	fingerprintPrefix = "sha256:"
	inviteSumBytes    = 4
	maxInviteBytes    = 1024
	secretBytes       = 20
)

// Invite is all that an agent or a person needs to enrol, once. The secret is
// worth an identity: an invite is for the one who was invited, not for a log.
type Invite struct {
	// Address is host:port of the control plane.
	Address string
	// Fingerprint is that of its CA, as CA.Fingerprint writes it.
	Fingerprint string
	Secret      string
}

// String is the invite as one word that needs no quoting in a shell: "pgharbor1_"
// and base64url of the fingerprint's 32 bytes, the secret behind a byte with its
// length, the address, and the first 4 bytes of the SHA-256 of all that.
func (i Invite) String() string {
	fingerprint, _ := hex.DecodeString(strings.TrimPrefix(i.Fingerprint, fingerprintPrefix))
	body := append(fingerprint, byte(len(i.Secret)))
	body = append(body, i.Secret...)
	body = append(body, i.Address...)
	sum := sha256.Sum256(body)
	return invitePrefix + base64.RawURLEncoding.EncodeToString(append(body, sum[:inviteSumBytes]...))
}

// ParseInvite reads what String wrote, with whitespace around it. It tells a word that was mistyped
// or cut from one that the control plane would refuse.
func ParseInvite(word string) (Invite, error) {
	word = strings.TrimSpace(word)
	encoded, ok := strings.CutPrefix(word, invitePrefix)
	if !ok {
		return Invite{}, fmt.Errorf("%w: it does not start with %s", ErrBadInvite, invitePrefix)
	}
	if len(encoded) > maxInviteBytes {
		return Invite{}, fmt.Errorf("%w: it is too long", ErrBadInvite)
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(raw) < sha256.Size+1+inviteSumBytes {
		return Invite{}, fmt.Errorf("%w: it was mistyped or cut", ErrBadInvite)
	}
	body, given := raw[:len(raw)-inviteSumBytes], raw[len(raw)-inviteSumBytes:]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:inviteSumBytes], given) {
		return Invite{}, fmt.Errorf("%w: it was mistyped or cut", ErrBadInvite)
	}
	fingerprint, rest := body[:sha256.Size], body[sha256.Size:]
	length := int(rest[0])
	if length == 0 || len(rest) <= 1+length {
		return Invite{}, fmt.Errorf("%w: a part is missing", ErrBadInvite)
	}
	invite := Invite{
		Address:     string(rest[1+length:]),
		Fingerprint: fingerprintPrefix + hex.EncodeToString(fingerprint),
		Secret:      string(rest[1 : 1+length]),
	}
	if err := ValidAddress(invite.Address); err != nil {
		return Invite{}, fmt.Errorf("%w: %w", ErrBadInvite, err)
	}
	// The decoder passes over line breaks; only the one form is an invite.
	if invite.String() != word {
		return Invite{}, fmt.Errorf("%w: it was mistyped or cut", ErrBadInvite)
	}
	return invite, nil
}

// ValidAddress reports whether address is a host:port that can be dialled.
func ValidAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("the address %q is no host:port", address)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 || host == "" || strings.ContainsFunc(host, notInHost) {
		return fmt.Errorf("the address %q is no host:port", address)
	}
	return nil
}

func notInHost(r rune) bool {
	return r <= ' ' || r > '~' || strings.ContainsRune(`/\@?#"'`, r)
}

// NewSecret makes the secret of an invite, 160 bits. It panics if random fails, which crypto/rand
// never does.
func NewSecret(random io.Reader) string {
	secret := make([]byte, secretBytes)
	if _, err := io.ReadFull(random, secret); err != nil {
		panic("pki: no randomness: " + err.Error())
	}
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret))
}

// HashSecret is the form in which the control plane keeps a secret: hexadecimal
// SHA-256. A secret of 160 random bits needs no slower hash.
func HashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
