package backup

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/scan"
)

// ErrRowsDiffer reports that a restored database does not hold the rows of its backup.
var ErrRowsDiffer = errors.New("the restored database does not hold the rows of its backup")

// compareRows counts the rows of every table of a restored database and holds them against those that went by in the
// dump. A table of an extension may have more: those that the extension itself brings. What the role of the instance may
// not see all of, because of row security, is not compared.
func compareRows(ctx context.Context, instance *postgres.Instance, database string, want []scan.TableRows, progress *reporter) error {
	tables := make([]postgres.Table, len(want))
	for n, table := range want {
		tables[n] = table.Table()
	}
	counts, err := instance.CountRows(ctx, database, tables, progress.object)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRowsDiffer, err)
	}
	for n, count := range counts {
		if count.Hidden {
			continue
		}
		if count.Rows < want[n].Rows || count.Rows > want[n].Rows && !count.OfExtension {
			return fmt.Errorf("%w: %s.%s has %d rows, and the backup %d", ErrRowsDiffer, want[n].Schema, want[n].Name, count.Rows, want[n].Rows)
		}
	}
	return nil
}

// compareLoaded holds the rows that the server took against those that went by in the dump.
func compareLoaded(got map[postgres.Table]int64, want []scan.TableRows, progress *reporter) error {
	for _, table := range want {
		if rows := got[table.Table()]; rows != table.Rows {
			return fmt.Errorf("%w: %s.%s took %d rows, and the backup has %d", ErrRowsDiffer, table.Schema, table.Name, rows, table.Rows)
		}
	}
	progress.end()
	return nil
}
