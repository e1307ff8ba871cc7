package fleet

import "time"

// Refusal is what the control plane did not take of what an agent said, because it is over a bound,
// makes no sense or belongs to another; zero if it took all.
type Refusal struct {
	Text  string // the last of them
	Count int64
	At    time.Time
}

// RefusedFor is for how long a refusal is told: what was refused is not there, and
// its agent does not say it again.
const RefusedFor = 24 * time.Hour
