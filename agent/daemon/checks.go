package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/pgharbor/pgharbor/agent/job"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/session"
	"github.com/pgharbor/pgharbor/agent/store/local"
	"github.com/pgharbor/pgharbor/controlplane/client"
)

// maxSkew is how far two clocks may be apart.
const maxSkew = 10 * time.Minute

func (a *agent) checkTools(ctx context.Context, _ *command) (string, error) {
	tools, err := a.instance.ToolVersions(ctx)
	if err != nil {
		return "", remedy{err, "install PostgreSQL's client of the server's version, or put it on PATH"}
	}
	var found []string
	for _, tool := range tools {
		found = append(found, tool.Path)
	}
	return strings.Join(found, ", "), nil
}

func (a *agent) checkVersions(ctx context.Context, _ *command) (string, error) {
	server, err := a.instance.Server(ctx)
	if err != nil {
		return "", err
	}
	tools, err := a.instance.ToolVersions(ctx)
	if err != nil {
		return "", remedy{err, "pg_dump refuses a server that is newer than itself"}
	}
	detail := fmt.Sprintf("pg_dump %s for a server %s", tools[0].Version, server.Version)
	if warnings := job.VulnerableTools(tools); len(warnings) > 0 {
		detail += "; warning: " + strings.Join(warnings, "; ")
	}
	return detail, nil
}

// checkRights asks of every database that the agent covers whether the role may
// read all of it.
func (a *agent) checkRights(ctx context.Context, _ *command) (string, error) {
	databases, err := a.coveredDatabases(ctx)
	if err != nil {
		return "", err
	}
	const grant = "GRANT pg_read_all_data to the role, or let it own the tables; row security needs BYPASSRLS; large objects need the role of their owner, or GRANT SELECT ON LARGE OBJECT"
	for _, database := range databases {
		names, err := a.instance.Unreadable(ctx, database.Name)
		if err != nil {
			return "", remedy{fmt.Errorf("database %q: %w", database.Name, err), "GRANT CONNECT and pg_read_all_data to the role"}
		}
		if len(names) > 0 {
			return "", remedy{fmt.Errorf("database %q: %d things can't be read, such as %s", database.Name, len(names), names[0]), grant}
		}
	}
	return fmt.Sprintf("all of %d databases can be read", len(databases)) + a.lacksToRestore(ctx), nil
}

// lacksToRestore is what the role lacks for any restore, for the end of a line; an agent that only
// backs up does not need it.
func (a *agent) lacksToRestore(ctx context.Context) string {
	lacks, err := a.instance.MayReplace(ctx, "")
	makes, rolesErr := a.instance.MayMakeRoles(ctx)
	if err == nil && rolesErr == nil && !makes {
		lacks = strings.TrimPrefix(lacks+", CREATEROLE", ", ")
	}
	if lacks == "" {
		return ""
	}
	return "; restores here would lack " + lacks + " (docs/agent.md, An agent that is no superuser)"
}

// checkLogins tries whether a restore gets in as the owners of what it loads. Anyone who may make
// no roles is told that with the rights.
func (a *agent) checkLogins(ctx context.Context, _ *command) (string, error) {
	makes, err := a.instance.MayMakeRoles(ctx)
	if err != nil {
		return "", err
	}
	if !makes {
		return "the role makes none", nil
	}
	err = a.instance.CheckLogin(ctx)
	var closed *postgres.NoWayIn
	if errors.As(err, &closed) {
		return "", remedy{fmt.Errorf("a restore here can't log in as an owner: %w", err), closed.Remedy()}
	}
	return "the server lets roles in by a password, as a restore needs it", err
}

// checkState writes to the state folder.
func (a *agent) checkState(context.Context, *command) (string, error) {
	if err := tryWrite(a.state.Dir()); err != nil {
		return "", remedy{stateError(a.state.Dir(), err), "make room there, or let --state-dir or PGHARBOR_STATE_DIR name another folder that is the agent's alone"}
	}
	return a.state.Dir() + " can be written", nil
}

// stateError says of an error that the state folder is full, if it is.
func stateError(dir string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("the state folder %s is full: %w", dir, err)
	}
	return err
}

// coveredDatabases describes the databases that a scheduled run backs up. One that is named and
// missing is an error.
func (a *agent) coveredDatabases(ctx context.Context) ([]postgres.Database, error) {
	databases, err := a.instance.Databases(ctx)
	if err != nil || len(a.settings.Databases) == 0 {
		return databases, err
	}
	var covered []postgres.Database
	for _, name := range a.settings.Databases {
		at := slices.IndexFunc(databases, func(d postgres.Database) bool { return d.Name == name })
		if at < 0 {
			return nil, remedy{fmt.Errorf("%w: %q", postgres.ErrNoDatabase, name), "BACKUP_DATABASES names databases of the instance"}
		}
		covered = append(covered, databases[at])
	}
	return covered, nil
}

func (a *agent) checkClock(ctx context.Context, _ *command) (string, error) {
	server, err := a.instance.Clock(ctx)
	if err != nil {
		return "", err
	}
	skew := a.now().Sub(server).Round(time.Second)
	if skew.Abs() > maxSkew {
		return "", remedy{fmt.Errorf("this host is %s off the database server", skew), "let both keep time by NTP"}
	}
	return fmt.Sprintf("%s off the database server's", skew), nil
}

// checkSpace opens the backup folder, writes to it, and compares its free space with what the next
// scheduled run may need.
func (a *agent) checkSpace(ctx context.Context, _ *command) (string, error) {
	const writable = "let BACKUP_DIR name a folder that this user may write to"
	backups, err := local.Open(a.settings.Dir)
	if err != nil {
		return "", remedy{err, writable}
	}
	a.store = backups
	a.closers = append(a.closers, backups.Close)
	if err := tryWrite(backups.Dir()); err != nil {
		return "", remedy{err, writable}
	}
	space, err := backups.Space()
	if err != nil {
		return "", err
	}
	// Without a server nothing is known of its size, which is said elsewhere.
	databases, _ := a.coveredDatabases(ctx)
	var need int64
	for _, database := range databases {
		need = max(need, database.SizeBytes)
	}
	if space.Free < need {
		return "", remedy{
			fmt.Errorf("%s has %s free, and the largest database has %s", backups.Dir(), mebibytes(space.Free), mebibytes(need)),
			"make room, or let BACKUP_DIR name a larger disk",
		}
	}
	return fmt.Sprintf("%s, %s free; the largest database has %s", backups.Dir(), mebibytes(space.Free), mebibytes(need)), nil
}

// tryWrite writes a file into dir, durably, and removes it.
func tryWrite(dir string) (err error) {
	f, err := os.CreateTemp(dir, ".pgharbor-check-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if _, err := f.Write([]byte("pgharbor-agent check\n")); err != nil {
		return err
	}
	return f.Sync()
}

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }

func (a *agent) checkControlPlane(ctx context.Context, _ *command) (string, error) {
	identity, err := client.Load(a.identityDir())
	if errors.Is(err, client.ErrNotEnrolled) {
		return "not enrolled: the agent works alone", nil
	}
	if err != nil {
		return "", remedy{err, "remove the identity and enrol again: pgharbor-agent enroll INVITE"}
	}
	conn, err := identity.Dial()
	if err != nil {
		return "", err
	}
	defer conn.Close()
	name, err := session.Reach(ctx, conn)
	if err != nil {
		return "", remedy{fmt.Errorf("%s: %w", identity.Address(), err), "see whether the control plane runs, and whether it has revoked this agent"}
	}
	return fmt.Sprintf("%s, as %s; the certificate lasts until %s", identity.Address(), name, identity.NotAfter().UTC().Format(time.RFC3339)), nil
}
