package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/controlplane/pki"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

const (
	// The clock is looked at this often, as it may be set.
	longestRenewWait = time.Hour
	// A renewal that failed is tried again after a tenth of the time that is left,
	// within these.
	shortestRetry = time.Second
	longestRetry  = time.Hour
)

// RenewIfDue replaces key and certificate where two thirds of the certificate's
// life are over, and says whether it did. The old certificate stays valid, so a
// lost reply locks nobody out. Of several processes one renews; the others go on
// with what they have, or take over what they find renewed.
func (i *Identity) RenewIfDue(ctx context.Context, conn grpc.ClientConnInterface, now time.Time) (bool, error) {
	if now.Before(i.RenewAt()) {
		return false, nil
	}
	unlock, err := lock(i.dir)
	if errors.Is(err, errLocked) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	renewed, err := i.renewLocked(ctx, conn, now)
	return renewed, errors.Join(err, unlock())
}

func (i *Identity) renewLocked(ctx context.Context, conn grpc.ClientConnInterface, now time.Time) (bool, error) {
	stored, err := readKeyPair(i.dir)
	if err != nil {
		return false, err
	}
	if stored.Leaf.NotAfter.After(i.NotAfter()) {
		i.cert.Store(stored)
	}
	if now.Before(i.RenewAt()) {
		return false, nil
	}
	key, err := pki.NewKey()
	if err != nil {
		return false, err
	}
	csr, err := pki.NewCSR(key)
	if err != nil {
		return false, err
	}
	response, err := pgharborv1.NewIdentityServiceClient(conn).RenewCertificate(ctx,
		&pgharborv1.RenewCertificateRequest{Csr: csr})
	if err != nil {
		return false, fmt.Errorf("renew the certificate: %w", err)
	}
	chain := response.GetCertificates()
	if len(chain) == 0 {
		return false, errors.New("renew the certificate: the control plane sent none")
	}
	leaf, principal, err := verifyIssued(chain, key, []*x509.Certificate{i.ca})
	if err != nil {
		return false, fmt.Errorf("renew the certificate: %w", err)
	}
	if principal != i.principal {
		return false, fmt.Errorf("renew the certificate: it came for %s", principal)
	}
	if err := writeKeyPair(i.dir, key, chain); err != nil {
		return false, err
	}
	i.cert.Store(&tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: leaf})
	return true, nil
}

// KeepRenewed renews whenever it is due, until ctx ends. Failures are logged and
// tried again, ever sooner as the end comes near.
func (i *Identity) KeepRenewed(ctx context.Context, conn grpc.ClientConnInterface, log *slog.Logger, now func() time.Time) {
	for tried := false; ; tried = true {
		timer := time.NewTimer(i.renewWait(now(), tried))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		renewed, err := i.RenewIfDue(ctx, conn, now())
		if err != nil && ctx.Err() == nil {
			log.Warn("certificate not renewed", "error", err, "ends", i.NotAfter())
		}
		if renewed {
			log.Info("certificate renewed", "ends", i.NotAfter())
		}
	}
}

// renewWait has jitter, so that a fleet that enrolled together does not renew
// together.
func (i *Identity) renewWait(now time.Time, tried bool) time.Duration {
	wait := max(i.RenewAt().Sub(now), 0)
	if wait == 0 && tried {
		wait = min(max(i.NotAfter().Sub(now)/10, shortestRetry), longestRetry)
	}
	return jitter(min(wait, longestRenewWait))
}

// jitter adds up to a tenth.
func jitter(d time.Duration) time.Duration {
	return d + rand.N(d/10+1) //nolint:gosec // it decides about nothing but a moment.
}
