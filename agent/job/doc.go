// Package job runs the agent's work: scheduled and asked-for backups, restores,
// the sending of stored files, and retention. What ends is journaled durably
// until the control plane has acknowledged it; what a crash interrupts is found
// and journaled at the next start. Nothing here needs a control plane.
package job
