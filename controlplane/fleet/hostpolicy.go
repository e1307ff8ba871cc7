package fleet

import (
	"fmt"
	"path"
	"slices"
)

// Denies is what this policy does not let a job do; "" if it lets it, and if nothing is known. A
// policy may have changed since its agent told it: so this is for a warning, and not to refuse by.
func (p *HostPolicy) Denies(job Job) string {
	if p == nil {
		return ""
	}
	spec := job.Spec
	switch {
	case p.Warning != "":
		return "its policy can't be used"
	case !slices.Contains(p.Jobs, string(job.Kind)):
		return fmt.Sprintf("jobs has no %s", job.Kind)
	case spec.SourceInstance != "" && !p.Unproven && !p.trusts(spec.SourceInstance):
		return fmt.Sprintf("restore_from does not name %q", spec.SourceInstance)
	case !p.Replace && (spec.Replace || job.Kind == JobUndo):
		return "replace is false"
	case !p.SuperuserRoles && spec.WithRoles == RolesSuperuser:
		return "superuser_roles is false"
	case !p.TrustContent && spec.TrustContent:
		return "trust_content is false"
	}
	return ""
}

// trusts reports whether files of another instance are taken as the host's own, by the globs that agents have.
func (p *HostPolicy) trusts(instance string) bool {
	return slices.ContainsFunc(p.RestoreFrom, func(glob string) bool {
		matches, err := path.Match(glob, instance)
		return err == nil && matches
	})
}
