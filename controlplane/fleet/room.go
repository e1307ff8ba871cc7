package fleet

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"
)

// newsBytes bounds the news of one notification, as JSON: receivers of webhooks take
// a hundred KiB and more. It has room for some two hundred ordinary alerts, and for
// the few that are at the bounds of their texts.
const newsBytes = 64 << 10

// pending is an alert that somebody must be told of.
type pending struct {
	news  News      // with the alert as it is once they are told
	until Alert     // as it is kept until there is room for it
	since time.Time // when it became due
	turn  int       // how many news of the same instance go before it
}

func (p pending) order() int {
	return slices.Index([]string{NewsFiring, NewsResolved, NewsReminder}, p.news.Kind)
}

// fit tells as much as one notification has room for. The rest stays as it was and
// so is due at the next look again: nothing is told twice, and nothing is left out
// for good.
func (s *AlertStep) fit(due []pending) {
	inTurn(due)
	room := newsBytes
	for n, p := range due {
		if room -= p.news.size(); room < 0 && n > 0 {
			for _, later := range due[n:] {
				s.Keep = append(s.Keep, later.until)
			}
			s.More = len(due) - n
			return
		}
		s.tell(p.news)
	}
}

func (s *AlertStep) tell(n News) {
	switch n.Kind {
	case NewsFiring:
		s.Firing, s.Keep = append(s.Firing, n.Alert), append(s.Keep, n.Alert)
	case NewsReminder:
		s.Reminders, s.Keep = append(s.Reminders, n.Alert), append(s.Keep, n.Alert)
	case NewsResolved:
		s.Resolved, s.Drop = append(s.Resolved, n.Alert), append(s.Drop, n.AlertKey)
	}
}

// inTurn sorts news so that the first of each instance go before the second of any,
// and the oldest before newer ones: an instance with much to tell, which may be false,
// takes the room of no other.
func inTurn(due []pending) {
	slices.SortStableFunc(due, func(a, b pending) int {
		return cmp.Or(cmp.Compare(a.news.Instance, b.news.Instance), cmp.Compare(a.order(), b.order()), a.since.Compare(b.since))
	})
	for n := range due {
		if n > 0 && due[n].news.Instance == due[n-1].news.Instance {
			due[n].turn = due[n-1].turn + 1
		}
	}
	slices.SortStableFunc(due, func(a, b pending) int { return cmp.Or(cmp.Compare(a.turn, b.turn), a.since.Compare(b.since)) })
}

// size is about what the news take in a message.
func (n News) size() int {
	text, err := json.Marshal(n)
	if err != nil {
		return newsBytes // a time that no message can hold: alone
	}
	return len(text)
}
