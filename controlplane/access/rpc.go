package access

import (
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// Rule is what an RPC asks of its caller. The zero Rule lets nobody pass.
type Rule struct {
	// Anonymous: no certificate is asked for. Only enrolment is.
	Anonymous bool
	// Enrolled: any agent or person.
	Enrolled bool
	// Person: any person, about themselves.
	Person bool
	// Agent: any agent; what it may touch is its own instance.
	Agent bool
	// Permission: a person who has it, as far as Scoping says.
	Permission fleet.Permission
	// Egress is what the call needs in addition, on the instance of the request's first subject, if
	// another subject is of another instance.
	Egress fleet.Permission
	// Scoping says how the RPC is held within its caller's scope.
	Scoping Scoping
}

// byRPC is the table of RPCs, by full method name.
var byRPC = map[string]Rule{
	"/pgharbor.v1.EnrollmentService/Enroll": {Anonymous: true, Scoping: byNothing},

	"/pgharbor.v1.IdentityService/GetIdentity":      {Enrolled: true, Scoping: byNothing},
	"/pgharbor.v1.IdentityService/RenewCertificate": {Enrolled: true, Scoping: byNothing},
	"/pgharbor.v1.IdentityService/SyncAuthorities":  {Enrolled: true, Scoping: byNothing},
	"/pgharbor.v1.IdentityService/ListDevices":      {Person: true, Scoping: byNothing},
	"/pgharbor.v1.IdentityService/RevokeDevice":     {Person: true, Scoping: byNothing},
	"/grpc.health.v1.Health/Check":                  {Enrolled: true, Scoping: byNothing},
	"/grpc.health.v1.Health/List":                   {Enrolled: true, Scoping: byNothing},
	"/grpc.health.v1.Health/Watch":                  {Enrolled: true, Scoping: byNothing},

	"/pgharbor.v1.SessionService/Connect": {Agent: true, Scoping: byCertificate},
	"/pgharbor.v1.TransferService/Upload": {Agent: true, Scoping: byCertificate},
	"/pgharbor.v1.TransferService/Fetch":  {Agent: true, Scoping: byCertificate},

	"/pgharbor.v1.BackupService/ListBackups":   {Permission: fleet.PermissionBackupList, Scoping: filtered(instance("instance"))},
	"/pgharbor.v1.BackupService/GetBackup":     {Permission: fleet.PermissionBackupList, Scoping: about(backup("id"))},
	"/pgharbor.v1.BackupService/StartBackup":   {Permission: fleet.PermissionBackupRun, Scoping: about(instance("instance"))},
	"/pgharbor.v1.BackupService/VerifyBackup":  {Permission: fleet.PermissionBackupVerify, Scoping: about(backup("id"))},
	"/pgharbor.v1.BackupService/HoldBackup":    {Permission: fleet.PermissionBackupHold, Scoping: about(backup("id"))},
	"/pgharbor.v1.BackupService/ReleaseBackup": {Permission: fleet.PermissionBackupHold, Scoping: about(backup("id"))},
	"/pgharbor.v1.RunService/ListRuns":         {Permission: fleet.PermissionBackupList, Scoping: filtered(instance("instance"))},
	"/pgharbor.v1.JobService/GetJob":           {Permission: fleet.PermissionBackupList, Scoping: about(job("id"))},
	"/pgharbor.v1.JobService/WatchJob":         {Permission: fleet.PermissionBackupList, Scoping: about(job("id"))},
	"/pgharbor.v1.RestoreService/CreateRestore": {
		Permission: fleet.PermissionBackupRestore, Egress: fleet.PermissionBackupExport, Scoping: about(backup("backup_id"), instance("target_instance")),
	},
	"/pgharbor.v1.RestoreService/PreviewRestore":   {Permission: fleet.PermissionBackupRestore, Scoping: about(backup("backup_id"))},
	"/pgharbor.v1.RestoreService/UndoRestore":      {Permission: fleet.PermissionBackupRestore, Scoping: about(job("restore_id"))},
	"/pgharbor.v1.RestoreService/GetRestore":       {Permission: fleet.PermissionBackupList, Scoping: about(job("id"))},
	"/pgharbor.v1.RestoreService/ListRestores":     {Permission: fleet.PermissionBackupList, Scoping: filtered(instance("instance"))},
	"/pgharbor.v1.TransferService/Download":        {Permission: fleet.PermissionBackupDownload, Scoping: about(backup("backup_id"))},
	"/pgharbor.v1.RetentionService/ListRetentions": {Permission: fleet.PermissionHealthRead, Scoping: filtered(instance("instance"))},
	"/pgharbor.v1.HealthService/GetHealth":         {Permission: fleet.PermissionHealthRead, Scoping: filtered(instance("instance"))},
	"/pgharbor.v1.HealthService/WatchHealth":       {Permission: fleet.PermissionHealthRead, Scoping: filtered(instance("instance"))},
	"/pgharbor.v1.HealthService/ListThresholds":    {Permission: fleet.PermissionHealthRead, Scoping: filtered()},
	"/pgharbor.v1.HealthService/SetThreshold":      {Permission: fleet.PermissionUserManage, Scoping: byFleet},
	"/pgharbor.v1.HealthService/RemoveThreshold":   {Permission: fleet.PermissionUserManage, Scoping: byFleet},

	"/pgharbor.v1.AlertService/ListAlerts": {Permission: fleet.PermissionHealthRead, Scoping: filtered()},
	"/pgharbor.v1.AlertService/TestAlerts": {Permission: fleet.PermissionUserManage, Scoping: byFleet},

	"/pgharbor.v1.AgentService/ListAgents":        {Permission: fleet.PermissionHealthRead, Scoping: filtered()},
	"/pgharbor.v1.AgentService/GetAgent":          {Permission: fleet.PermissionHealthRead, Scoping: about(instance("name"))},
	"/pgharbor.v1.AgentService/CreateAgentInvite": {Permission: fleet.PermissionAgentManage, Scoping: about(instance("name"))},
	"/pgharbor.v1.AgentService/RevokeAgent":       {Permission: fleet.PermissionAgentManage, Scoping: about(instance("name"))},

	"/pgharbor.v1.UserService/ListUsers":        {Permission: fleet.PermissionUserManage, Scoping: byFleet},
	"/pgharbor.v1.UserService/CreateUserInvite": {Permission: fleet.PermissionUserManage, Scoping: byFleet},
	"/pgharbor.v1.UserService/UpdateUser":       {Permission: fleet.PermissionUserManage, Scoping: byFleet},
	"/pgharbor.v1.UserService/RevokePermission": {Permission: fleet.PermissionUserManage, Scoping: byFleet},
	"/pgharbor.v1.UserService/ListUserDevices":  {Permission: fleet.PermissionUserManage, Scoping: byFleet},
	"/pgharbor.v1.UserService/RevokeUserDevice": {Permission: fleet.PermissionUserManage, Scoping: byFleet},
	"/pgharbor.v1.UserService/GrantPermission":  {Permission: fleet.PermissionUserManage, Scoping: byFleet},
	"/pgharbor.v1.UserService/RevokeUser":       {Permission: fleet.PermissionUserManage, Scoping: byFleet},

	"/pgharbor.v1.AuditService/ListAuditEntries":   {Permission: fleet.PermissionAuditRead, Scoping: byFleet},
	"/pgharbor.v1.AuditService/ExportAuditEntries": {Permission: fleet.PermissionAuditRead, Scoping: byFleet},
	"/pgharbor.v1.AuditService/ListTrailHeads":     {Permission: fleet.PermissionAuditRead, Scoping: byFleet},

	// Anyone who may decide on an approval depends on what it is for: MayApprove.
	"/pgharbor.v1.ApprovalService/ListApprovals": {Permission: fleet.PermissionBackupList, Scoping: filtered()},
	"/pgharbor.v1.ApprovalService/GetApproval":   {Permission: fleet.PermissionBackupList, Scoping: about(approval("id"))},
	"/pgharbor.v1.ApprovalService/Approve":       {Permission: fleet.PermissionBackupList, Scoping: about(approval("id"))},
	"/pgharbor.v1.ApprovalService/Deny":          {Permission: fleet.PermissionBackupList, Scoping: about(approval("id"))},

	"/pgharbor.v1.PolicyService/ListPolicies": {Permission: fleet.PermissionBackupList, Scoping: filtered()},
	"/pgharbor.v1.PolicyService/SetPolicy":    {Permission: fleet.PermissionUserManage, Scoping: byFleet},
	"/pgharbor.v1.PolicyService/RemovePolicy": {Permission: fleet.PermissionUserManage, Scoping: byFleet},
}

// RuleFor returns the rule of an RPC, and whether a table names it.
func RuleFor(method string) (Rule, bool) {
	rule, named := byRPC[method]
	return rule, named
}

// Methods returns every RPC that the table names.
func Methods() []string {
	all := make([]string, 0, len(byRPC))
	for method := range byRPC {
		all = append(all, method)
	}
	return all
}

// Allow decides whether a caller may use an RPC at all; nil is a peer without an
// identity. AllowOn decides on what. The error wraps fleet.ErrUnauthenticated or
// fleet.ErrDenied.
func Allow(method string, caller *fleet.Caller) error {
	rule, named := RuleFor(method)
	switch {
	case !named:
		return fleet.NewProblem(fleet.ErrDenied, "%s is not open to anybody", method)
	case rule.Anonymous:
		return nil
	case caller == nil:
		return fleet.NewProblem(fleet.ErrUnauthenticated, "%s needs a client certificate", method).
			WithHint("enrol first: pgharbor login INVITE, or pgharbor-agent enroll INVITE")
	case rule.Enrolled, rule.Agent && caller.Kind == fleet.CallerAgent, rule.Person && caller.Kind == fleet.CallerUser:
		return nil
	case rule.Permission != "" && Has(*caller, rule.Permission):
		return nil
	case rule.Permission != "" && Grantable(caller.Role, rule.Permission):
		return lacks(*caller, rule.Permission)
	case fleetWide[rule.Permission] && byRole[caller.Role][rule.Permission] != never:
		return fleet.NewProblem(fleet.ErrDenied, "%s takes the whole fleet, and %s is limited to %s", rule.Permission, caller, caller.Instances)
	case rule.Permission != "" && caller.Kind == fleet.CallerUser:
		return fleet.NewProblem(fleet.ErrDenied, "%s (%s) does not have the permission %s", caller, caller.Role, rule.Permission).
			WithHint("the role %s can have it", leastRole(rule.Permission))
	default:
		return fleet.NewProblem(fleet.ErrDenied, "%s is not for %s", method, caller)
	}
}

// leastRole is the role with the fewest rights that can have a permission, by itself or by a grant.
func leastRole(p fleet.Permission) fleet.Role {
	for _, role := range []fleet.Role{fleet.RoleViewer, fleet.RoleOperator} {
		if byRole[role][p] != never {
			return role
		}
	}
	return fleet.RoleOwner
}

// lacks is the refusal of somebody who could be given a permission.
func lacks(c fleet.Caller, p fleet.Permission) error {
	return fleet.NewProblem(fleet.ErrDenied, "%s (%s) does not have the permission %s", c, c.Role, p).
		WithHint("an OWNER can give it: pgharbor users grant %s %s", c.Name, p)
}
