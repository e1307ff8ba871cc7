package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
)

// Properties are what a database has of its own, beside what is in it, and what pg_dump leaves out: owner, limit of
// connections, comment, grants, settings, security labels. Template and allowed connections are not among them, as they say
// what may be done with one database and not with a copy of it.
type Properties struct {
	Owner           string    `json:"owner,omitempty"`
	ConnectionLimit int       `json:"connection_limit"` // -1 is none
	Comment         string    `json:"comment,omitempty"`
	Grants          []Grant   `json:"grants"` // null where they are the defaults
	Settings        []Setting `json:"settings,omitempty"`
	Labels          []Label   `json:"security_labels,omitempty"`
}

// Grant is a privilege on a database.
type Grant struct {
	Role      string `json:"role"` // empty is PUBLIC
	Privilege string `json:"privilege"`
	Grantable bool   `json:"grantable,omitempty"`
	// Grantor is who gave it, with a grant option of their own; empty is the owner, and in what was kept before this was looked at.
	Grantor string `json:"grantor,omitempty"`
}

// Setting is a parameter that sessions in a database begin with, of one role or, where that is empty, of all.
type Setting struct {
	Role  string `json:"role,omitempty"`
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Label is a security label.
type Label struct {
	Provider string `json:"provider"`
	Text     string `json:"label"`
}

// properties is one row of one column, a Properties in JSON. What is set stands in pg_db_role_setting as name=value.
const properties = `SELECT pg_catalog.json_build_object(
	'owner', pg_catalog.pg_get_userbyid(d.datdba), 'connection_limit', d.datconnlimit,
	'comment', coalesce(pg_catalog.shobj_description(d.oid, 'pg_database'), ''),
	'grants', CASE WHEN d.datacl <> pg_catalog.acldefault('d', d.datdba) THEN (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
			'role', CASE WHEN a.grantee <> 0 THEN pg_catalog.pg_get_userbyid(a.grantee) ELSE '' END,
			'privilege', a.privilege_type, 'grantable', a.is_grantable,
			'grantor', CASE WHEN a.grantor <> d.datdba THEN pg_catalog.pg_get_userbyid(a.grantor) ELSE '' END) ORDER BY a.grantee, a.privilege_type), '[]')
		FROM pg_catalog.aclexplode(d.datacl) a) END,
	'settings', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
			'role', CASE WHEN s.setrole <> 0 THEN pg_catalog.pg_get_userbyid(s.setrole) ELSE '' END,
			'name', pg_catalog.split_part(pair, '=', 1), 'value', pg_catalog.substr(pair, pg_catalog.strpos(pair, '=') + 1)) ORDER BY s.setrole, n)
		FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) WITH ORDINALITY AS u (pair, n) WHERE s.setdatabase = d.oid),
	'security_labels', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object('provider', l.provider, 'label', l.label))
		FROM pg_catalog.pg_shseclabel l WHERE l.objoid = d.oid AND l.classoid = 'pg_catalog.pg_database'::pg_catalog.regclass))
	FROM pg_catalog.pg_database d WHERE d.datname = $1`

// Properties returns those of a database; ErrNoDatabase where there is none.
func (d *DatabaseAdmin) Properties(ctx context.Context, database string) (Properties, error) {
	rows, err := d.connection.Query(ctx, properties, database)
	if err != nil {
		return Properties{}, err
	}
	if len(rows) == 0 {
		return Properties{}, fmt.Errorf("%w: %q", ErrNoDatabase, database)
	}
	return readProperties(database, rows[0][0])
}

// readProperties reads what the server says, whose JSON is in the encoding of its database, or has names of another in it.
func readProperties(database, answer string) (p Properties, err error) {
	if err := json.Unmarshal([]byte(escapeBytes(answer, `\u0000`)), &p); err != nil {
		return Properties{}, fmt.Errorf("properties of database %q: %w", database, err)
	}
	return p, nil
}

// SetProperties gives a database that was just made these properties. What the instance does not let this role do, as
// where a role is missing, is left out and returned, a sentence each. Foreign properties are those of another instance,
// whose superusers are none here: settings that only a superuser may make are left out, too.
func (d *DatabaseAdmin) SetProperties(ctx context.Context, database string, p Properties, foreign bool) (leftOut []string, err error) {
	if foreign {
		if p.Settings, leftOut, err = d.ownSettings(ctx, p.Settings); err != nil {
			return nil, err
		}
	}
	conn, err := d.connection.administer(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, sql := range p.Statements(database) {
		err := Run(ctx, conn, sql)
		if SQLState(err) == StateOtherEncoding { // what has such a name can only be said in the database itself
			err = d.connection.ExecuteIn(ctx, database, sql)
		}
		if err == nil {
			continue
		}
		if SQLState(err) == "" {
			return leftOut, err // not the server's answer: the connection is gone
		}
		leftOut = append(leftOut, fmt.Sprintf("%s: %v", withoutValue(sql), err))
	}
	return leftOut, nil
}

// ownSettings parts settings into those that any role may make and a sentence for each of the others.
func (d *DatabaseAdmin) ownSettings(ctx context.Context, settings []Setting) (own []Setting, leftOut []string, err error) {
	free, err := d.connection.freeSettings(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range settings {
		if free.has(s.Name) {
			own = append(own, s)
		} else {
			leftOut = append(leftOut, fmt.Sprintf("the setting %s of another instance, which only a superuser may make", QuoteName(s.Name)))
		}
	}
	return own, leftOut, nil
}

// Roles are those that the properties name.
func (p Properties) Roles() []string {
	roles := []string{p.Owner}
	for _, g := range p.Grants {
		roles = append(roles, g.Role, g.Grantor)
	}
	for _, s := range p.Settings {
		roles = append(roles, s.Role)
	}
	slices.Sort(roles)
	return slices.DeleteFunc(slices.Compact(roles), func(role string) bool { return role == "" })
}
