package backup

import (
	"cmp"
	"runtime"
	"time"

	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/agent/signing"
)

// Config is what the parts are made of: one instance, the store of its backups, and how they are made.
type Config struct {
	Instance     *postgres.Instance
	Store        Store
	Keys         seal.Ring
	Signer       *signing.Signer // signs manifests and knows whose signatures count; nil: manifests are not signed
	Format       string          // postgres.FormatPlain, or FormatCustom; empty is plain
	Compression  string          // CompressionNone or CompressionZstd; empty is none
	InstanceName string          // goes into the manifest
	// Trusts says of another instance whether its word counts as this one's: what has the MAC of a passphrase at hand and
	// speaks of it is proven. Nil: no other instance's does.
	Trusts      func(instance string) bool
	RestoreJobs int            // sessions at once of a restore; 0 is as many as there are processors, at most 4
	Location    *time.Location // of the time in file names; nil is UTC
	Now         func() time.Time
}

// Parts are what an agent does with backups, each a type of its own. They hold no state and are safe for concurrent use.
type Parts struct {
	Dumper       *Dumper       // takes backups
	Repository   *Repository   // the stored backups
	Importer     *Importer     // makes backups of files that somebody else left in the store
	Origins      *Origins      // who made a backup
	Marks        *Marks        // which databases come from files of unknown origin
	Restorer     *Restorer     // restores, and makes the checks before it
	Swapper      *Swapper      // databases that took the place of others
	TestRestorer *TestRestorer // restores for a test
}

// New puts the parts together.
func New(c Config) *Parts {
	now, location := clock(c.Now), cmp.Or(c.Location, time.UTC)
	jobs := c.RestoreJobs
	if jobs <= 0 {
		jobs = min(runtime.NumCPU(), maxJobs)
	}
	files := &fileReader{keys: c.Keys, instance: c.Instance}
	certifier := &certifier{keys: c.Keys, signer: c.Signer}
	origins := &Origins{keys: c.Keys, signer: c.Signer, instanceName: c.InstanceName, trusts: c.Trusts}
	repository := &Repository{store: c.Store, origins: origins, signer: c.Signer}
	marks := &Marks{instance: c.Instance, signer: c.Signer, clock: now}
	swapper := &Swapper{instance: c.Instance}
	return &Parts{
		Dumper: &Dumper{
			instance: c.Instance, store: c.Store, repository: repository, keys: c.Keys, certifier: certifier, marks: marks,
			instanceName: c.InstanceName, format: cmp.Or(c.Format, postgres.FormatPlain),
			compression: cmp.Or(c.Compression, CompressionNone), location: location, clock: now,
		},
		Repository: repository,
		Importer: &Importer{
			store: c.Store, files: files, certifier: certifier, instanceName: c.InstanceName, location: location, clock: now,
		},
		Origins: origins,
		Marks:   marks,
		Restorer: &Restorer{
			instance: c.Instance, files: files, loader: &loader{instance: c.Instance, jobs: jobs}, marks: marks,
			swapper: swapper, incoming: c.Store, instanceName: c.InstanceName, clock: now,
		},
		Swapper:      swapper,
		TestRestorer: &TestRestorer{instance: c.Instance, keys: c.Keys, jobs: jobs, clock: now},
	}
}
