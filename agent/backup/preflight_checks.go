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
func (p *preflight) checkTarget(ctx context.Context) {
	if err := postgres.CheckName(p.target); err != nil {
		p.fail("target", err, "")
		return
	}
	if err := CheckTarget(p.target); err != nil {
		p.fail("target", err, "give another name")
		return
	}
	exists, err := p.instance.DatabaseExists(ctx, p.target)
	switch {
	case err != nil:
		p.fail("target", err, "")
	case !exists:
		p.ok("target", fmt.Sprintf("%q does not exist and will be made", p.target))
	case !p.replace:
		p.fail("target", fmt.Errorf("%w: %q", ErrTargetExists, p.target), "give another name, or --replace, which keeps the old one beside it")
	default:
		p.checkUse(ctx)
	}
}

func (p *preflight) checkUse(ctx context.Context) {
	use, err := p.instance.Use(ctx, p.target)
	kept := fmt.Sprintf("%q is replaced at the end, and kept under another name", p.target)
	switch {
	case err != nil:
		p.unknown("target", err)
	case use.Prepared > 0:
		p.fail("target", fmt.Errorf("%q has %d prepared transactions, which keep it from being renamed", p.target, use.Prepared), "COMMIT PREPARED or ROLLBACK PREPARED those of pg_prepared_xacts")
	case use.Slots > 0:
		p.warn("target", fmt.Sprintf("%s; its %d logical replication slots go with the old one", kept, use.Slots), "make them anew afterwards")
	case use.Sessions > 0:
		p.warn("target", fmt.Sprintf("%s; it is in use by %d sessions (%s), which will be ended then", kept, use.Sessions, strings.Join(use.Applications, ", ")), "stop what writes to it: what it writes meanwhile stays in the old one")
	default:
		p.ok("target", kept+"; nobody is connected to it")
	}
}

func (p *preflight) checkRights(ctx context.Context) {
	replaced := ""
	if p.replace {
		replaced = p.target
	}
	switch lacks, err := p.instance.MayReplace(ctx, replaced); {
	case err != nil:
		p.unknown("rights", err)
	case lacks != "":
		p.fail("rights", fmt.Errorf("the role %q lacks %s", p.server.CurrentUser, lacks), "give it that, or restore as a role that has it")
	default:
		p.ok("rights", fmt.Sprintf("%q may make the database", p.server.CurrentUser))
	}
}

// checkVersions holds the server that was dumped against the one that is restored to. A newer major's dump may say what
// an older server does not understand.
func (p *preflight) checkVersions(_ context.Context) {
	m := p.manifest
	if m == nil || major(m.ServerVersion) == 0 {
		p.warn("versions", fmt.Sprintf("what the backup was made of is not known; the server is PostgreSQL %s", p.server.Version), "")
		return
	}
	here := p.server.Number / 10000
	detail := fmt.Sprintf("a backup of PostgreSQL %s by pg_dump %s, for a server %s", m.ServerVersion, m.PgDumpVersion, p.server.Version)
	switch {
	case major(m.ServerVersion) > here:
		p.fail("versions", errors.New(detail), fmt.Sprintf("restore it to a server of version %d or newer", major(m.ServerVersion)))
	case major(m.PgDumpVersion) > here:
		p.warn("versions", detail, "a newer pg_dump may write what this server does not understand; then the restore fails and nothing is changed")
	default:
		p.ok("versions", detail)
	}
}

func (p *preflight) checkTool(ctx context.Context) {
	if p.format == "" {
		return
	}
	tool, err := p.instance.RestoreTool(ctx, p.format)
	m := p.manifest
	switch {
	case err != nil:
		p.fail("tools", err, "install PostgreSQL's client of the server's version, or put it on PATH")
	case p.format == postgres.FormatCustom && m != nil && tool.Number > 0 && major(m.PgDumpVersion) > tool.Number/10000:
		p.fail("tools", fmt.Errorf("%s %s does not read what pg_dump %s wrote", tool.Name, tool.Version, m.PgDumpVersion),
			fmt.Sprintf("install postgresql-client-%d", major(m.PgDumpVersion)))
	default:
		p.ok("tools", tool.Name+" "+tool.Version)
	}
}

func (p *preflight) checkLocale(ctx context.Context) {
	like, err := likeness(ctx, p.instance, p.manifest, p.head)
	if err != nil {
		p.unknown("locale", err)
		return
	}
	detail := strings.Trim(fmt.Sprintf("%s, %s", like.Encoding, like.Collate), ", ")
	switch err := p.instance.CheckLocale(ctx, like); {
	case detail == "":
		p.ok("locale", "as the server's own")
	case errors.Is(err, postgres.ErrNoLocale):
		p.fail("locale", fmt.Errorf("%s: %w", detail, err), "install the locale on the server's host, and restart the server")
	case err != nil:
		p.warn("locale", detail+": it can't be told whether the server has it: "+err.Error(), "")
	default:
		p.ok("locale", detail)
	}
}

// checkSpace holds the free disk against the size of the dump. Data take more room than their dump, by their indexes, and
// less of it than all of it twice, as a rule.
func (p *preflight) checkSpace(ctx context.Context) {
	var need int64
	if p.manifest != nil {
		need = p.manifest.PlainSizeBytes
	}
	free, dir, err := p.instance.FreeSpace(ctx)
	detail := fmt.Sprintf("%s has %s free, and the dump has %s", dir, mebibytes(free), mebibytes(need))
	const remedy = "make room on the disk of the server's data"
	switch {
	case err != nil:
		p.warn("disk", "it can't be told from here how much is free: "+err.Error(), "see that there is room for the database a second time")
	case need == 0:
		p.warn("disk", fmt.Sprintf("%s has %s free; how large the dump is, is not known", dir, mebibytes(free)), "")
	case free < need:
		p.fail("disk", errors.New(detail), remedy)
	case free < 2*need:
		p.warn("disk", detail+"; with its indexes it may be too much", remedy)
	default:
		p.ok("disk", detail)
	}
}

func (p *preflight) checkMissing(ctx context.Context, what, of string, names []string, remedy string) {
	missing, err := p.instance.Missing(ctx, of, names)
	p.missing(what, names, missing, remedy, err)
}

// checkRoles leaves those out that the restore makes.
func (p *preflight) checkRoles(ctx context.Context) {
	needed := p.needs.Roles
	if !p.sandboxed { // whoever loads it sandboxed owns all of it
		needed = slices.Concat(p.needs.Owners, needed)
		slices.Sort(needed)
		needed = slices.Compact(needed)
	}
	missing, err := p.instance.MissingRoles(ctx, needed)
	remedy := "make them first: CREATE ROLE …, with the rights that they had"
	if m := p.manifest; m != nil && m.Globals != nil {
		kept := func(role string) bool {
			return slices.Contains(m.Globals.Roles, role) && !strings.HasPrefix(role, temporaryPrefix)
		}
		if p.withRoles != "" {
			all, made := len(missing), slices.DeleteFunc(slices.Clone(missing), func(role string) bool { return !kept(role) })
			missing = slices.DeleteFunc(missing, kept)
			if may, mayErr := p.instance.MayMakeRoles(ctx); len(missing) < all && mayErr == nil && !may {
				p.fail("roles", fmt.Errorf("the role %q lacks CREATEROLE to make the %d that are missing", p.server.CurrentUser, all-len(missing)), rightsRemedy)
				return
			}
			if len(made) > 0 && len(missing) == 0 && err == nil {
				p.ok("roles", fmt.Sprintf("of %d, %d are missing, which --with-roles makes, with the roles that they are members of: %s", len(needed), len(made), strings.Join(made, ", ")))
				return
			}
		} else if slices.ContainsFunc(missing, kept) {
			remedy = "add --with-roles, which makes them as they are kept with the backup, or make them first"
		}
	}
	p.missing("roles", needed, missing, remedy, err)
}

func (p *preflight) missing(what string, names, missing []string, remedy string, err error) {
	switch {
	case err != nil:
		p.unknown(what, err)
	case len(missing) > 0:
		p.fail(what, fmt.Errorf("%w the %s %s", errMissing, what, strings.Join(missing, ", ")), remedy)
	case len(names) == 0:
		p.ok(what, "none are needed")
	default:
		p.ok(what, fmt.Sprintf("all %d are at hand", len(names)))
	}
}

func (p *preflight) checkEventTriggers() {
	switch count := p.needs.EventTriggers; {
	case count == 0:
		p.ok("event triggers", "none")
	case !p.server.Superuser || p.sandboxed:
		p.fail("event triggers", fmt.Errorf("the dump makes %d, which only a superuser can", count), "restore as a superuser")
	default:
		p.warn("event triggers", fmt.Sprintf("the dump makes %d; they fire in the restored database from then on", count), "")
	}
}

// major is the number that a version begins with; 0 where there is none.
func major(version string) int {
	digits, _, _ := strings.Cut(version, ".")
	number, _ := strconv.Atoi(digits)
	return number
}

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }
