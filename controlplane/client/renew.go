package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/internal/pause"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

const (
	// The clock is looked at this often, as it may be set, and so are the CAs.
	longestRenewWait = trustLife
	// A renewal that failed is tried again after a tenth of the time that is left,
	// within these.
	shortestRetry = time.Second
	longestRetry  = 5 * time.Minute
)

// RenewIfDue replaces key and certificate if two thirds of the certificate's life are over, or the
// control plane has another CA by now, and reports whether it did; what CAs there are is asked once an
// hour. The old certificate stays valid, so a lost reply locks nobody out. Of several processes one
// renews; the others go on with what they have, or take over what they find renewed.
func (i *Identity) RenewIfDue(ctx context.Context, conn grpc.ClientConnInterface, now time.Time) (bool, error) {
	return i.renewIfDue(ctx, conn, now, i.trustDue(now))
}

func (i *Identity) renewIfDue(ctx context.Context, conn grpc.ClientConnInterface, now time.Time, trustDue bool) (bool, error) {
	if !trustDue && now.Before(i.RenewAt()) {
		return false, nil
	}
	unlock, err := lock(i.dir)
	if errors.Is(err, errLocked) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	renewed, err := i.renewLocked(ctx, conn, now, trustDue)
	return renewed, errors.Join(err, unlock())
}

func (i *Identity) renewLocked(ctx context.Context, conn grpc.ClientConnInterface, now time.Time, trustDue bool) (bool, error) {
	stored, err := readFiles(i.dir)
	if err != nil {
		return false, err
	}
	i.trusted.Store(&stored.trusted)
	if stored.cert.Leaf.NotAfter.After(i.NotAfter()) {
		i.cert.Store(stored.cert)
	}
	issuing := ""
	if trustDue {
		issuing, err = i.syncTrust(ctx, conn, now)
	}
	moved := issuing != "" && issuing != i.issuer()
	if now.Before(i.RenewAt()) && !moved {
		return false, err
	}
	if replaceErr := i.replace(ctx, conn); replaceErr != nil {
		return false, errors.Join(err, replaceErr)
	}
	if moved { // now it does not need the older CA any longer, and the control plane should know
		_, err = i.syncTrust(ctx, conn, now)
	}
	return true, err
}

// replace gets a certificate over a new key and keeps both.
func (i *Identity) replace(ctx context.Context, conn grpc.ClientConnInterface) error {
	key, err := pki.NewKey()
	if err != nil {
		return err
	}
	csr, err := pki.NewCSR(key)
	if err != nil {
		return err
	}
	response, err := pgharborv1.NewIdentityServiceClient(conn).RenewCertificate(ctx,
		&pgharborv1.RenewCertificateRequest{Csr: csr})
	if err != nil {
		return fmt.Errorf("renew the certificate: %w", err)
	}
	chain := response.GetCertificates()
	if len(chain) == 0 {
		return errors.New("renew the certificate: the control plane sent none")
	}
	leaf, principal, err := verifyIssued(chain, key, i.Trusted())
	if err != nil {
		return fmt.Errorf("renew the certificate: %w", err)
	}
	if principal != i.principal {
		return fmt.Errorf("renew the certificate: it came for %s", principal)
	}
	if err := writeKeyPair(i.dir, key, chain); err != nil {
		return err
	}
	i.cert.Store(&tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: leaf})
	return nil
}

// KeepRenewed looks at the control plane's CAs at once and every hour, and renews
// whenever it is due, until ctx ends. Failures are logged and tried again, ever
// sooner as the end comes near.
func (i *Identity) KeepRenewed(ctx context.Context, conn grpc.ClientConnInterface, log *slog.Logger, now func() time.Time) {
	for wait := time.Duration(0); ; {
		if !pause.For(ctx, wait) {
			return
		}
		renewed, err := i.renewIfDue(ctx, conn, now(), true)
		if err != nil && ctx.Err() == nil {
			log.Warn("certificate not renewed", "error", err, "ends", i.NotAfter())
		}
		if renewed {
			log.Info("certificate renewed", "ends", i.NotAfter())
		}
		wait = i.renewWait(now(), err != nil)
	}
}

// renewWait has jitter, so that a fleet that enrolled together does not renew
// together.
func (i *Identity) renewWait(now time.Time, failed bool) time.Duration {
	wait := max(i.RenewAt().Sub(now), shortestRetry)
	if failed {
		wait = min(max(i.NotAfter().Sub(now)/10, shortestRetry), longestRetry)
	}
	return jitter(min(wait, longestRenewWait))
}

// jitter adds up to a tenth.
func jitter(d time.Duration) time.Duration {
	return d + rand.N(d/10+1) //nolint:gosec // it only decides about a moment.
}
