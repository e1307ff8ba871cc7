package daemon

import "github.com/pgharbor/pgharbor/agent/job"

// plan is what the environment asks of the agent.
func (s settings) plan() job.Plan {
	plan := job.Plan{
		Source:    job.FromEnvironment,
		Databases: s.Databases, Concurrency: s.Concurrency, Retention: s.Policy, Scrub: s.Scrub, Verify: s.Verify, KeepOldDays: s.KeepOldDays,
	}
	if s.Enabled {
		plan.Schedule = s.Schedule
	}
	return plan
}
