package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/agent/store"
	"github.com/pgharbor/pgharbor/internal/random"
	"github.com/pgharbor/pgharbor/internal/subject"
)

// errWritten reports that a process still writes to a file.
var errWritten = errors.New("it is still being written")

// Importer makes backups of files that the script of before left in the store.
type Importer struct {
	store        Store
	files        *fileReader
	certifier    *certifier
	instanceName string
	location     *time.Location // of the time in file names
	clock        clock
}

// Import writes manifests for the files that the runbook's script left directly in the store's folder. They stay where
// they are; their time is that of their name, in the zone of the agent, and their database is defaultDatabase. A file that
// is still being written is left for the next time, as all are while another process is at it. An error names the files that could not be read; the list holds
// those that were imported.
func (i *Importer) Import(ctx context.Context, defaultDatabase string) ([]Manifest, error) {
	unlock, err := i.store.Lock("")
	if errors.Is(err, store.ErrLocked) {
		return nil, nil // another process imports, or sweeps
	}
	if err != nil {
		return nil, err
	}
	defer unlock()
	loose, err := i.store.Unmanaged()
	if err != nil {
		return nil, err
	}
	var (
		imported []Manifest
		failed   []error
	)
	for _, entry := range loose {
		manifest, err := i.importFile(ctx, entry, defaultDatabase)
		switch {
		case ctx.Err() != nil:
			return imported, context.Cause(ctx)
		case errors.Is(err, errWritten):
		case err != nil:
			failed = append(failed, fmt.Errorf("adopt %s: %w", i.store.Describe(entry.Location), err))
		default:
			imported = append(imported, manifest)
		}
	}
	return imported, errors.Join(failed...)
}

func (i *Importer) importFile(ctx context.Context, entry store.Entry, database string) (Manifest, error) {
	file, err := i.store.Open(entry.Location, store.Dump)
	if err != nil {
		return Manifest{}, err
	}
	defer file.Close()
	if i.beingWritten(file, entry.ModTime) {
		return Manifest{}, errWritten
	}
	created := i.looseTime(entry)
	m := Manifest{
		Version: ManifestVersion, ID: random.ID(), Instance: i.instanceName, Filename: entry.File,
		Format: postgres.FormatPlain, Compression: CompressionNone, Encryption: Encryption{Scheme: seal.SchemeNone},
		CreatedAt: created, StartedAt: created, FinishedAt: entry.ModTime.UTC(), Trigger: TriggerImported,
	}
	m = m.ofSeries(subject.LogicalOf(database))
	if strings.HasSuffix(entry.File, ".enc") {
		m.Encryption = seal.Describe(seal.SchemeOpenSSL) // which is what the old script made
	}
	if err := i.examine(ctx, file, &m); err != nil {
		return Manifest{}, err
	}
	data, err := i.certifier.certify(&m)
	if err != nil {
		return Manifest{}, err
	}
	return m, i.store.Import(entry.Location, data)
}

// examine completes the manifest with what the file itself tells. A file that can't be opened, or has no end, is
// imported too, and is not complete.
func (i *Importer) examine(ctx context.Context, file Object, m *Manifest) error {
	src, err := i.files.identify(fromStart(file))
	var found *verified
	if err == nil {
		found, err = i.files.readAll(ctx, file, src, nil, i.clock.begin(nil, PhaseVerify, 0))
	}
	if err != nil && Failure(err) == FailureOther {
		return err
	}
	if found != nil {
		m.SizeBytes, m.SHA256 = found.size, found.sha
		m.PlainSizeBytes, m.PlainSHA256, m.Tables = found.plainSize, found.plainSHA, found.tables
		m.Complete = err == nil
		if match := clientEncoding.FindSubmatch(found.head); match != nil {
			m.Encoding = string(match[1])
		}
		return nil
	}
	stored := newMeter(io.Discard)
	err = distribute(ctx, func(error) {}, fromStart(file), func(int) {}, stored)
	m.SizeBytes, m.SHA256 = stored.size, stored.sum()
	return err
}

// looseTime is the time in a file's name, in the zone of the agent, or that of its last change where the name has none.
func (i *Importer) looseTime(entry store.Entry) time.Time {
	name := strings.TrimPrefix(entry.File, "backup-")
	if len(name) >= len(nameTime) {
		if at, err := time.ParseInLocation(nameTime, name[:len(nameTime)], i.location); err == nil {
			return at.UTC()
		}
	}
	return entry.ModTime.UTC()
}

// settled is how long a file has not changed that is taken for finished where nothing better can be known.
const settled = time.Minute

// beingWritten reports whether a process has a file open for writing. Where its store can't tell, its last change does.
func (i *Importer) beingWritten(file Object, modified time.Time) bool {
	if watched, ok := file.(interface{ BeingWritten() (bool, error) }); ok {
		if writing, err := watched.BeingWritten(); err == nil {
			return writing
		}
	}
	return i.clock().Sub(modified) < settled
}
