package fleet

import (
	"fmt"
	"slices"
	"time"
)

const (
	// RemindAfter is how often somebody is reminded of an alert that stays.
	RemindAfter = 24 * time.Hour
	// ClearFor is how long nothing must be wrong before an alert is resolved. What comes back
	// sooner is the same alert, so that what flaps reports itself once.
	ClearFor = 30 * time.Minute
)

// AlertKey is what an alert is about. If a verdict is about an agent and not one of its databases,
// Database is empty: a host that is down is one alert.
type AlertKey struct {
	Instance string
	Database string
	Verdict  Verdict
}

// Alert is something that is wrong, from the first look that saw it until it has
// been resolved.
type Alert struct {
	AlertKey
	Text     string // as of the last look at which it was wrong
	NextStep string
	Since    time.Time
	// FiredAt is since when it counts as wrong; zero: only seen once, so far.
	FiredAt time.Time
	// ToldAt is when somebody was told last; zero: nobody was, for want of a channel.
	ToldAt time.Time
	// ClearedAt is since when nothing is wrong; zero: something is.
	ClearedAt time.Time
}

// AlertStep is what one look at the fleet changes.
type AlertStep struct {
	// Keep are all alerts as they are after it, and Drop those that have ended.
	Keep []Alert
	Drop []AlertKey
	// What somebody must be told.
	Firing, Reminders, Resolved []Alert
	// More is how many others are due, and had no room: they are told at the next looks.
	More int
}

// ofAgent are the verdicts that are the same for all databases of an instance.
var ofAgent = []Verdict{
	VerdictSilent, VerdictDuplicate, VerdictClock, VerdictCertificate, VerdictOutdated, VerdictSpace, VerdictBlocked, VerdictMissed,
	VerdictRefused,
}

// StepAlerts holds the alerts so far against the statuses of one evaluation. An alert fires at the
// second look in a row that sees it.
func StepAlerts(known []Alert, statuses []DatabaseStatus, now time.Time) AlertStep {
	wrong := alertsOf(statuses)
	var step AlertStep
	var due []pending
	at := map[AlertKey]int{}
	for n, alert := range wrong {
		at[alert.AlertKey] = n
	}
	seen := map[AlertKey]bool{}
	for _, alert := range known {
		seen[alert.AlertKey] = true
		if n, persists := at[alert.AlertKey]; persists {
			due = append(due, step.persists(alert, wrong[n], now)...)
		} else {
			due = append(due, step.clears(alert, now)...)
		}
	}
	step.fit(due)
	for _, alert := range wrong {
		if !seen[alert.AlertKey] {
			alert.Since = now
			step.Keep = append(step.Keep, alert)
		}
	}
	return step
}

const (
	// AlertsOfOne is for how many databases of an instance the same verdict is an
	// alert each. Of more it is one alert of the instance.
	AlertsOfOne = 20
	alertText   = 1000 // bytes
)

// alertsOf are the reasons of all statuses, each once.
func alertsOf(statuses []DatabaseStatus) []Alert {
	var all []Alert
	listed := map[AlertKey]bool{}
	many := map[AlertKey]int{}
	for _, j := range statuses {
		for _, r := range j.Reasons {
			many[AlertKey{Instance: j.Instance, Verdict: r.Verdict}]++
		}
	}
	for _, j := range statuses {
		for _, r := range j.Reasons {
			key := AlertKey{Instance: j.Instance, Database: j.Database, Verdict: r.Verdict}
			alert := Alert{AlertKey: key, Text: Cut(r.Text, alertText), NextStep: Cut(r.NextStep, alertText)}
			key.Database = ""
			if n := many[key]; slices.Contains(ofAgent, r.Verdict) {
				alert.AlertKey = key
			} else if n > AlertsOfOne {
				alert.AlertKey = key
				alert.Text = Cut(fmt.Sprintf("%d databases, of one of them: %s", n, r.Text), alertText)
				alert.NextStep = fmt.Sprintf("pgharbor health --instance %s --verdict %s", j.Instance, r.Verdict)
			}
			if !listed[alert.AlertKey] {
				listed[alert.AlertKey] = true
				all = append(all, alert)
			}
		}
	}
	return all
}

// Untold is the step if there is no channel: what fires is kept as firing, and is told once there is one. It is of the
// alerts that StepAlerts was given.
func (s AlertStep) Untold(known []Alert) AlertStep {
	before := map[AlertKey]Alert{}
	for _, alert := range known {
		before[alert.AlertKey] = alert
	}
	s.Keep = slices.Clone(s.Keep)
	for n, alert := range s.Keep {
		s.Keep[n].ToldAt = before[alert.AlertKey].ToldAt
	}
	s.Firing = slices.DeleteFunc(slices.Clone(s.Firing), func(a Alert) bool { return !before[a.AlertKey].FiredAt.IsZero() })
	s.Reminders = nil
	return s
}

// persists keeps an alert of what is still wrong, or returns the news of it.
func (s *AlertStep) persists(alert, wrong Alert, now time.Time) []pending {
	alert.Text, alert.NextStep, alert.ClearedAt = wrong.Text, wrong.NextStep, time.Time{}
	told := alert
	told.ToldAt = now
	switch {
	case alert.ToldAt.IsZero():
		if alert.FiredAt.IsZero() {
			told.FiredAt = now
		}
		return []pending{{news: News{NewsFiring, told}, until: alert, since: alert.Since}}
	case now.Sub(alert.ToldAt) >= RemindAfter:
		return []pending{{news: News{NewsReminder, told}, until: alert, since: alert.ToldAt.Add(RemindAfter)}}
	}
	s.Keep = append(s.Keep, alert)
	return nil
}

// clears keeps or drops an alert of what is not wrong now, or returns the news of it.
func (s *AlertStep) clears(alert Alert, now time.Time) []pending {
	switch {
	case alert.ToldAt.IsZero(): // told nobody
		s.Drop = append(s.Drop, alert.AlertKey)
		return nil
	case alert.ClearedAt.IsZero():
		alert.ClearedAt = now
	case now.Sub(alert.ClearedAt) >= ClearFor:
		return []pending{{news: News{NewsResolved, alert}, until: alert, since: alert.ClearedAt.Add(ClearFor)}}
	}
	s.Keep = append(s.Keep, alert)
	return nil
}
