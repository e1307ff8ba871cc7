package backup

import (
	"crypto/ed25519"
	"fmt"

	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/agent/signing"
)

// Origins knows by whose word a file counts as made by an agent of ours.
type Origins struct {
	keys         seal.Ring
	signer       *signing.Signer // nil: no signature counts
	instanceName string
	trusts       func(instance string) bool // as Config.Trusts
}

// Origin is who made a file, as far as that is proven.
type Origin struct {
	Kind  OriginKind
	KeyID string // of the key that signed, where there is a signature
}

// OriginKind is how the maker of a file is known.
type OriginKind string

// Of a file that is Proven, it is certain that an agent of ours made it. All others are loaded as what they may be: a
// script that somebody else wrote.
const (
	OriginSigned        OriginKind = "signed"     // by this agent's key, or by one of its trusted keys
	OriginPassphrase    OriginKind = "passphrase" // by who had the passphrase, by the passphrase MAC of a manifest of this instance or of one that is trusted
	OriginGrandfathered OriginKind = "noted"      // it stood here when the agent made its key
	OriginRestored      OriginKind = "restored"   // by an agent of ours, of a database that was restored from a file of unknown origin
	OriginShared        OriginKind = "shared"     // by who had the passphrase, for an instance that nobody here has named: it may be any host that has it
	OriginAttested      OriginKind = "vouched"    // signed by a key that the control plane calls another agent's
	OriginFolder        OriginKind = "folder"     // by whoever may write to the backup folder; the old script, as a rule
	OriginUnknown       OriginKind = "unknown"
)

// Proven says that the file may be loaded with all the rights that the agent has.
func (o Origin) Proven() bool {
	return o.Kind == OriginSigned || o.Kind == OriginPassphrase || o.Kind == OriginGrandfathered
}

// Ours says that the file is one of this host's own, although its content may be anybody's: nobody from afar has put it here.
func (o Origin) Ours() bool { return o.Proven() || o.Kind == OriginRestored || o.Kind == OriginFolder }

// Of finds out who made a manifest, given as it is stored. Attested is a key that the control plane calls the maker's;
// nil where it did not say. ErrForged and ErrUnsigned say that the manifest is not what it makes believe.
func (o *Origins) Of(stored []byte, m Manifest, attested ed25519.PublicKey) (Origin, error) {
	origin, err := o.maker(stored, m, attested)
	if err == nil && origin.Proven() && m.UnknownOrigin != nil {
		origin.Kind = OriginRestored
	}
	return origin, err
}

// maker finds out who made a manifest, whatever it is of.
func (o *Origins) maker(stored []byte, m Manifest, attested ed25519.PublicKey) (Origin, error) {
	origin := Origin{Kind: OriginUnknown}
	if m.Signature != nil {
		origin.KeyID = m.Signature.KeyID
		key, err := o.keyOf(m.Signature.KeyID)
		if err != nil {
			return origin, err
		}
		kind := OriginSigned
		if key == nil && attested != nil {
			if signing.KeyID(attested) != m.Signature.KeyID {
				return origin, fmt.Errorf("%w: it is signed by the key %s, and its agent's key is %s", ErrForged, m.Signature.KeyID, signing.KeyID(attested))
			}
			key, kind = attested, OriginAttested
		}
		if key != nil {
			if !m.signedBy(key, stored) {
				return origin, fmt.Errorf("%w: its signature by the key %s does not hold", ErrForged, m.Signature.KeyID)
			}
			origin.Kind = kind
		}
	}
	// What the passphrase proves, no control plane and no thief of a folder can say; but every host that has the passphrase can.
	if origin.Kind != OriginSigned && m.hasMACOf(o.keys, stored) {
		origin.Kind = OriginShared
		if m.Instance == o.instanceName || o.trusts != nil && o.trusts(m.Instance) {
			origin.Kind = OriginPassphrase
		}
	}
	if m.Trigger == TriggerImported {
		return o.imported(stored, origin)
	}
	if m.Signature == nil && origin.Kind == OriginUnknown {
		return o.unsigned(stored, m, origin)
	}
	return origin, nil
}

// Within says more of a file whose origin is not proven that stands in the backup folder; private means that nobody but this
// user and root can have put it there.
func (o Origin) Within(private bool) Origin {
	if (o.Kind == OriginUnknown || o.Kind == OriginShared) && private {
		o.Kind = OriginFolder
	}
	return o
}

// CheckPassphrase reports whether a passphrase at hand opens what a manifest is of, as far as the manifest can tell:
// ErrNoPassphrase or ErrWrongPassphrase where none does.
func (o *Origins) CheckPassphrase(stored []byte, m Manifest) error {
	switch {
	case m.Encryption.Scheme == seal.SchemeNone:
		return nil
	case len(o.keys.Openers(m.Encryption.Scheme)) == 0:
		return ErrNoPassphrase
	case m.PassphraseMAC != nil && !m.hasMACOf(o.keys, stored):
		return ErrWrongPassphrase
	}
	return nil
}

func (o *Origins) keyOf(id string) (ed25519.PublicKey, error) {
	if o.signer == nil {
		return nil, nil
	}
	return o.signer.Known(id)
}

// unsigned evaluates a manifest without a signature and without a passphrase MAC. One that claims to be this agent's own, and did not
// stand here when the agent began to sign, has lost its signature to somebody.
func (o *Origins) unsigned(stored []byte, m Manifest, origin Origin) (Origin, error) {
	if o.signer == nil || !o.signer.Exists() {
		return origin, nil
	}
	grandfathered, err := o.signer.Grandfathered()
	switch {
	case err != nil:
		return origin, err
	case grandfathered[signing.Hash(stored)]:
		origin.Kind = OriginGrandfathered
	case m.Instance == o.instanceName:
		return origin, fmt.Errorf("%w: %s", ErrUnsigned, m.Filename)
	}
	return origin, nil
}

// imported evaluates the manifest of a file that somebody else wrote: certified is where it was found, and not by whom it was
// written. One that nobody here knows to have certified it says nothing.
func (o *Origins) imported(stored []byte, origin Origin) (Origin, error) {
	certified := origin.Proven()
	if origin.Kind == OriginUnknown && o.signer != nil && o.signer.Exists() {
		grandfathered, err := o.signer.Grandfathered()
		if err != nil {
			return origin, err
		}
		certified = grandfathered[signing.Hash(stored)]
	}
	if certified {
		origin.Kind = OriginFolder
	}
	return origin, nil
}

// witness returns a look at stored manifests that is quick enough for all of them: those that bear this agent's key, and
// those that bear none and should.
func (o *Origins) witness() func(m Manifest, stored []byte) error {
	if o.signer == nil || !o.signer.Exists() {
		return func(Manifest, []byte) error { return nil }
	}
	key, err := o.signer.PublicKey()
	grandfathered, chainErr := o.signer.Grandfathered()
	if err != nil || chainErr != nil {
		return func(Manifest, []byte) error { return nil } // what can't be read is told where it is needed
	}
	return func(m Manifest, stored []byte) error {
		switch {
		case m.Signature == nil && m.PassphraseMAC == nil && m.Trigger != TriggerImported && m.Instance == o.instanceName && !grandfathered[signing.Hash(stored)]:
			return ErrUnsigned
		case m.Signature != nil && m.Signature.KeyID == signing.KeyID(key) && !m.signedBy(key, stored):
			return fmt.Errorf("%w: its signature does not hold", ErrForged)
		}
		return nil
	}
}
