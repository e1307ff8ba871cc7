package catalog

import (
	"context"
	"fmt"
	"net/url"
	"os"
)

// OpenReadOnly opens the catalog at path to read it while the control plane serves it or without
// one. Its schema stays what it is, which may be an earlier one.
func OpenReadOnly(ctx context.Context, path string) (*Catalog, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	db, err := connect(path, connections, url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(10000)"}})
	if err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	c := newCatalog(database{DB: db}, queue{})
	if err := c.Ping(ctx); err != nil {
		_ = db.Close() // it has answered nothing
		return nil, fmt.Errorf("catalog %s: %w", path, err)
	}
	return c, nil
}
