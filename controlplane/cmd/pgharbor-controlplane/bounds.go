package main

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// keptDays is fleet.Keep in days, as people give it.
type keptDays struct{ runs, jobs, removed, invites int }

func (d keptDays) keep() fleet.Keep {
	const forEver = 36_500 // and more days than a duration holds
	of := func(days int) time.Duration { return time.Duration(min(days, forEver)) * oneDay }
	return fleet.Keep{Runs: of(d.runs), Jobs: of(d.jobs), Removed: of(d.removed), Invites: of(d.invites)}
}

const oneDay = 24 * time.Hour

// boundFlags are what one agent may hold in the catalog, and for how long what is
// over is kept there.
func boundFlags(flags *pflag.FlagSet, share *fleet.Share, days *keptDays) {
	flags.IntVar(&share.Databases, "agent-databases", share.Databases, "databases that one agent may have; health of that agent says what is over, here and below")
	flags.IntVar(&share.Backups, "agent-backups", share.Backups, "backups that one agent may have listed")
	flags.IntVar(&share.Runs, "agent-runs", share.Runs, "runs of one agent that are kept; of more, the oldest go")
	flags.Int64Var(&share.Bytes, "agent-bytes", share.Bytes, "bytes that the manifests and errors of one agent may take")
	kept := func(to *int, name string, of time.Duration, usage string) {
		flags.IntVar(to, name, int(of/oneDay), usage)
	}
	kept(&days.runs, "runs-days", fleet.DefaultKeep.Runs, "days for which runs are kept; what health is evaluated from stays longer, here and below")
	kept(&days.jobs, "jobs-days", fleet.DefaultKeep.Jobs, "days for which jobs that have ended and settled requests for an approval are kept")
	kept(&days.removed, "removed-days", fleet.DefaultKeep.Removed, "days for which backups stay listed that retention has removed")
	kept(&days.invites, "invites-days", fleet.DefaultKeep.Invites, "days for which invites are kept that have expired")
}
