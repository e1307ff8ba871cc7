// Package state is the folder in which the agent remembers what must outlive it. Each kind of
// record has a store of its own: the journal of news that the control plane has not acknowledged,
// records of work under way, what checks of backups have found, databases that restores have
// replaced, the history for people on the host, and the checkpoints of the control plane's audit
// log. Every write is durable and all or nothing, and several processes may use one folder.
package state
