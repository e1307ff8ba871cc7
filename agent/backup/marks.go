package backup

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/signing"
)

// UnknownOrigin says where a database comes from that was restored sandboxed: from a file of which nothing proved who made it.
// Its backups carry it, so that what was loaded sandboxed once is loaded sandboxed for ever, unless a person on the host says
// that they know it.
type UnknownOrigin struct {
	Origin OriginKind `json:"origin"` // of the file
	// BackupID and Instance are what the manifest of the file said, where it had one.
	BackupID   string    `json:"backup_id,omitempty"`
	Instance   string    `json:"instance,omitempty"`
	RestoredAt time.Time `json:"restored_at,omitzero"`
}

// ErrOwnedBySandbox reports that a sandboxed role still owns something in a database.
var ErrOwnedBySandbox = errors.New("it belongs still to the role that it was restored as")

// ErrMarks reports that the state folder does not tell which databases were restored from files of unknown origin.
var ErrMarks = errors.New("which databases were restored from files of unknown origin can't be told")

// Marks are what is noted of the databases of an instance that were restored sandboxed.
type Marks struct {
	instance *postgres.Instance
	signer   *signing.Signer // whose folder has the notes; nil: the server alone has them
	clock    clock
}

// mark notes that a database was filled from a file of unknown origin, in the state folder and in the server: each holds
// where the other is lost. It is done before the database has its name.
func (k *Marks) mark(ctx context.Context, database string, origin OriginKind, m *Manifest, to listener) error {
	unknown := UnknownOrigin{Origin: origin, RestoredAt: k.clock().UTC()}
	if m != nil {
		unknown.BackupID, unknown.Instance = m.ID, m.Instance
	}
	content, err := json.Marshal(unknown)
	if err != nil {
		return err
	}
	names, server, err := k.instance.DatabaseNames(ctx)
	if err != nil {
		return err
	}
	if k.signer != nil {
		for oid, name := range names {
			if name == database {
				err = k.signer.Mark(server, oid, content, names)
			}
		}
		if err != nil {
			return err
		}
	}
	err = k.instance.MarkDatabase(ctx, database, string(cmp.Or(origin, OriginUnknown)))
	if errors.Is(err, postgres.ErrMarkRefused) {
		if k.signer == nil {
			to.warn("that nothing proves who made it is known by the owner of its objects alone: " + err.Error())
		}
		return nil
	}
	return err
}

// Of says where a database comes from that was restored sandboxed; nil for all others. Where the state folder can't
// tell, the database counts as one, and the error, which is ErrMarks, says why.
func (k *Marks) Of(ctx context.Context, database string) (*UnknownOrigin, error) {
	mark, err := k.instance.DatabaseMark(ctx, database, temporaryPrefix)
	if err != nil {
		return nil, err
	}
	var noted []byte
	if k.signer != nil {
		if noted, err = k.signer.Marked(mark.Server, mark.OID); err != nil {
			return &UnknownOrigin{Origin: OriginUnknown}, fmt.Errorf("%w: %w", ErrMarks, err)
		}
	}
	var unknown UnknownOrigin
	switch {
	case noted != nil:
		if err := json.Unmarshal(noted, &unknown); err != nil {
			return &UnknownOrigin{Origin: OriginUnknown}, fmt.Errorf("%w: %w", ErrMarks, err)
		}
	case mark.Origin != "" || mark.Owner != "":
		// Whoever owns the database may have set it to anything: that it is marked is all that is believed.
		unknown.Origin = OriginUnknown
	default:
		return nil, nil
	}
	return &unknown, nil
}

// Unmark says that a person on the host knows what is in a database that was restored sandboxed: its backups count as those
// of any other from now on. ErrOwnedBySandbox where its objects were not given to anybody else yet.
func (k *Marks) Unmark(ctx context.Context, database string) error {
	mark, err := k.instance.DatabaseMark(ctx, database, temporaryPrefix)
	if err != nil {
		return err
	}
	if mark.Owner != "" {
		return fmt.Errorf("%w, %s", ErrOwnedBySandbox, mark.Owner)
	}
	if mark.Origin != "" {
		if err := k.instance.UnmarkDatabase(ctx, database); err != nil {
			return err
		}
	}
	if k.signer == nil {
		return nil
	}
	return k.signer.Unmark(mark.Server, mark.OID)
}
