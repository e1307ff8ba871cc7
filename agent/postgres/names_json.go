package postgres

import (
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// EscapeName makes a name, or another text of a server, fit for JSON, which holds UTF-8 alone: names are bytes in whatever
// encoding their database has. Each byte that is no UTF-8 becomes a NUL and two hexadecimal digits. No text of PostgreSQL has
// a NUL, so that no name is taken for another one; one in a hostile dump is escaped too.
func EscapeName(name string) string {
	if utf8.ValidString(name) && !strings.Contains(name, "\x00") {
		return name
	}
	return escapeBytes(name, "\x00")
}

// UnescapeName is the name of which EscapeName made this one. What EscapeName does not make is a name as it is.
func UnescapeName(escaped string) string {
	parts := strings.Split(escaped, "\x00")
	var name strings.Builder
	name.WriteString(parts[0])
	for _, part := range parts[1:] {
		if len(part) < 2 {
			return escaped
		}
		c, err := hex.DecodeString(part[:2])
		if err != nil {
			return escaped
		}
		name.Write(c)
		name.WriteString(part[2:])
	}
	if EscapeName(name.String()) != escaped {
		return escaped
	}
	return name.String()
}

// ChangeNames applies EscapeName or UnescapeName to many.
func ChangeNames(names []string, change func(string) string) []string {
	if names == nil {
		return nil
	}
	changed := slices.Clone(names)
	for n, name := range names {
		changed[n] = change(name)
	}
	return changed
}

// escapeBytes puts mark and two hexadecimal digits in the place of each byte that is NUL or no UTF-8.
func escapeBytes(text, mark string) string {
	var escaped strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		if r == 0 || r == utf8.RuneError && size == 1 {
			escaped.WriteString(mark)
			escaped.WriteString(hex.EncodeToString([]byte(text[:1])))
		} else {
			escaped.WriteString(text[:size])
		}
		text = text[size:]
	}
	return escaped.String()
}

// plainProperties are Properties without the methods that follow, with the tags of its fields.
type plainProperties Properties

// MarshalJSON implements json.Marshaler.
func (p Properties) MarshalJSON() ([]byte, error) {
	return json.Marshal(plainProperties(p.changed(EscapeName)))
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *Properties) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, (*plainProperties)(p)); err != nil {
		return err
	}
	*p = p.changed(UnescapeName)
	return nil
}

// changed are the properties with all of their text changed.
func (p Properties) changed(change func(string) string) Properties {
	p.Owner, p.Comment = change(p.Owner), change(p.Comment)
	p.Grants, p.Settings, p.Labels = slices.Clone(p.Grants), slices.Clone(p.Settings), slices.Clone(p.Labels)
	for n := range p.Grants {
		g := &p.Grants[n]
		g.Role, g.Grantor = change(g.Role), change(g.Grantor)
	}
	for n := range p.Settings {
		s := &p.Settings[n]
		s.Role, s.Name, s.Value = change(s.Role), change(s.Name), change(s.Value)
	}
	for n := range p.Labels {
		p.Labels[n].Text = change(p.Labels[n].Text)
	}
	return p
}
