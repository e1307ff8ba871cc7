package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/job"
	"github.com/pgharbor/pgharbor/agent/policy"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/retention"
	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/agent/signing"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/agent/store/local"
	"github.com/pgharbor/pgharbor/controlplane/client"
)

const defaultStateDir = "/var/lib/pgharbor-agent"

// agent is everything that a command works with, put together.
type agent struct {
	settings settings
	state    *state.Folder
	instance *postgres.Instance
	store    backup.Store
	signer   *signing.Signer // nil if the state folder is one that goes again
	policy   policy.File
	// fromInstance is the instance that somebody on the host names as the file's.
	fromInstance string
	runner       *job.Runner
	warnings     []string // of the configuration
	log          *slog.Logger
	now          func() time.Time

	closers []func() error // the last one first
}

// purpose is what an agent is opened for, and what it can't do without.
type purpose int

const (
	toServe   purpose = iota // the state folder and the backup folder
	toBackUp                 // the backup folder
	toRestore                // neither: the file may be all that is left
	toReplace                // the state folder, which remembers what was replaced
)

// openAgent puts an agent together. The caller closes it.
func openAgent(c *command, what purpose) (_ *agent, err error) {
	s, err := readSettings(c.environ)
	if err != nil {
		return nil, err
	}
	a := &agent{settings: s, log: c.log, now: c.Now, policy: c.hostPolicy()}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	if err := a.openInstance(c, what); err != nil {
		return nil, err
	}
	if err := a.openStore(what); err != nil {
		return nil, err
	}
	clock, err := retention.OpenClockGuard(filepath.Join(a.state.Dir(), "clock.json"))
	if err != nil {
		return nil, err
	}
	config := a.config(clock)
	config.LookEvery = c.lookEvery
	if what == toServe || what == toBackUp {
		config.Warnings = append(config.Warnings, beginSigning(config.Engine)...)
	}
	a.runner, a.warnings = job.New(config), config.Warnings
	return a, nil
}

// beginSigning makes the key once all manifests in the backup folder are grandfathered. Anyone who
// has not opened that folder must not make it. If it is not available, backups are made without,
// which is better than none, and the next start tries again.
func beginSigning(engine *backup.Engine) (warnings []string) {
	if err := engine.BeginSigning(); err != nil {
		warnings = append(warnings, "manifests are not signed until the next start: "+err.Error())
	}
	return warnings
}

// openStore opens the backup folder. A restore by hand has no use for it, and
// the worst day is no day to ask for one.
func (a *agent) openStore(what purpose) (err error) {
	dir := a.settings.Dir
	if what == toRestore || what == toReplace {
		if dir, err = os.MkdirTemp("", "pgharbor-restore-"); err != nil {
			return err
		}
		a.closers = append(a.closers, func() error { return os.RemoveAll(dir) })
	}
	folder, err := local.Open(dir)
	if err != nil {
		return withHint(err, "BACKUP_DIR names the folder of the backups; it must be writable")
	}
	folder.SetReserve(a.settings.Reserve)
	a.closers = append(a.closers, folder.Close)
	a.store = folder
	return nil
}

// openInstance opens the state folder and what reaches the instance.
func (a *agent) openInstance(c *command, what purpose) error {
	if err := a.openState(c.stateDir, what == toServe || what == toReplace || c.stateDirGiven()); err != nil {
		return err
	}
	private, release, err := a.state.Private()
	if err != nil {
		return stateError(a.state.Dir(), err)
	}
	a.closers = append(a.closers, release)
	if a.instance, err = postgres.Open(a.settings.Connection, private); err != nil {
		return stateError(a.state.Dir(), err)
	}
	a.closers = append(a.closers, a.instance.Close)
	state, err := absolute(a.state.Dir())
	a.instance.Hidden = append(state, a.settings.Hidden...)
	return err
}

func (a *agent) config(clock *retention.ClockGuard) job.Config {
	s := a.settings
	config := job.Config{
		Engine: &backup.Engine{
			Instance: a.instance, Store: a.store, Keys: seal.Ring{Passphrases: s.Passphrases}, Format: s.Format, Compression: s.Compression,
			Signer: a.signer, InstanceName: instanceName(a.identityDir()), Location: s.Location, Now: a.now,
			RestoreJobs: s.RestoreJobs, Trusts: a.trusts,
		},
		State: a.state, Log: a.log, Now: a.now,
		DefaultDatabase: cmp.Or(s.Connection.Database(), s.Connection.User(), "postgres"), ImportDatabase: s.ImportDatabase,
		Clock: clock, SecretFiles: a.secretFiles(), HostPolicy: a.policy.Read, Plan: s.plan(),
	}
	if job.Unencrypted(seal.Ring{Passphrases: s.Passphrases}) {
		config.Warnings = []string{job.NoPassphrase}
	}
	return config
}

// openState opens the state folder. The default one may be out of reach of who
// works by hand, and then the agent goes on with a folder for this process.
func (a *agent) openState(dir string, needed bool) error {
	if err := checkOwner(dir); err != nil {
		return err
	}
	folder, err := state.Open(dir)
	if err == nil {
		a.state, a.signer = folder, signing.Open(dir)
		return nil
	}
	if needed || !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrNotExist) && !isReadOnly(err) {
		return withHint(err, "--state-dir or PGHARBOR_STATE_DIR names a folder that this user may write to")
	}
	a.log.Warn("the state folder can't be used, so nothing of this is remembered or reported to a control plane",
		"folder", dir, "error", err)
	temporary, err := os.MkdirTemp("", "pgharbor-agent-")
	if err != nil {
		return err
	}
	a.closers = append(a.closers, func() error { return os.RemoveAll(temporary) })
	a.state, err = state.Open(temporary)
	return err
}

// checkOwner keeps root out of a folder of the service's own user: what root
// writes there, the service could not read.
func checkOwner(dir string) error {
	info, err := os.Stat(dir)
	if err != nil || os.Geteuid() != 0 {
		return nil //nolint:nilerr // that it can't be looked at is said by who opens it
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; owner != 0 {
		return withHint(fmt.Errorf("the state folder %s belongs to the user with the id %d, and this is root", dir, owner),
			fmt.Sprintf("run it as that user: setpriv --reuid=%d --clear-groups …, or sudo -u '#%d' …", owner, owner))
	}
	return nil
}

func (a *agent) identityDir() string { return identityDir(a.state.Dir()) }

func identityDir(stateDir string) string { return filepath.Join(stateDir, "identity") }

// instanceName is the name that the fleet knows this instance by, or the host's if there is no
// fleet.
func instanceName(identityDir string) string {
	if identity, err := client.Load(identityDir); err == nil {
		return identity.Name()
	}
	host, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return host
}

func (a *agent) close() error {
	var err error
	for n := len(a.closers) - 1; n >= 0; n-- {
		err = errors.Join(err, a.closers[n]())
	}
	return err
}
