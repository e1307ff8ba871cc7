package backup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pgharbor/pgharbor/agent/postgres"
)

// checkTarget also says who will be put out.
func (l *lookAhead) checkTarget(ctx context.Context) {
	if err := postgres.CheckName(l.req.Target); err != nil {
		l.fail("target", err, "")
		return
	}
	if err := CheckTarget(l.req.Target); err != nil {
		l.fail("target", err, "give another name")
		return
	}
	exists, err := l.Instance.DatabaseExists(ctx, l.req.Target)
	switch {
	case err != nil:
		l.fail("target", err, "")
	case !exists:
		l.ok("target", fmt.Sprintf("%q does not exist and will be made", l.req.Target))
	case !l.req.Replace:
		l.fail("target", fmt.Errorf("%w: %q", ErrTargetExists, l.req.Target), "give another name, or --replace, which keeps the old one beside it")
	default:
		l.checkUse(ctx)
	}
}

func (l *lookAhead) checkUse(ctx context.Context) {
	use, err := l.Instance.Use(ctx, l.req.Target)
	kept := fmt.Sprintf("%q is replaced at the end, and kept under another name", l.req.Target)
	switch {
	case err != nil:
		l.unknown("target", err)
	case use.Prepared > 0:
		l.fail("target", fmt.Errorf("%q has %d prepared transactions, which keep it from being renamed", l.req.Target, use.Prepared), "COMMIT PREPARED or ROLLBACK PREPARED those of pg_prepared_xacts")
	case use.Slots > 0:
		l.warn("target", fmt.Sprintf("%s; its %d logical replication slots go with the old one", kept, use.Slots), "make them anew afterwards")
	case use.Sessions > 0:
		l.warn("target", fmt.Sprintf("%s; it is in use by %d sessions (%s), which will be ended then", kept, use.Sessions, strings.Join(use.Applications, ", ")), "stop what writes to it: what it writes meanwhile stays in the old one")
	default:
		l.ok("target", kept+"; nobody is connected to it")
	}
}

func (l *lookAhead) checkRights(ctx context.Context) {
	replaced := ""
	if l.req.Replace {
		replaced = l.req.Target
	}
	switch lacks, err := l.Instance.MayReplace(ctx, replaced); {
	case err != nil:
		l.unknown("rights", err)
	case lacks != "":
		l.fail("rights", fmt.Errorf("the role %q lacks %s", l.server.CurrentUser, lacks), "give it that, or restore as a role that has it")
	default:
		l.ok("rights", fmt.Sprintf("%q may make the database", l.server.CurrentUser))
	}
}

// checkVersions holds the server that was dumped against the one that is restored to. A newer major's dump may say what
// an older server does not understand.
func (l *lookAhead) checkVersions(_ context.Context) {
	m := l.req.Manifest
	if m == nil || major(m.ServerVersion) == 0 {
		l.warn("versions", fmt.Sprintf("what the backup was made of is not known; the server is PostgreSQL %s", l.server.Version), "")
		return
	}
	here := l.server.Number / 10000
	detail := fmt.Sprintf("a backup of PostgreSQL %s by pg_dump %s, for a server %s", m.ServerVersion, m.PgDumpVersion, l.server.Version)
	switch {
	case major(m.ServerVersion) > here:
		l.fail("versions", errors.New(detail), fmt.Sprintf("restore it to a server of version %d or newer", major(m.ServerVersion)))
	case major(m.PgDumpVersion) > here:
		l.warn("versions", detail, "a newer pg_dump may write what this server does not understand; then the restore fails and nothing is changed")
	default:
		l.ok("versions", detail)
	}
}

func (l *lookAhead) checkTool(ctx context.Context) {
	if l.format == "" {
		return
	}
	tool, err := l.Instance.RestoreTool(ctx, l.format)
	m := l.req.Manifest
	switch {
	case err != nil:
		l.fail("tools", err, "install PostgreSQL's client of the server's version, or put it on PATH")
	case l.format == postgres.FormatCustom && m != nil && tool.Number > 0 && major(m.PgDumpVersion) > tool.Number/10000:
		l.fail("tools", fmt.Errorf("%s %s does not read what pg_dump %s wrote", tool.Name, tool.Version, m.PgDumpVersion),
			fmt.Sprintf("install postgresql-client-%d", major(m.PgDumpVersion)))
	default:
		l.ok("tools", tool.Name+" "+tool.Version)
	}
}

func (l *lookAhead) checkLocale(ctx context.Context) {
	like, err := l.likeness(ctx, l.req.Manifest, l.head)
	if err != nil {
		l.unknown("locale", err)
		return
	}
	detail := strings.Trim(fmt.Sprintf("%s, %s", like.Encoding, like.Collate), ", ")
	switch err := l.Instance.CheckLocale(ctx, like); {
	case detail == "":
		l.ok("locale", "as the server's own")
	case errors.Is(err, postgres.ErrNoLocale):
		l.fail("locale", fmt.Errorf("%s: %w", detail, err), "install the locale on the server's host, and restart the server")
	case err != nil:
		l.warn("locale", detail+": it can't be told whether the server has it: "+err.Error(), "")
	default:
		l.ok("locale", detail)
	}
}

// checkSpace holds the free disk against the size of the dump. Data take more room than their dump, by their indexes, and
// less of it than all of it twice, as a rule.
func (l *lookAhead) checkSpace(ctx context.Context) {
	var need int64
	if l.req.Manifest != nil {
		need = l.req.Manifest.PlainSizeBytes
	}
	free, dir, err := l.Instance.FreeSpace(ctx)
	detail := fmt.Sprintf("%s has %s free, and the dump has %s", dir, mebibytes(free), mebibytes(need))
	const remedy = "make room on the disk of the server's data"
	switch {
	case err != nil:
		l.warn("disk", "it can't be told from here how much is free: "+err.Error(), "see that there is room for the database a second time")
	case need == 0:
		l.warn("disk", fmt.Sprintf("%s has %s free; how large the dump is, is not known", dir, mebibytes(free)), "")
	case free < need:
		l.fail("disk", errors.New(detail), remedy)
	case free < 2*need:
		l.warn("disk", detail+"; with its indexes it may be too much", remedy)
	default:
		l.ok("disk", detail)
	}
}

func (l *lookAhead) checkMissing(ctx context.Context, what, of string, names []string, remedy string) {
	missing, err := l.Instance.Missing(ctx, of, names)
	l.missing(what, names, missing, remedy, err)
}

// checkRoles leaves those out that the restore makes.
func (l *lookAhead) checkRoles(ctx context.Context) {
	needed := l.needs.Roles
	if !l.req.Confined { // whoever loads it confined owns all of it
		needed = slices.Concat(l.needs.Owners, needed)
		slices.Sort(needed)
		needed = slices.Compact(needed)
	}
	missing, err := l.Instance.MissingRoles(ctx, needed)
	remedy := "make them first: CREATE ROLE …, with the rights that they had"
	if m := l.req.Manifest; m != nil && m.Globals != nil {
		kept := func(role string) bool {
			return slices.Contains(m.Globals.Roles, role) && !strings.HasPrefix(role, temporaryPrefix)
		}
		if l.req.WithRoles != "" {
			all, made := len(missing), slices.DeleteFunc(slices.Clone(missing), func(role string) bool { return !kept(role) })
			missing = slices.DeleteFunc(missing, kept)
			if may, mayErr := l.Instance.MayMakeRoles(ctx); len(missing) < all && mayErr == nil && !may {
				l.fail("roles", fmt.Errorf("the role %q lacks CREATEROLE to make the %d that are missing", l.server.CurrentUser, all-len(missing)), rightsRemedy)
				return
			}
			if len(made) > 0 && len(missing) == 0 && err == nil {
				l.ok("roles", fmt.Sprintf("of %d, %d are missing, which --with-roles makes, with the roles that they are members of: %s", len(needed), len(made), strings.Join(made, ", ")))
				return
			}
		} else if slices.ContainsFunc(missing, kept) {
			remedy = "add --with-roles, which makes them as they are kept with the backup, or make them first"
		}
	}
	l.missing("roles", needed, missing, remedy, err)
}

func (l *lookAhead) missing(what string, names, missing []string, remedy string, err error) {
	switch {
	case err != nil:
		l.unknown(what, err)
	case len(missing) > 0:
		l.fail(what, fmt.Errorf("%w the %s %s", errMissing, what, strings.Join(missing, ", ")), remedy)
	case len(names) == 0:
		l.ok(what, "none are needed")
	default:
		l.ok(what, fmt.Sprintf("all %d are at hand", len(names)))
	}
}

func (l *lookAhead) checkEventTriggers() {
	switch count := l.needs.EventTriggers; {
	case count == 0:
		l.ok("event triggers", "none")
	case !l.server.Superuser || l.req.Confined:
		l.fail("event triggers", fmt.Errorf("the dump makes %d, which only a superuser can", count), "restore as a superuser")
	default:
		l.warn("event triggers", fmt.Sprintf("the dump makes %d; they fire in the restored database from then on", count), "")
	}
}

// major is the number that a version begins with; 0 where there is none.
func major(version string) int {
	digits, _, _ := strings.Cut(version, ".")
	number, _ := strconv.Atoi(digits)
	return number
}

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }
