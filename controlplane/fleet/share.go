package fleet

import "math"

// Share is what one agent may hold in the catalog. What exceeds it is refused, and
// said in the health of that agent alone. All agents together are bounded by that:
// an agent is one whom an OWNER has invited.
type Share struct {
	// Databases is how many names of databases: those that exist on the instance,
	// and those of which there are backups or runs.
	Databases int
	// Backups are those that are listed, also the removed ones until they are
	// pruned.
	Backups int
	// Runs are those that are kept; of more, the oldest go.
	Runs int
	// Bytes is what the texts of its backups and runs take: manifests, lists of
	// tables, warnings, errors.
	Bytes int64
}

// DefaultShare is far more than any instance has had.
var DefaultShare = Share{Databases: 2000, Backups: 100_000, Runs: 200_000, Bytes: 2 << 30}

// MaxDatabases is the most that a share can allow: the sizes of so many backups,
// each of MaxSize, still have a sum.
const MaxDatabases = 4096

// MaxSize bounds a size in bytes that an agent tells: a PiB.
const MaxSize = 1 << 50

// RunsUnderWay bounds the runs of one agent that are under way at a time.
const RunsUnderWay = 256

// AddSizes is the sum of two sizes, or the largest number if there is none.
func AddSizes(a, b int64) int64 {
	if b > 0 && a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
