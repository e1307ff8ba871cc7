package fleet

import "time"

// The kinds of news about an alert.
const (
	NewsFiring   = "firing"
	NewsReminder = "reminder"
	NewsResolved = "resolved"
	NewsTest     = "test"
)

// News is one alert of which somebody is told.
type News struct {
	Kind string `json:"kind"`
	Alert
}

// Notification is news on their way over one channel. The same notification may
// arrive twice, and has the same id then.
type Notification struct {
	ID        string
	Channel   string
	News      []News
	More      int // due at the same time, and told by those that follow
	CreatedAt time.Time
	Attempts  int
	NextAt    time.Time // when it is tried next
}

// News are all that a step tells, the new alerts first.
func (s AlertStep) News() []News {
	var all []News
	for _, of := range []struct {
		kind   string
		alerts []Alert
	}{{NewsFiring, s.Firing}, {NewsResolved, s.Resolved}, {NewsReminder, s.Reminders}} {
		for _, alert := range of.alerts {
			all = append(all, News{Kind: of.kind, Alert: alert})
		}
	}
	return all
}
