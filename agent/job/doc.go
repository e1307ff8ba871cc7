// Package job runs the agent's work: scheduled and asked-for backups, restores,
// test restores, the sending of stored files, and retention. What ends is
// journaled durably until the control plane has acknowledged it; what a crash
// interrupts is found and journaled at the next start. Nothing here needs a
// control plane.
//
// New puts a Runner together from parts, each of which is one idea:
//
//   - Plans holds the plan in force: schedule, databases, retention, verification
//     and bounds, one value that is replaced as a whole.
//   - scheduler has the goroutines that wait: one each for rounds, retention, the
//     status, test restores and scrubs.
//   - Queue does the jobs of the control plane, a goroutine a job. Each kind of job
//     is a Spec, in a file spec_KIND.go.
//   - Runs makes backups; purger removes them; Holds keeps them from it; scrubber
//     reads them again; InventoryReader lists them.
//   - Restorer fills databases, from what fetcher brings where another instance has
//     the backup; Displacements keeps those that were replaced;
//     Verifier restores for nothing but the proof; orphans and Recovery remove what
//     was broken off.
//   - admission is what the host allows and with whose rights a file is loaded.
//   - recorder journals how work ended; warnings and StatusReader say how it stands.
//
// A part guards its own fields by a mutex mu, which it does not hold while it calls
// another part. Two locks are held for long: purger's, by one purge at a time, and
// removalLock, by one who removes, holds or releases a backup.
package job
