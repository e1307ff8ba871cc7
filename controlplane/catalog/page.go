package catalog

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

const (
	defaultPageSize = 100
	maxPageSize     = 1000
	// answerBytes bounds the texts of one answer: most rows have a few hundred bytes,
	// and one at the bounds of every field a hundred thousand.
	answerBytes = 1 << 20
)

// Page asks for a part of a list that runs from the newest to the oldest. It ends sooner if its
// rows are large. Its token names the last row that was seen, so rows that are added meanwhile
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

// paged reads the rows of a page, of a query with room for one more, and the token of
// the next page, empty at the end.
func paged[T any](ctx context.Context, q queryer, scan func(row) (T, error), p Page, position func(T) (time.Time, string),
	query string, args ...any,
) ([]T, string, error) {
	all, more, err := collectWithin(ctx, q, scan, p.limit(), query, args...)
	if err != nil || !more {
		return all, "", err
	}
	return all, token(position(all[len(all)-1])), nil
}

// collectWithin reads so many rows of a query at most, and no more once their texts
// have reached answerBytes. It says whether there are more.
func collectWithin[T any](ctx context.Context, q queryer, scan func(row) (T, error), most int, query string, args ...any) (all []T, more bool, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	read := &weighed{row: rows}
	for rows.Next() {
		if len(all) == most || read.bytes >= answerBytes {
			return all, true, nil
		}
		one, err := scan(read)
		if err != nil {
			return nil, false, err
		}
		all = append(all, one)
	}
	return all, false, rows.Err()
}

// weighed counts the bytes of the texts that it scans.
type weighed struct {
	row
	bytes int
}

// Scan implements row.
func (w *weighed) Scan(columns ...any) error {
	err := w.row.Scan(columns...)
	for _, column := range columns {
		switch text := column.(type) {
		case *string:
			w.bytes += len(*text)
		case *[]byte:
			w.bytes += len(*text)
		}
	}
	return err
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
