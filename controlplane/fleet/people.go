package fleet

import "time"

// Role is what a person is to the fleet.
type Role string

// The roles, from the one that may do all to the one that may look.
const (
	RoleOwner    Role = "OWNER"
	RoleOperator Role = "OPERATOR"
	RoleViewer   Role = "VIEWER"
)

// Valid says whether r is one of the roles.
func (r Role) Valid() bool { return r == RoleOwner || r == RoleOperator || r == RoleViewer }

// Permission is one thing that a caller may be allowed to do.
type Permission string

// The permissions; package access says which role has which.
const (
	PermissionBackupList     Permission = "backup.list"
	PermissionBackupRun      Permission = "backup.run"
	PermissionBackupVerify   Permission = "backup.verify"
	PermissionBackupDownload Permission = "backup.download"
	PermissionBackupRestore  Permission = "backup.restore"
	PermissionBackupHold     Permission = "backup.hold"
	PermissionHealthRead     Permission = "health.read"
	PermissionAgentManage    Permission = "agent.manage"
	PermissionUserManage     Permission = "user.manage"
	PermissionAuditRead      Permission = "audit.read"
)

// User is a person.
type User struct {
	Name       string
	Role       Role
	CreatedAt  time.Time
	EnrolledAt time.Time // zero: invited, and not yet logged in
	RevokedAt  time.Time
	Grants     []Permission // beyond those of the role
}

// CallerKind tells the two sorts of peers apart.
type CallerKind string

// The kinds of caller; they are the words in a certificate's URI too.
const (
	CallerAgent CallerKind = "agent"
	CallerUser  CallerKind = "user"
)

// Caller is who an enrolment belongs to, as the catalog has it at the moment
// of a call.
type Caller struct {
	Kind     CallerKind
	Name     string
	Identity string // the id of the enrolment
	Role     Role   // of a user
	Grants   []Permission
}

// String is the caller as the trail names it.
func (c Caller) String() string { return string(c.Kind) + ":" + c.Name }

// Invite is the right to enrol, once. The secret itself is never kept.
type Invite struct {
	SecretHash string
	Kind       CallerKind
	Name       string
	Role       Role // of a user
	CreatedBy  string
	CreatedAt  time.Time
	ExpiresAt  time.Time
}
