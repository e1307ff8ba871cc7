package catalog

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

const (
	defaultPageSize = 100
	maxPageSize     = 1000
)

// Page asks for a part of a list that runs from the newest to the oldest. Its
// token names the last row that was seen, so rows that are added meanwhile
// shift nothing.
type Page struct {
	Size  int    // 0 means 100; at most 1000
	Token string // empty for the first page
}

func (p Page) limit() int {
	switch {
	case p.Size <= 0:
		return defaultPageSize
	case p.Size > maxPageSize:
		return maxPageSize
	default:
		return p.Size
	}
}

// after returns the position that the page starts behind, or the far future.
func (p Page) after() (micros int64, id string, err error) {
	if p.Token == "" {
		return 1<<63 - 1, "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(p.Token)
	if err == nil {
		_, err = fmt.Sscanf(string(raw), "%d %s", &micros, &id)
	}
	if err != nil || strings.ContainsAny(id, " \n") {
		return 0, "", fleet.NewProblem(fleet.ErrInvalid, "the page token is not one that was handed out")
	}
	return micros, id, nil
}

func token(at time.Time, id string) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %s", at.UnixMicro(), id))
}

// paged cuts a list that was read with one row too many to its page, and
// returns the token of the next page, empty at the end.
func paged[T any](all []T, p Page, position func(T) (time.Time, string)) ([]T, string) {
	if len(all) <= p.limit() {
		return all, ""
	}
	all = all[:p.limit()]
	return all, token(position(all[len(all)-1]))
}

// filter collects the conditions of a list.
type filter struct {
	conditions []string
	args       []any
}

func (f *filter) where(condition string, args ...any) {
	f.conditions = append(f.conditions, condition)
	f.args = append(f.args, args...)
}

// page adds the condition that starts the page, for rows ordered by the time
// column and then by id, both descending.
func (f *filter) page(p Page, column string) error {
	micros, id, err := p.after()
	if err != nil {
		return err
	}
	f.where("("+column+", id) < (?, ?)", micros, id)
	return nil
}

// sql returns the WHERE clause.
func (f *filter) sql() string {
	if len(f.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(f.conditions, " AND ")
}
