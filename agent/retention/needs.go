package retention

import "fmt"

// needs is which backup depends on which.
type needs struct {
	backups map[string]Backup // by id
	state   map[string]state  // of what was looked at
}

// state is what a look at a backup and all that it depends on has found.
type state int

const (
	looking state = iota + 1 // the look has not ended: who comes here again has gone in a circle
	whole
	lacking // something that it depends on is not good, not known, or depends on it
)

func needsOf(backups []Backup) *needs {
	n := &needs{backups: make(map[string]Backup, len(backups)), state: make(map[string]state)}
	for _, b := range backups {
		n.backups[b.ID] = b
	}
	return n
}

// whole reports whether a backup is good, and all that it depends on, near and far.
func (n *needs) whole(b Backup) bool {
	if len(b.DependsOn) == 0 || !b.Good {
		return b.Good
	}
	if n.state[b.ID] == 0 {
		n.state[b.ID] = looking
		found := whole
		for _, id := range b.DependsOn {
			if other, known := n.backups[id]; !known || !n.whole(other) {
				found = lacking
			}
		}
		n.state[b.ID] = found
	}
	return n.state[b.ID] == whole
}

// broken says why what a backup depends on makes no sense, so that nothing is decided by it; "" where it does.
func (n *needs) broken(b Backup) string {
	seen := map[string]bool{}
	next := b.DependsOn
	for len(next) > 0 {
		id := next[0]
		next = next[1:]
		other, known := n.backups[id]
		switch {
		case !known:
			return fmt.Sprintf("it depends on the backup %s, which is not known here", id)
		case id == b.ID:
			return "it depends on itself, by way of the backups that it depends on"
		case !seen[id]:
			seen[id] = true
			next = append(next[:len(next):len(next)], other.DependsOn...)
		}
	}
	return ""
}

// keep changes the decisions on what a backup that stays depends on, near and far.
func (n *needs) keep(decisions []Decision) {
	at := make(map[string][]int, len(decisions))
	var stay []string
	for i, d := range decisions {
		at[d.ID] = append(at[d.ID], i)
		if d.Keep {
			stay = append(stay, d.ID)
		}
	}
	for len(stay) > 0 {
		by := stay[0]
		stay = stay[1:]
		for _, id := range n.backups[by].DependsOn {
			for _, i := range at[id] {
				if d := &decisions[i]; !d.Keep {
					d.Keep, d.Status = true, StatusNeeded
					d.Reason = fmt.Sprintf("it is past its days, but the backup %s, which stays, depends on it", by)
					stay = append(stay, id)
				}
			}
		}
	}
}
