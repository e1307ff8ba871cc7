// Package policy is the say that an agent's host has: what the control plane may ask of the agent,
// in a file that only the host's own people can write. Without the file the defaults hold, which
// are safe; a file that can't be read, or that others may write to, allows nothing.
package policy

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// DefaultPath is where the file is unless somebody names another.
const DefaultPath = "/etc/pgharbor/agent-policy.json"

// The jobs that a control plane may ask for, by the words that the log and the control plane have for them.
var allJobs = []string{"backup", "hold", "preview", "release", "restore", "send", "undo", "verify"}

const (
	maxSources = 100
	maxGlob    = 128 // bytes
)

// Policy is what the control plane may ask for. What people do on the host by hand it does not
// bound, but for whose passphrase MAC counts: RestoreFrom.
type Policy struct {
	// Jobs are the kinds of job that are done.
	Jobs []string
	// Replace: a restore may take the place of a database in service, and an undo put the other back.
	Replace bool
	// RestoreFrom are the other instances, as globs, that are trusted as this one is: if a manifest
	// of theirs has a passphrase MAC of this host's, it proves who made it.
	RestoreFrom []string
	// Unproven: a file of another instance may be restored, sandboxed, although nothing on this
	// host proves who made it.
	Unproven bool
	// SuperuserRoles: a restore may make roles with superuser attributes.
	SuperuserRoles bool
	// TrustContent: the code in a dump may run with all the rights of the agent, if somebody asks
	// for that.
	TrustContent bool
	// ReleaseHostHolds: holds that were set on this host may be released or replaced.
	ReleaseHostHolds bool
}

// Default is the policy of a host without a file. A database may be replaced, because that is what
// the worst day takes and the one that was there is kept under another name; all else that could
// give somebody more than they had must be allowed by name.
func Default() Policy {
	return Policy{Jobs: slices.Clone(allJobs), Replace: true, RestoreFrom: []string{}}
}

func (p Policy) check() error {
	for _, kind := range p.Jobs {
		if !slices.Contains(allJobs, kind) {
			return fmt.Errorf("jobs: %q is none; there are %s", kind, strings.Join(allJobs, ", "))
		}
	}
	if len(p.Jobs) > len(allJobs) {
		return errors.New("jobs: one is there twice")
	}
	if len(p.RestoreFrom) > maxSources {
		return fmt.Errorf("restore_from: it has %d instances, and may have %d", len(p.RestoreFrom), maxSources)
	}
	for _, glob := range p.RestoreFrom {
		if _, err := path.Match(glob, ""); err != nil || glob == "" || len(glob) > maxGlob {
			return fmt.Errorf("restore_from: %.*q is no glob of an instance's name", maxGlob, glob)
		}
	}
	return nil
}

// Allows reports whether jobs of a kind are done.
func (p Policy) Allows(kind string) bool { return slices.Contains(p.Jobs, kind) }

// Trusts reports whether another instance is named as one whose passphrase MAC counts.
func (p Policy) Trusts(instance string) bool {
	return slices.ContainsFunc(p.RestoreFrom, func(glob string) bool {
		matches, _ := path.Match(glob, instance)
		return matches
	})
}

// String is the policy in a line.
func (p Policy) String() string {
	parts := []string{"jobs " + listed(p.Jobs)}
	for _, rule := range []struct {
		allowed bool
		what    string
	}{
		{p.Replace, "replacing a database"},
		{p.Unproven, "unproven files, sandboxed"},
		{p.SuperuserRoles, "superuser roles"},
		{p.TrustContent, "trust in the content of dumps"},
		{p.ReleaseHostHolds, "release of holds set on this host"},
	} {
		word := "no "
		if rule.allowed {
			word = ""
		}
		parts = append(parts, word+rule.what)
	}
	return strings.Join(append(parts, "other instances whose passphrase counts: "+listed(p.RestoreFrom)), "; ")
}

func listed(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}
