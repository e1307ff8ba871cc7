package daemon

import (
	"errors"
	"io"
	"strings"
	"syscall"
	"unicode"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/job"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/controlplane/client"
	"github.com/pgharbor/pgharbor/internal/exit"
	"github.com/pgharbor/pgharbor/internal/unloadable"
)

func usageError(err error) error {
	return &exit.Problem{Err: err, Code: exit.Usage, Hint: "pgharbor-agent --help"}
}

func withHint(err error, hint string) error {
	if err == nil {
		return nil
	}
	return &exit.Problem{Err: err, Hint: hint}
}

// exitCode is what the process ends with.
func exitCode(err error) int {
	if err == nil {
		return exit.Done
	}
	var p *exit.Problem
	if errors.As(err, &p) && p.Code != exit.Done {
		return p.Code
	}
	if errors.Is(err, backup.ErrSandboxedOnly) {
		return exit.Usage
	}
	if code := exit.OfFailure(backup.Failure(err)); code != exit.Failed {
		return code
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded:
		return exit.Unreachable
	case codes.PermissionDenied, codes.Unauthenticated:
		return exit.Denied
	case codes.NotFound:
		return exit.NotFound
	}
	if errors.Is(err, client.ErrBadInvite) || errors.Is(err, job.ErrConfirmation) {
		return exit.Usage
	}
	return exit.Failed
}

// report prints an error as one line, and the next step as a second one.
func report(w io.Writer, err error) {
	exit.Report(w, "pgharbor-agent", oneLine(inFull(err)), oneLine(hintFor(err)))
}

// inFull is an error with the words of the server and the tools, which are for this host alone.
func inFull(err error) string {
	if words := postgres.Words(err); words != "" {
		return text(err) + ": " + words
	}
	return text(err)
}

// text is what the error says; of a gRPC status only its message.
func text(err error) string {
	var said interface{ GRPCStatus() *status.Status }
	if errors.As(err, &said) && said.GRPCStatus().Message() != "" {
		return strings.Replace(err.Error(), said.(error).Error(), said.GRPCStatus().Message(), 1)
	}
	return err.Error()
}

// poolerRemedy is for who has a pooler before the server, and would think of the setting by which
// it lets anything pass.
const poolerRemedy = "let DATABASE_URL, or PGHOST and PGPORT, name PostgreSQL itself and not a pooler before it; " +
	"telling the pooler to ignore the parameters does not help, as without them tenants could run their functions in the agent's sessions"

func hintFor(err error) string {
	var p *exit.Problem
	if errors.As(err, &p) && p.Hint != "" {
		return p.Hint
	}
	switch {
	case postgres.DiskFull(err):
		return "make room on the disk of the server's data, or of the tablespace: a restore takes the room of the database a second time, and more for its indexes"
	case errors.Is(err, backup.ErrNoPassphrase):
		return "set BACKUP_ENCRYPT_PASSPHRASE_FILE"
	case errors.Is(err, backup.ErrWrongPassphrase):
		return "set BACKUP_ENCRYPT_PASSPHRASE_FILE to the passphrase of that time, or list earlier ones in BACKUP_OLD_PASSPHRASES_FILE"
	case errors.Is(err, postgres.ErrPooler):
		return poolerRemedy
	case errors.Is(err, backup.ErrSandboxedOnly):
		return "restore it into a new database, without --replace and without its roles; only if you know who made the file: --trust-origin"
	case errors.Is(err, backup.ErrUnknownOrigin):
		return "upgrade psql, or restore it sandboxed anyway: --unsigned; only if you know who made the file: --trust-origin"
	case errors.Is(err, backup.ErrSandboxed):
		return "what only a superuser may make fails so; if you know who made the file, restore it as your own: --trust-origin"
	case cannotRead(err):
		return "pgharbor-agent check: its line \"rights\" says what the role can't read, and what it takes"
	case postgres.LacksLogin(err):
		return loginHint(err)
	case errors.Is(err, backup.ErrContent):
		return contentHint(err)
	case errors.Is(err, postgres.ErrNoSandbox):
		return "let a role log in from here by its password (pg_hba.conf), or, if you know who made the file, restore it as your own: --trust-origin"
	case errors.Is(err, backup.ErrOwnedBySandbox):
		return "give what is in it to whom it belongs first, in the database: REASSIGN OWNED BY that role TO another; and ALTER DATABASE … OWNER TO"
	case errors.Is(err, backup.ErrUnsigned):
		return "somebody has taken the signature off, and then another copy must be restored; or it is older than the agent's key and was not there when that was made: see \"A folder that came late\" in docs/agent.md"
	case errors.Is(err, backup.ErrForged):
		return "somebody has changed the manifest or the file; take another backup, or this one from another copy"
	case errors.Is(err, backup.ErrTargetExists):
		return "restore into a name that is not taken, or add --replace, which keeps the old database under another name"
	case errors.Is(err, state.ErrShared):
		return "chmod go-w the folder, or name another one: a state folder is the agent's alone"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "make room on the disk of that file"
	case errors.Is(err, client.ErrBadInvite):
		return "copy the whole invite, as `pgharbor agents invite NAME` printed it"
	case errors.Is(err, client.ErrAlreadyEnrolled):
		return "to enrol again, remove the folder identity in the state folder first"
	case errors.Is(err, client.ErrReplyLost):
		return "enrol again with the same invite, while it holds: it leads to the same identity"
	case status.Code(err) == codes.Unavailable:
		return "see whether the control plane runs and its address is reachable from here"
	}
	for _, check := range backup.FailedChecks(err) {
		if check.Remedy != "" {
			return check.Remedy
		}
	}
	return unloadable.NextStep(text(err))
}

// cannotRead reports whether a backup failed because the role may not read all of the database.
func cannotRead(err error) bool {
	var tool *postgres.ToolError
	return errors.As(err, &tool) && tool.Tool == "pg_dump" && strings.Contains(tool.Error(), "SQLSTATE 42501")
}

// loginHint is for a server on which no login of an owner is available.
func loginHint(err error) string {
	var closed *postgres.NoWayIn
	if errors.As(err, &closed) {
		return closed.Remedy()
	}
	return "give the agent's role CREATEROLE and, from PostgreSQL 16 on, the ADMIN option on the owners: see \"An agent that is no superuser\" in docs/agent.md"
}

// contentHint is for a dump whose code would gain rights. If code of the dump was refused
// something, it may have seen to that, so that somebody runs it with all the rights of the agent.
func contentHint(err error) string {
	const trust = "--trust-content runs that code with all the rights of the agent"
	switch {
	case postgres.CodeRefused(err):
		return "give the object to another owner, or change it, in the source and back up again; " + trust +
			": read it first, for it may itself have refused to run with fewer"
	default:
		return "give the object to another owner, or change it, in the source and back up again; " + trust +
			": only if you know what it does, and trust everybody who owned something in that database"
	}
}

// oneLine makes text fit for a line of a terminal or of a log.
func oneLine(s string) string {
	s = strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ")
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
