package scan

import (
	"encoding/json"

	"github.com/pgharbor/pgharbor/agent/postgres"
)

// Names in a manifest are escaped as postgres.EscapeName does it. The types here are those of a manifest without their methods.
type (
	plainTableRows TableRows
	plainNeeds     Needs
)

// MarshalJSON implements json.Marshaler.
func (t TableRows) MarshalJSON() ([]byte, error) {
	return json.Marshal(plainTableRows(t.changed(postgres.EscapeName)))
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *TableRows) UnmarshalJSON(data []byte) error {
	err := json.Unmarshal(data, (*plainTableRows)(t))
	*t = t.changed(postgres.UnescapeName)
	return err
}

func (t TableRows) changed(change func(string) string) TableRows {
	t.Schema, t.Name = change(t.Schema), change(t.Name)
	return t
}

// MarshalJSON implements json.Marshaler.
func (n Needs) MarshalJSON() ([]byte, error) {
	return json.Marshal(plainNeeds(n.changed(postgres.EscapeName)))
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *Needs) UnmarshalJSON(data []byte) error {
	err := json.Unmarshal(data, (*plainNeeds)(n))
	*n = n.changed(postgres.UnescapeName)
	return err
}

func (n Needs) changed(change func(string) string) Needs {
	for _, names := range []*[]string{&n.Extensions, &n.Owners, &n.Members, &n.Roles, &n.Tablespaces} {
		*names = postgres.ChangeNames(*names, change)
	}
	return n
}
