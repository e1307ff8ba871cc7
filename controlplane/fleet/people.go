package fleet

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/pgharbor/pgharbor/internal/words"
)

// Role is what a person is to the fleet.
type Role string

// The roles, from the one that may do all to the one that may look.
const (
	RoleOwner    Role = words.RoleOwner
	RoleOperator Role = words.RoleOperator
	RoleViewer   Role = words.RoleViewer
)

// Valid reports whether r is one of the roles.
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
	// PermissionBackupExport lets the sealed files of an instance leave it for
	// another one.
	PermissionBackupExport Permission = "backup.export"
	PermissionHealthRead   Permission = "health.read"
	PermissionAgentManage  Permission = "agent.manage"
	PermissionUserManage   Permission = "user.manage"
	PermissionAuditRead    Permission = "audit.read"
)

// User is a person.
type User struct {
	Name       string
	Role       Role
	CreatedAt  time.Time
	EnrolledAt time.Time // zero: invited, and not yet logged in
	RevokedAt  time.Time
	Instances  Scope
	Grants     []Grant // beyond what the role has
	Devices    int     // that may log in as this person
}

// Caller is the person as they would call.
func (u User) Caller() Caller {
	return Caller{Kind: CallerUser, Name: u.Name, Role: u.Role, Instances: u.Instances, Grants: u.Grants}
}

// Grant is a single permission that somebody was given beyond the role. It holds if both its own
// scope and that of the person do.
type Grant struct {
	Permission Permission
	Instances  Scope
}

// String is the grant as the audit log names it.
func (g Grant) String() string {
	if g.Instances.Whole() {
		return string(g.Permission)
	}
	return string(g.Permission) + " on " + g.Instances.String()
}

// UserChange is what is to change about a person; what is not set stays.
type UserChange struct {
	Role      Role
	Instances *Scope
	// Seen is whom it was decided on, if that is known.
	Seen *Seen
}

// Device is an enrolment of a person: one machine that is them.
type Device struct {
	ID         string
	Name       string // as its owner called it; empty for one that enrolled without
	EnrolledAt time.Time
	LastSeenAt time.Time // to the minute; zero: it has not signed in yet
	RevokedAt  time.Time
}

// maxDevice is in bytes; host names have up to 64.
const maxDevice = 64

// CheckDevice refuses a name of a device that could not be shown as it is.
func CheckDevice(name string) error {
	if len(name) > maxDevice || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return NewProblem(ErrInvalid, "the name of a device has at most %d bytes, all of them printable", maxDevice).
			WithHint("pgharbor login INVITE --device NAME")
	}
	return nil
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
	// Of a user:
	Role       Role
	Instances  Scope
	Grants     []Grant
	Device     string
	LastSeenAt time.Time // of this device; zero: it has not signed in yet
}

// String is the caller as the audit log names it.
func (c Caller) String() string { return string(c.Kind) + ":" + c.Name }

// Invite is the right to enrol, once. The secret itself is never kept.
type Invite struct {
	SecretHash string
	Kind       CallerKind
	Name       string
	Role       Role  // of a user
	Instances  Scope // of a user
	CreatedBy  string
	// Maker is who made it, as they called; the zero Caller is the host. Of it only the
	// identity is kept.
	Maker     Caller
	CreatedAt time.Time
	ExpiresAt time.Time
	// ApprovedBy is the person who approved of it, if a policy asked for one.
	ApprovedBy string
	// Grants are those that the person had when that was asked. They are not kept.
	Grants []Grant
	UsedAt time.Time
	// VoidedAt is when what it was made for changed, or was taken back.
	VoidedAt time.Time
}

// Rights are what the invite makes of the one who redeems it, in words.
func (i Invite) Rights() string {
	if i.Instances.Whole() {
		return string(i.Role)
	}
	return string(i.Role) + " on " + i.Instances.String()
}

// Open reports whether the invite can still be redeemed.
func (i Invite) Open(now time.Time) bool {
	return i.UsedAt.IsZero() && i.VoidedAt.IsZero() && now.Before(i.ExpiresAt)
}
