package scan

import (
	"bytes"
	"slices"
	"strings"
)

// maxNeeds bounds what is remembered of each kind, and is more than any server has.
const maxNeeds = 10000

// Needs is what a dump takes for granted of the server that it is restored to: each is missing where a restore fails.
type Needs struct {
	Extensions []string `json:"extensions,omitempty"`
	Owners     []string `json:"owners,omitempty"` // and whom default privileges are of or for
	// Members are those of the owners that whoever restores must be a member of, unless it is a superuser: who owns something,
	// and whose default privileges are set. Nobody, in manifests of before this was looked for.
	Members       []string `json:"members,omitempty"`
	Roles         []string `json:"roles,omitempty"` // who has or had grants, and whom policies are for
	Tablespaces   []string `json:"tablespaces,omitempty"`
	EventTriggers int      `json:"event_triggers,omitempty"`
}

// needs finds in the tokens of a dump what that needs, in the statements that pg_dump writes:
//
//	CREATE EXTENSION [IF NOT EXISTS] name …; CREATE EVENT TRIGGER …; SET default_tablespace = name;
//	ALTER … OWNER TO role; GRANT … TO role; REVOKE … FROM role; CREATE POLICY … TO role, role …;
//	ALTER DEFAULT PRIVILEGES FOR ROLE role …; CREATE USER MAPPING FOR role …
type needs struct {
	Needs

	want          want
	idle          bool // the statement is none of those
	count         int  // of its tokens
	first, second string
	before        string // the token before this one
	depth         int    // of parentheses
}

// want says what the next name is.
type want int

const (
	wantNothing want = iota
	wantExtension
	wantOwner
	wantDefault // whom default privileges are for
	wantRole
	wantTablespace
	wantComma // behind a role: after one, there is another
)

// token takes a word or a quoted name.
func (n *needs) token(text []byte, quoted bool) {
	if n.idle {
		return
	}
	n.count++
	keyword := ""
	if !quoted {
		keyword = strings.ToUpper(string(text))
	}
	if n.take(text, keyword, quoted) {
		return
	}
	switch n.count {
	case 1:
		n.first = keyword
		n.idle = !slices.Contains([]string{"CREATE", "ALTER", "GRANT", "REVOKE", "SET"}, keyword)
	case 2:
		n.second = keyword
		if keyword == "EVENT" && n.first == "CREATE" {
			n.EventTriggers++
		}
	}
	n.want = n.next(keyword)
	n.before = keyword
}

// take takes a token that is wanted, and says whether it was one.
func (n *needs) take(text []byte, keyword string, quoted bool) bool {
	switch keyword {
	case "IF", "NOT", "EXISTS":
		return n.want == wantExtension
	case "GROUP", "ROLE":
		if n.want == wantRole || n.want == wantOwner || n.want == wantDefault {
			return true
		}
	case "TO":
		if n.want == wantTablespace {
			return true
		}
	}
	name := string(text)
	if !quoted {
		name = string(bytes.ToLower(text))
	}
	switch n.want {
	case wantExtension:
		add(&n.Extensions, name)
	case wantTablespace:
		add(&n.Tablespaces, name)
	case wantOwner, wantDefault, wantRole:
		if !slices.Contains([]string{"PUBLIC", "CURRENT_USER", "CURRENT_ROLE", "SESSION_USER"}, keyword) {
			n.role(name)
		}
		if n.want == wantRole {
			n.want = wantComma
			return true
		}
	default:
		return false
	}
	n.want = wantNothing
	return true
}

// role adds one to where it is wanted.
func (n *needs) role(name string) {
	switch n.want {
	case wantRole:
		add(&n.Roles, name)
	case wantOwner:
		add(&n.Members, name)
		add(&n.Owners, name)
	default:
		add(&n.Owners, name)
	}
}

// next says what comes after a keyword.
func (n *needs) next(keyword string) want {
	statement := n.first + " " + n.second
	switch keyword {
	case "EXTENSION":
		if n.first == "CREATE" && n.count == 2 {
			return wantExtension
		}
	case "DEFAULT_TABLESPACE":
		if n.first == "SET" && n.count == 2 {
			return wantTablespace
		}
	case "TO":
		if n.first == "ALTER" && n.before == "OWNER" {
			return wantOwner
		}
		if n.depth == 0 && (n.first == "GRANT" || statement == "CREATE POLICY") {
			return wantRole
		}
		if statement == "ALTER DEFAULT" {
			return wantDefault
		}
	case "FROM":
		if n.depth == 0 && n.first == "REVOKE" {
			return wantRole
		}
		if statement == "ALTER DEFAULT" {
			return wantDefault
		}
	case "FOR":
		if statement == "CREATE USER" {
			return wantRole
		}
	case "ROLE":
		if statement == "ALTER DEFAULT" && n.before == "FOR" {
			return wantOwner
		}
	}
	return wantNothing
}

// symbol takes a sign of punctuation, or the quote of a string.
func (n *needs) symbol(c byte) {
	switch {
	case c == '=' && n.want == wantTablespace:
		return
	case c == ',' && n.want == wantComma:
		n.want = wantRole
		return
	case c == '(':
		n.depth++
	case c == ')':
		n.depth--
	}
	n.want = wantNothing
}

// end takes the semicolon.
func (n *needs) end() {
	*n = needs{Needs: n.Needs}
}

func add(names *[]string, name string) {
	at, found := slices.BinarySearch(*names, name)
	if !found && len(*names) < maxNeeds {
		*names = slices.Insert(*names, at, name)
	}
}
