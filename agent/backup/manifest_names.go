package backup

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/scan"
)

// Names in a manifest are escaped as postgres.EscapeName does it. The types here are those of a manifest without their methods.
type (
	plainGlobals Globals
)

// MarshalJSON implements json.Marshaler.
func (g Globals) MarshalJSON() ([]byte, error) {
	g.Roles = postgres.ChangeNames(g.Roles, postgres.EscapeName)
	return json.Marshal(plainGlobals(g))
}

// UnmarshalJSON implements json.Unmarshaler.
func (g *Globals) UnmarshalJSON(data []byte) error {
	err := json.Unmarshal(data, (*plainGlobals)(g))
	g.Roles = postgres.ChangeNames(g.Roles, postgres.UnescapeName)
	return err
}

// replacement is what JSON has in the place of bytes that are no UTF-8.
const replacement = "\uFFFD"

// countedTables are the tables of a manifest by which a dump can be held; false where there is none, or where it is of before
// names were escaped and some are lost, so that only the dump says what is in it.
func (m *Manifest) countedTables() ([]scan.TableRows, bool) {
	if m == nil {
		return nil, false
	}
	lost := slices.ContainsFunc(m.Tables, func(t scan.TableRows) bool {
		return strings.Contains(t.Schema, replacement) || strings.Contains(t.Name, replacement)
	})
	return m.Tables, !lost
}

// knownNeeds are those of a manifest; nil where it does not say, or has lost the names of some.
func (m *Manifest) knownNeeds() *scan.Needs {
	lost := func(name string) bool { return strings.Contains(name, replacement) }
	n := m.Needs
	if n == nil || slices.ContainsFunc(slices.Concat(n.Extensions, n.Owners, n.Roles, n.Tablespaces), lost) {
		return nil
	}
	return n
}
