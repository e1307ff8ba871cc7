package guard_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/controlplane/access"
	"github.com/pgharbor/pgharbor/controlplane/api/guard"
)

// A server does not start with a rule that forgets how a scope holds its RPC, or
// that does not fit the request.
func TestRuleThatForgetsTheScopeIsRefused(t *testing.T) {
	by := func(kind access.ScopingKind, subjects ...access.Subject) access.Rule {
		return access.Rule{Permission: "backup.list", Scoping: access.Scoping{Kind: kind, Subjects: subjects}}
	}
	instance, backup := access.Subject{Names: access.SubjectInstance, Field: "instance"}, access.Subject{Names: access.SubjectBackup, Field: "id"}
	for _, tt := range []struct {
		method, service string
		rule            access.Rule
		says            string // empty: it is good
	}{
		{"GetBackup", "BackupService", access.Rule{Permission: "backup.list"}, "does not say how"},
		{"GetBackup", "BackupService", by(access.BySubject), "does not say what"},
		{"GetBackup", "BackupService", by(access.BySubject, instance), `no text "instance"`},
		{"GetBackup", "BackupService", by(access.ByNothing), "touches something"},
		{"GetBackup", "BackupService", by(access.ByCertificate), "for agents"},
		{"GetBackup", "BackupService", access.Rule{Enrolled: true, Scoping: access.Scoping{Kind: access.BySubject, Subjects: []access.Subject{backup}}}, "permission"},
		{"GetBackup", "BackupService", by(access.BySubject, backup), ""},
		{"GetBackup", "BackupService", by(access.ByFleet), ""},
		{"ListBackups", "BackupService", by(access.ByFilter), `a field "instance"`},
		{"ListBackups", "BackupService", by(access.ByFilter, access.Subject{Names: access.SubjectInstance, Field: "page_size"}), `no text "page_size"`},
		{"ListBackups", "BackupService", by(access.ByFilter, instance), ""},
		{"CreateRestore", "RestoreService", by(access.BySubject, access.Subject{Names: access.SubjectBackup, Field: "request_id"}), `a field "backup_id"`},
	} {
		err := guard.CheckScoping("pgharbor.v1."+tt.service, grpc.MethodInfo{Name: tt.method}, tt.rule)
		if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s by %+v: %v", tt.method, tt.rule, err)
		}
	}
}

// A list that has not looked at the scope of its caller is not answered.
func TestListThatForgetsTheScopeIsNotAnswered(t *testing.T) {
	response, err := guard.AnswerList(t.Context(), nil, "/x/List", func(context.Context, any) (any, error) { return "all of it", nil })
	if err == nil || response != nil {
		t.Errorf("it was answered: %v", response)
	}
}
