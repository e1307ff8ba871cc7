package load

import (
	"maps"
	"slices"
	"sync"

	"github.com/pgharbor/pgharbor/agent/postgres"
)

// progress counts the rows that are loaded. Several goroutines may use it.
type progress struct {
	onTable func()

	mu      sync.Mutex
	rows    map[postgres.Table]int64
	waiting map[string]bool // tables that wait for their rows, as the dump has their names
}

func newProgress(onTable func()) *progress {
	return &progress{onTable: onTable, rows: map[postgres.Table]int64{}, waiting: map[string]bool{}}
}

// await says which tables are to get rows.
func (p *progress) await(tables []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range tables {
		p.waiting[name] = true
	}
}

// loaded adds to the rows of a table, named as in the dump, which waits no more.
func (p *progress) loaded(name string, rows int64) {
	p.mu.Lock()
	p.rows[postgres.TableOf(name)] += rows
	delete(p.waiting, name)
	p.mu.Unlock()
	p.onTable()
}

// missing are the tables that still wait for their rows.
func (p *progress) missing() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.waiting))
}
