package command

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/internal/exit"
)

func TestLoginNeverDestroysAnIdentity(t *testing.T) {
	f := loggedIn(t)
	bert := f.invite("bert")
	got := f.run(t, "login", bert)
	if got.code != exit.Failed || !strings.Contains(got.stderr, "--context") {
		t.Errorf("a second login: %+v", got)
	}
	if got := f.run(t, "contexts", "list"); !strings.Contains(got.stdout, "anna") {
		t.Errorf("anna's identity is gone: %+v", got)
	}
	// The invite was not spent.
	if got := f.run(t, "login", bert, "--context", "other"); got.code != exit.Done {
		t.Errorf("bert beside anna: %+v", got)
	}
}

func TestContextsKeepLoginsApart(t *testing.T) {
	f := loggedIn(t)
	if got := f.run(t, "login", f.invite("bert"), "--context", "work"); got.code != exit.Done {
		t.Fatal(got)
	}
	inUse := func() string {
		t.Helper()
		got := f.run(t, "contexts", "list")
		for line := range strings.Lines(got.stdout) {
			if strings.HasPrefix(line, "*") {
				return strings.Fields(line)[2]
			}
		}
		t.Fatalf("none is in use: %+v", got)
		return ""
	}
	if got := inUse(); got != "bert" {
		t.Errorf("after bert's login it is %s", got)
	}
	if got := f.run(t, "contexts", "use", "default"); got.code != exit.Done || !strings.Contains(got.stdout, "anna") {
		t.Errorf("contexts use: %+v", got)
	}
	if got := inUse(); got != "anna" {
		t.Errorf("after contexts use it is %s", got)
	}
	if got := f.run(t, "contexts", "use", "nobody"); got.code != exit.NotFound {
		t.Errorf("a context that is not there: %+v", got)
	}
	if got := f.run(t, "list", "--context", "nobody"); got.code != exit.Denied {
		t.Errorf("a login that is not there: %+v", got)
	}
}

func TestLoginReadsTheInviteFromStandardInput(t *testing.T) {
	f := newFleet(t)
	var stdout, stderr bytes.Buffer
	a := f.app(strings.NewReader(f.invite("anna")+"\n"), &stdout, &stderr)
	if code := a.execute(t.Context(), []string{"login", "-"}); code != exit.Done || !strings.Contains(stdout.String(), "anna (OWNER)") {
		t.Errorf("exit code %d, %q, %q", code, stdout.String(), stderr.String())
	}
}

func TestLoginRefused(t *testing.T) {
	f := loggedIn(t)
	used := f.invite("bert")
	if got := f.run(t, "login", used, "--context", "a"); got.code != exit.Done {
		t.Fatal(got)
	}
	if got := f.run(t, "login", used, "--context", "b"); got.code != exit.Denied || !strings.Contains(got.stderr, "used before") {
		t.Errorf("a used invite: %+v", got)
	}
	if got := f.run(t, "login", used[:len(used)-2], "--context", "c"); got.code != exit.Usage || !strings.Contains(got.stderr, "cut") {
		t.Errorf("a cut invite: %+v", got)
	}
}

func TestEveryCommandRenewsWhatIsDue(t *testing.T) {
	f := newFleet(t)
	f.ttl = 30 * time.Minute
	if got := f.run(t, "login", f.invite("anna")); got.code != exit.Done || f.renewed != 0 {
		t.Fatalf("%+v, renewed %d times", got, f.renewed)
	}
	f.clock.at = f.clock.at.Add(25 * time.Minute)
	f.failWith = status.Error(codes.Internal, "the disk is full")
	if got := f.run(t, "agents", "list"); got.code != exit.Done || !strings.Contains(got.stderr, "not renewed: the disk is full") {
		t.Errorf("a renewal that fails: %+v", got)
	}
	f.failWith = nil
	for range 2 {
		if got := f.run(t, "list"); got.code != exit.Done || got.stderr != "" {
			t.Errorf("%+v", got)
		}
	}
	if f.renewed != 2 {
		t.Errorf("renewed %d times, the failure included", f.renewed)
	}
}
