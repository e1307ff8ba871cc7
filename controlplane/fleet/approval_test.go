package fleet_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

func guardedRequest() fleet.GuardedRequest {
	return fleet.GuardedRequest{
		Action: fleet.ActionReplace, Instance: "prod-1", Target: "id1", Reason: "ticket 7", Requester: "ada",
		Details: []fleet.Detail{{Name: "database", Value: "shop"}, {Name: "target_database", Value: "shop"}},
	}
}

// Whatever is edited in a request, it is another one. A field that is added to it
// is edited here too, or the test fails.
func TestEveryEditOfARequestShowsInItsDigest(t *testing.T) {
	digests := map[string]string{guardedRequest().Digest(): "unedited"}
	seen := func(what string, r fleet.GuardedRequest) {
		if before, ok := digests[r.Digest()]; ok {
			t.Errorf("the digest of a request with %s is that of one with %s", what, before)
		}
		digests[r.Digest()] = what
	}
	for i := range reflect.TypeFor[fleet.GuardedRequest]().NumField() {
		r := guardedRequest()
		name := reflect.TypeFor[fleet.GuardedRequest]().Field(i).Name
		field := reflect.ValueOf(&r).Elem().Field(i)
		if name == "Details" {
			continue
		}
		field.SetString(field.String() + "x")
		seen("another "+name, r)
	}
	for what, details := range map[string][]fleet.Detail{
		"no details":      nil,
		"another value":   {{Name: "database", Value: "shop"}, {Name: "target_database", Value: "bank"}},
		"another name":    {{Name: "database", Value: "shop"}, {Name: "to_instance", Value: "shop"}},
		"another order":   {{Name: "target_database", Value: "shop"}, {Name: "database", Value: "shop"}},
		"a detail less":   {{Name: "database", Value: "shop"}},
		"shifted borders": {{Name: "database", Value: "shop"}, {Name: "target_databases", Value: "hop"}},
	} {
		r := guardedRequest()
		r.Details = details
		seen(what, r)
	}
	// Nor can one field pass for the end of another.
	a, b := guardedRequest(), guardedRequest()
	a.Target, a.Reason = "id1", "2:x"
	b.Target, b.Reason = "id12", ":x"
	if a.Digest() == b.Digest() {
		t.Error("two requests share a digest")
	}
}

// Whatever is edited in a job, its request is another one.
func TestEveryEditOfAJobShowsInItsDigest(t *testing.T) {
	job := fleet.Job{Kind: fleet.JobRestore, Instance: "prod-1", Spec: fleet.JobSpec{BackupID: "id1", TargetDatabase: "shop", Reason: "why"}}
	digest := func(j fleet.Job) string {
		r, err := fleet.GuardedJob(fleet.ActionReplace, j)
		if err != nil {
			t.Fatal(err)
		}
		return r.Digest()
	}
	for i := range reflect.TypeFor[fleet.JobSpec]().NumField() {
		edited := job
		switch field := reflect.ValueOf(&edited.Spec).Elem().Field(i); field.Kind() {
		case reflect.String:
			field.SetString(field.String() + "x")
		case reflect.Int64:
			field.SetInt(field.Int() + 1)
		case reflect.Bool:
			field.SetBool(!field.Bool())
		default:
			t.Fatalf("no edit is known for %s", reflect.TypeFor[fleet.JobSpec]().Field(i).Name)
		}
		if digest(edited) == digest(job) {
			t.Errorf("another %s is the same request", reflect.TypeFor[fleet.JobSpec]().Field(i).Name)
		}
	}
	elsewhere := job
	elsewhere.Instance = "prod-2"
	if digest(elsewhere) == digest(job) {
		t.Error("on another instance it is the same request")
	}
}

func TestApprovalHoldsUntilItExpires(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for state, then := range map[fleet.ApprovalState]fleet.ApprovalState{
		fleet.ApprovalPending: fleet.ApprovalExpired, fleet.ApprovalApproved: fleet.ApprovalExpired,
		fleet.ApprovalInUse: fleet.ApprovalInUse, fleet.ApprovalUsed: fleet.ApprovalUsed, fleet.ApprovalDenied: fleet.ApprovalDenied,
	} {
		a := fleet.Approval{State: state, ExpiresAt: at}
		if got := a.StateAt(at.Add(-time.Microsecond)); got != state {
			t.Errorf("%s before its end is %s", state, got)
		}
		if got := a.StateAt(at); got != then {
			t.Errorf("%s at its end is %s", state, got)
		}
	}
}

func TestDemandsAreTheUnionOfWhatMatches(t *testing.T) {
	policies := []fleet.Policy{
		{Glob: "*", RequireReason: []fleet.GuardedAction{fleet.ActionDownload}},
		{Glob: "prod-*", RequireApproval: []fleet.GuardedAction{fleet.ActionReplace}, ApprovalTTL: 3 * time.Hour},
		{Glob: "prod-1", RequireApproval: []fleet.GuardedAction{fleet.ActionReplace, fleet.ActionDownload}, ApprovalTTL: 2 * time.Hour},
		{Glob: "stage-*", RequireApproval: []fleet.GuardedAction{fleet.ActionRelease}},
	}
	for _, tt := range []struct {
		request fleet.GuardedRequest
		want    fleet.Demand
	}{
		{fleet.GuardedRequest{Action: fleet.ActionReplace, Instance: "prod-1"}, fleet.Demand{Approval: true, Lifetime: 2 * time.Hour}},
		{fleet.GuardedRequest{Action: fleet.ActionReplace, Instance: "prod-2"}, fleet.Demand{Approval: true, Lifetime: 3 * time.Hour}},
		{fleet.GuardedRequest{Action: fleet.ActionDownload, Instance: "prod-1"}, fleet.Demand{Approval: true, Reason: true, Lifetime: 2 * time.Hour}},
		{fleet.GuardedRequest{Action: fleet.ActionDownload, Instance: "dev"}, fleet.Demand{Reason: true}},
		{fleet.GuardedRequest{Action: fleet.ActionRelease, Instance: "stage-1"}, fleet.Demand{Approval: true, Lifetime: time.Hour}},
		{fleet.GuardedRequest{Action: fleet.ActionRetention, Instance: "prod-1"}, fleet.Demand{}},
		// A restore elsewhere waits if a download of what leaves does.
		{fleet.GuardedRequest{Action: fleet.ActionElsewhere, Instance: "dev", Source: "prod-1"}, fleet.Demand{Approval: true, Reason: true, Lifetime: 2 * time.Hour}},
		{fleet.GuardedRequest{Action: fleet.ActionElsewhere, Instance: "prod-1", Source: "dev"}, fleet.Demand{Reason: true}},
		{fleet.GuardedRequest{Action: fleet.ActionReplace, Instance: "prod-2", Source: "prod-1"}, fleet.Demand{Approval: true, Reason: true, Lifetime: 2 * time.Hour}},
		{fleet.GuardedRequest{Action: fleet.ActionLoosenPolicy, Instance: ""}, fleet.Demand{Approval: true, Lifetime: time.Hour}},
		{fleet.GuardedRequest{Action: fleet.ActionEscalate, Instance: ""}, fleet.Demand{Approval: true, Lifetime: time.Hour}},
	} {
		if got := fleet.Demands(policies, tt.request); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.request.Summary(), got, tt.want)
		}
	}
	if got := fleet.Demands(policies[:1], fleet.GuardedRequest{Action: fleet.ActionEscalate}); got.Approval {
		t.Error("where no policy asks for approvals, the policies need none")
	}
}

// However a text is cut into the fields of a request, two cuts are two requests.
func FuzzDigest(f *testing.F) {
	f.Add("id12:x", uint8(1), uint8(2), uint8(3), uint8(4))
	f.Fuzz(func(t *testing.T, text string, a, b, c, d uint8) {
		cut := func(i, j uint8) fleet.GuardedRequest {
			first, second := int(i)%(len(text)+1), int(j)%(len(text)+1)
			first, second = min(first, second), max(first, second)
			return fleet.GuardedRequest{
				Target: text[:first], Reason: text[first:second], Details: []fleet.Detail{{Name: text[second:]}},
			}
		}
		one, other := cut(a, b), cut(c, d)
		if same := reflect.DeepEqual(one, other); same != (one.Digest() == other.Digest()) {
			t.Errorf("%+v and %+v: the same %t", one, other, same)
		}
	})
}
