package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
)

// OpenReadOnly opens the catalog at path to look at it, beside the control plane
// that serves it or without one. Its schema stays what it is, which may be an
// earlier one.
func OpenReadOnly(ctx context.Context, path string) (*Catalog, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	query := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(10000)"}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: url.PathEscape(path), RawQuery: query.Encode()}).String())
	if err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	c := &Catalog{db: db}
	if err := c.Ping(ctx); err != nil {
		_ = db.Close() // it has answered nothing
		return nil, fmt.Errorf("catalog %s: %w", path, err)
	}
	return c, nil
}
