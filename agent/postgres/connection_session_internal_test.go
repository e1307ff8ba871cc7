package postgres

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// A server refuses a session with a parameter that it does not know or that the login may not set, so the version and the
// login decide.
func TestParametersGoWithTheServer(t *testing.T) {
	tests := []struct {
		server        traits
		with, without []string
	}{
		{traits{}, []string{"search_path", "row_security"}, []string{"event_triggers", "lc_messages", "idle_session_timeout", "transaction_timeout"}},
		{traits{major: 13, superuser: true}, []string{"lc_messages"}, []string{"event_triggers", "idle_session_timeout"}},
		{traits{major: 15, superuser: true}, []string{"idle_session_timeout"}, []string{"event_triggers", "transaction_timeout"}},
		{traits{major: 16, superuser: true}, nil, []string{"event_triggers"}},
		{traits{major: 17, superuser: true}, []string{"event_triggers", "transaction_timeout", "idle_session_timeout"}, nil},
		{traits{major: 18, superuser: true}, []string{"event_triggers"}, nil},
		{traits{major: 18}, []string{"transaction_timeout"}, []string{"event_triggers", "lc_messages"}},
	}
	for _, test := range tests {
		for _, p := range []purpose{looking, working, feeding} {
			var names []string
			for _, parameter := range test.server.parameters(p, time.Minute) {
				names = append(names, parameter.name)
			}
			for _, name := range test.with {
				if !slices.Contains(names, name) {
					t.Errorf("%+v, %d: %s is missing", test.server, p, name)
				}
			}
			for _, name := range test.without {
				if slices.Contains(names, name) {
					t.Errorf("%+v, %d: %s is given", test.server, p, name)
				}
			}
		}
	}
}

// What looks may not wait for ever; what makes a database may take a day, and a tool has bounds of its own.
func TestTimesGoWithThePurpose(t *testing.T) {
	for p, want := range map[purpose]string{
		looking: "statement_timeout=600000 lock_timeout=60000 idle_in_transaction_session_timeout=600000",
		working: "statement_timeout=0 lock_timeout=5000 idle_in_transaction_session_timeout=600000",
		feeding: "statement_timeout=0 lock_timeout=0 idle_in_transaction_session_timeout=0",
	} {
		var got []string
		for _, parameter := range (traits{major: 15}).parameters(p, 5*time.Second) {
			if strings.HasSuffix(parameter.name, "_timeout") && parameter.name != "idle_session_timeout" {
				got = append(got, parameter.name+"="+parameter.value)
			}
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%d: %s, want %s", p, text, want)
		}
	}
}

// Who configures the agent may take a role; who owns a database may not give it one. The login's own rights are asked of a
// session without either.
func TestOptionsKeepWhatWasConfigured(t *testing.T) {
	for _, test := range []struct {
		server           traits
		configured, want string
	}{
		{traits{major: 15}, "", "-c role=none"},
		{traits{major: 15}, "-c role=keeper", "-c role=none -c role=keeper"},
		{traits{}, "-c role=keeper", "-c role=keeper -c role=none"},
	} {
		if got := test.server.options(test.configured); got != test.want {
			t.Errorf("%+v, %q: %q, want %q", test.server, test.configured, got, test.want)
		}
	}
	if got := (parameter{"a", `b \ c`}).option(); got != `-c a=b\ \\\ c` {
		t.Error(got)
	}
}

// An agent serves for months: the server is upgraded meanwhile or another takes its place, and its role loses rights.
func TestWhatWasKnownOfTheServerIsLearnedAnew(t *testing.T) {
	server := postgrestest.Shared(t)
	server.Exec(t, "postgres", "CREATE ROLE lesser LOGIN")
	t.Cleanup(func() { server.Exec(t, "postgres", "DROP ROLE lesser") })
	var major int
	for user, stale := range map[string]traits{
		"postgres": {major: 99, superuser: true}, // more parameters than there are
		"lesser":   {major: 9, superuser: true},  // one that it may not set
	} {
		settings, err := SettingsFrom(append(server.Environ(), "PGUSER="+user))
		if err != nil {
			t.Fatal(err)
		}
		instance, err := Open(settings, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer instance.Close()
		instance.known = stale
		about, err := instance.Server(t.Context())
		major = about.Number / 10000
		if known := instance.traits(); err != nil || known != (traits{major: major, superuser: user == "postgres"}) {
			t.Errorf("%s: %+v is known of %+v: %v", user, known, about, err)
		}
	}
	// A newer server takes all that an older one does: its version tells.
	settings, err := SettingsFrom(server.Environ())
	if err != nil {
		t.Fatal(err)
	}
	instance, err := Open(settings, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer instance.Close()
	instance.known = traits{major: major - 1, superuser: true}
	if _, err := instance.Server(t.Context()); err != nil || instance.traits().major != major {
		t.Errorf("%+v is known: %v", instance.traits(), err)
	}
}
