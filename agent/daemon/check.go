package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/agent/signing"
)

// checkTimeout bounds each check, so that one that hangs does not hide the next.
const checkTimeout = 15 * time.Second

func (c *command) newCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "See whether backups can work here: a line each, OK or FAILED with what to do",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return c.check(cmd.Context()) },
	}
}

// check prints a line for each thing that backups need.
func (c *command) check(ctx context.Context) (err error) {
	list := &checklist{command: c}
	a := &agent{log: c.log, now: c.Now, policy: c.hostPolicy()}
	defer func() { err = errors.Join(err, a.close()) }()
	list.do(ctx, "configuration", a.checkConfiguration)
	if list.failed > 0 {
		return errors.New("the configuration is wrong, so nothing else was checked")
	}
	asked := func(look look) look { return look }
	if !list.do(ctx, "connection", a.checkConnection) {
		asked = func(look) look { return notAsked }
	}
	list.do(ctx, "tools", asked(a.checkTools))
	list.do(ctx, "versions", asked(a.checkVersions))
	list.do(ctx, "rights", asked(a.checkRights))
	list.do(ctx, "logins", asked(a.checkLogins))
	list.do(ctx, "state folder", a.checkState)
	list.do(ctx, "space", a.checkSpace)
	list.do(ctx, "passphrase", a.checkPassphrase)
	list.do(ctx, "signing key", a.checkSigning)
	list.do(ctx, "secrets", a.checkSecrets)
	list.do(ctx, "clock", asked(a.checkClock))
	list.do(ctx, "test restores", asked(a.checkVerify))
	list.do(ctx, "policy", a.checkPolicy)
	list.do(ctx, "cage", a.checkCage)
	list.do(ctx, "control plane", a.checkControlPlane)
	if list.failed > 0 {
		return fmt.Errorf("%d of %d checks failed", list.failed, list.done)
	}
	return nil
}

// checklist prints and counts.
type checklist struct {
	*command
	done, failed int
}

// remedy is what is wrong and what to do about it.
type remedy struct {
	error
	what string
}

func (r remedy) Unwrap() error { return r.error }

// look is one check: what it found, or what is wrong.
type look func(context.Context, *command) (string, error)

// notAsked stands for the checks that need the server, if it can't be reached.
func notAsked(context.Context, *command) (string, error) {
	return "", remedy{errors.New("not known without a connection"), "mend the connection first"}
}

func (l *checklist) do(ctx context.Context, name string, look look) bool {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	l.done++
	detail, err := look(ctx, l.command)
	if err == nil {
		fmt.Fprintf(l.Stdout, "OK      %s: %s\n", name, oneLine(detail))
		return true
	}
	l.failed++
	line := oneLine(inFull(err))
	var r remedy
	if errors.As(err, &r) {
		line += " — " + r.what
	}
	fmt.Fprintf(l.Stdout, "FAILED  %s: %s\n", name, line)
	return false
}

// checkConfiguration reads the settings, and opens the state folder for what
// follows.
func (a *agent) checkConfiguration(_ context.Context, c *command) (string, error) {
	s, err := readSettings(c.environ)
	if err != nil {
		return "", remedy{err, "set the variable to what is allowed, or leave it out"}
	}
	a.settings = s
	if err := a.openInstance(c, toBackUp); err != nil {
		return "", remedy{err, "give --state-dir a folder that this user may write to"}
	}
	schedule := "the schedule is off (ENABLE_BACKUPS is not true)"
	if s.Enabled {
		schedule = fmt.Sprintf("%s in %s, next at %s", s.Schedule, s.Timezone, s.Schedule.Next(a.now()).In(s.Location).Format(time.RFC3339))
	}
	return fmt.Sprintf("%s; databases: %s; %s, %s; kept for %d days, the last %d always",
		schedule, databasesText(s.Databases), s.Format, s.Compression, s.Policy.Days, s.Policy.KeepLast), nil
}

// checkPassphrase also tries the passphrases on the newest backup, if the backup folder can be read.
func (a *agent) checkPassphrase(_ context.Context, _ *command) (string, error) {
	if err := a.checkNewestOpens(); err != nil {
		return "", remedy{err, "add the passphrase of before to BACKUP_OLD_PASSPHRASES_FILE, or give BACKUP_ENCRYPT_PASSPHRASE_FILE the right one"}
	}
	if a.settings.Passphrases.Current == "" {
		return "none, so backups are plain files; BACKUP_ENCRYPT_PASSPHRASE_FILE seals them", nil
	}
	return fmt.Sprintf("new backups are sealed; %d earlier passphrases for restores", len(a.settings.Passphrases.Old)), nil
}

// checkNewestOpens reports an error if no passphrase opens the newest backup, as far as its manifest tells.
func (a *agent) checkNewestOpens() error {
	if a.store == nil {
		return nil // what is wrong with it is told by another line
	}
	backups := backup.New(backup.Config{Store: a.store, Keys: seal.Ring{Passphrases: a.settings.Passphrases}, Now: a.now})
	stored, _ := backups.Repository.Inventory() // of what can be read; the rest is health's to tell
	for _, newest := range slices.Backward(stored) {
		content, err := backups.Repository.ReadManifest(newest.Location)
		if newest.State != backup.StatePresent || err != nil {
			continue
		}
		if err := backups.Origins.CheckPassphrase(content, newest.Manifest); err != nil {
			return fmt.Errorf("the newest backup, %s, can't be opened: %w", newest.ID, err)
		}
		return nil
	}
	return nil
}

// checkConnection also shows how the instance is reached.
func (a *agent) checkConnection(ctx context.Context, _ *command) (string, error) {
	server, err := a.instance.Server(ctx)
	if errors.Is(err, postgres.ErrPooler) {
		return "", remedy{err, poolerRemedy}
	}
	if err != nil {
		return "", remedy{err, "set DATABASE_URL, or PGHOST and the like, so that psql connects with them"}
	}
	return strings.TrimSpace(fmt.Sprintf("PostgreSQL %s as %s %s", server.Version, server.CurrentUser, a.settings.Connection)), nil
}

func (a *agent) checkSigning(_ context.Context, _ *command) (string, error) {
	if a.signer == nil {
		return "none, as the state folder can't be used; backups made like this are not signed", nil
	}
	key, err := a.signer.PublicKey()
	if errors.Is(err, fs.ErrNotExist) {
		return "none yet; it is made with the first backup or by pgharbor-agent run", nil
	}
	if err != nil {
		return "", remedy{err, "put signing.key back from a copy, or remove it: then a new one is made"}
	}
	return fmt.Sprintf("%s, public key %s", signing.KeyID(key), signing.Format(key)), nil
}
