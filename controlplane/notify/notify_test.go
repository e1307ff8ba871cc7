package notify_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/health"
	"github.com/pgharbor/pgharbor/controlplane/notify"
)

// stage is a catalog with one instance, a clock, and a notifier that looks at them.
type stage struct {
	*notify.Notifier
	at time.Time
}

func newStage(t *testing.T, config string) *stage {
	t.Helper()
	c, err := catalog.Open(t.Context(), filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	s := &stage{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return s.at }
	s.Notifier = &notify.Notifier{
		Catalog: c, Evaluator: &health.Evaluator{Catalog: c, Now: clock, Heartbeat: 10 * time.Second},
		Channels: load(t, config, clock), Now: clock, Every: time.Minute, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	invite := fleet.Invite{SecretHash: fleet.NewID(), Kind: fleet.CallerAgent, Name: "db1", CreatedAt: s.at, ExpiresAt: s.at}
	if err := c.Invites.Create(t.Context(), invite); err != nil {
		t.Fatal(err)
	}
	return s
}

func load(t *testing.T, config string, clock func() time.Time) []notify.Channel {
	t.Helper()
	file := filepath.Join(t.TempDir(), "alerts.json")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	channels, err := notify.Load(file, clock)
	if err != nil {
		t.Fatal(err)
	}
	return channels
}

// pass lets a minute go by, looks, and delivers.
func (s *stage) pass(t *testing.T) {
	t.Helper()
	s.at = s.at.Add(time.Minute)
	if err := s.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Deliver(t.Context())
}

// hook is somebody's receiver of webhooks.
type hook struct {
	*httptest.Server
	answers []int // one a request; 200 after them
	got     []*http.Request
	bodies  []map[string]any
	raw     [][]byte
}

func newHook(t *testing.T, answers ...int) *hook {
	t.Helper()
	h := &hook{answers: answers}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		var decoded map[string]any
		if err := json.Unmarshal(body, &decoded); err != nil {
			t.Error(err)
		}
		h.got, h.bodies, h.raw = append(h.got, r), append(h.bodies, decoded), append(h.raw, body)
		status := http.StatusOK
		if len(h.answers) > 0 {
			status, h.answers = h.answers[0], h.answers[1:]
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) config(t *testing.T, secret string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return `{"webhooks": [{"name": "duty", "url": "` + h.URL + `/hook", "secret_file": "` + file + `"}]}`
}

// An instance that was invited and never came is UNKNOWN.
func TestAWebhookIsSignedAndSaysWhatIsWrong(t *testing.T) {
	h := newHook(t)
	s := newStage(t, h.config(t, "rosebud"))
	s.pass(t)
	if len(h.got) != 0 {
		t.Fatal("told at the first look")
	}
	s.pass(t)
	s.pass(t)
	if len(h.got) != 1 {
		t.Fatalf("told %d times", len(h.got))
	}
	news := h.bodies[0]["news"].([]any)[0].(map[string]any)
	delete(news, "next_step")
	want := map[string]any{
		"kind": "firing", "instance": "db1", "verdict": "UNKNOWN", "text": "the agent has never connected", "since": "2026-03-01T12:01:00Z",
	}
	if diff := cmp.Diff(want, news); diff != "" {
		t.Error(diff)
	}
	mac := hmac.New(sha256.New, []byte("rosebud"))
	mac.Write([]byte(h.got[0].Header.Get("Pgharbor-Timestamp") + "." + string(h.raw[0])))
	if got := h.got[0].Header.Get("Pgharbor-Signature"); got != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
		t.Errorf("signed %q", got)
	}
	if h.got[0].Header.Get("Pgharbor-Delivery") != h.bodies[0]["delivery"] {
		t.Error("the delivery has two ids")
	}
}

func TestADeliveryIsTriedAgainUnderTheSameIDUntilItIsTaken(t *testing.T) {
	h := newHook(t, http.StatusBadGateway, http.StatusTooManyRequests)
	s := newStage(t, h.config(t, "x"))
	for range 10 {
		s.pass(t)
	}
	if len(h.got) != 3 {
		t.Fatalf("%d attempts", len(h.got))
	}
	for _, r := range h.got {
		if r.Header.Get("Pgharbor-Delivery") != h.got[0].Header.Get("Pgharbor-Delivery") {
			t.Error("an attempt has another id")
		}
	}
	left, err := s.Catalog.Notifications.Due(t.Context(), s.at.AddDate(1, 0, 0))
	if err != nil || len(left) != 0 {
		t.Errorf("left: %+v, %v", left, err)
	}
}

func TestADeliveryThatIsRefusedIsGivenUp(t *testing.T) {
	h := newHook(t, http.StatusForbidden)
	s := newStage(t, h.config(t, "x"))
	for range 5 {
		s.pass(t)
	}
	if len(h.got) != 1 {
		t.Errorf("%d attempts", len(h.got))
	}
}

// What is queued outlives the process: it is in the catalog with what it reports.
func TestNewsSurviveARestart(t *testing.T) {
	h := newHook(t, http.StatusBadGateway)
	s := newStage(t, h.config(t, "x"))
	s.pass(t)
	s.pass(t)
	again := *s.Notifier
	s.at = s.at.Add(time.Minute)
	again.Deliver(t.Context())
	if len(h.got) != 2 {
		t.Errorf("%d attempts", len(h.got))
	}
}

func TestATestSaysHowEachChannelTookIt(t *testing.T) {
	h := newHook(t)
	s := newStage(t, h.config(t, "x"))
	outcomes := s.Test(t.Context(), "user:ada")
	if len(outcomes) != 1 || outcomes[0].Err != nil || h.bodies[0]["news"].([]any)[0].(map[string]any)["kind"] != "test" {
		t.Errorf("%+v, %v", outcomes, h.bodies)
	}
	h.Close()
	outcomes = s.Test(t.Context(), "user:ada")
	if outcomes[0].Err == nil || strings.Contains(outcomes[0].Err.Error(), "/hook") {
		t.Errorf("nobody is there: %v", outcomes[0].Err)
	}
}

func TestAConfigurationThatMakesNoSenseIsRefused(t *testing.T) {
	for name, config := range map[string]string{
		"no JSON":         `webhooks`,
		"a strange field": `{"slack": []}`,
		"no URL":          `{"webhooks": [{"name": "a", "url": "duty.example.com"}]}`,
		"no secret":       `{"webhooks": [{"name": "a", "url": "https://duty.example.com", "secret_file": "/nowhere"}]}`,
		"twice":           `{"webhooks": [{"name": "a", "url": "https://a.example.com"}, {"name": "a", "url": "https://b.example.com"}]}`,
		"a strange name":  `{"webhooks": [{"name": "A b", "url": "https://a.example.com"}]}`,
		"nobody":          `{"mail": [{"name": "a", "server": "mail.example.com:25", "from": "a@example.com", "to": []}]}`,
		"no port":         `{"mail": [{"name": "a", "server": "mail.example.com", "from": "a@example.com", "to": ["b@example.com"]}]}`,
		"a header":        `{"mail": [{"name": "a", "server": "mail.example.com:25", "from": "a@example.com", "to": ["b@example.com\r\nBcc: c@example.com"]}]}`,
	} {
		file := filepath.Join(t.TempDir(), "alerts.json")
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := notify.Load(file, time.Now); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestTheHeartbeatURLIsCalledWhileTheWorkIsDone(t *testing.T) {
	calls := make(chan struct{}, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls <- struct{}{} }))
	defer receiver.Close()
	alive := make(chan error, 100)
	ctx, cancel := context.WithCancel(t.Context())
	beats := &notify.Heartbeat{
		URL: receiver.URL, Every: time.Millisecond, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Alive: func(context.Context) error { return <-alive },
	}
	ended := make(chan struct{})
	go func() { defer close(ended); beats.Run(ctx) }()
	alive <- nil
	<-calls
	alive <- io.ErrUnexpectedEOF // the catalog is gone
	alive <- nil
	<-calls
	if len(calls) != 0 {
		t.Error("called although the work was not done")
	}
	cancel()
	alive <- nil
	<-ended
}

// A channel that hangs is tried once a round, however much waits for it: looks and other
// channels go on.
func TestMuchThatWaitsForADeadChannelIsTriedOnce(t *testing.T) {
	h := newHook(t, http.StatusBadGateway, http.StatusBadGateway)
	s := newStage(t, h.config(t, "rosebud"))
	var queued []fleet.Notification
	for range 5 {
		queued = append(queued, fleet.Notification{ID: fleet.NewID(), Channel: "duty", CreatedAt: s.at, NextAt: s.at, News: []fleet.News{{Kind: fleet.NewsFiring}}})
	}
	if err := s.Catalog.Alerts.TakeStep(t.Context(), fleet.AlertStep{}, queued); err != nil {
		t.Fatal(err)
	}
	for round := 1; round <= 2; round++ {
		s.Deliver(t.Context())
		if len(h.got) != round {
			t.Fatalf("after %d rounds it was called %d times", round, len(h.got))
		}
		s.at = s.at.Add(time.Minute)
	}
	s.Deliver(t.Context())
	if due, err := s.Catalog.Notifications.Due(t.Context(), s.at.Add(time.Hour)); err != nil || len(due) != 0 || len(h.got) != 2+len(queued) {
		t.Errorf("once it answers, %d wait and it was called %d times, %v", len(due), len(h.got), err)
	}
}

// A control plane that was down for a night knows its agents as of the evening.
func TestAgentsHaveTimeToComeBackAfterAStart(t *testing.T) {
	h := newHook(t)
	s := newStage(t, h.config(t, "rosebud"))
	if err := s.Catalog.Agents.RecordSeen(t.Context(), "db1", s.at); err != nil {
		t.Fatal(err)
	}
	s.at = s.at.Add(8 * time.Hour)
	s.Started = s.at
	s.pass(t)
	if wrong, err := s.Catalog.Alerts.List(t.Context(), nil); err != nil || len(wrong) != 0 {
		t.Errorf("right after the start: %+v, %v", wrong, err)
	}
	for range 3 { // and it does not come
		s.pass(t)
	}
	if len(h.got) != 1 {
		t.Errorf("told %d times of an agent that stays away", len(h.got))
	}
}

// What began before there was anybody to tell is told once there is, and nobody says before that it was.
func TestWhatFiredBeforeThereWasAChannelIsTold(t *testing.T) {
	s := newStage(t, `{}`)
	for range 2 * 24 * 60 / 10 { // past the time of a reminder
		s.at = s.at.Add(9 * time.Minute)
		s.pass(t)
	}
	known, err := s.Catalog.Alerts.List(t.Context(), nil)
	if err != nil || len(known) != 1 || known[0].FiredAt.IsZero() || !known[0].ToldAt.IsZero() {
		t.Fatalf("without a channel: %+v, %v", known, err)
	}
	h := newHook(t)
	s.Channels = load(t, h.config(t, "a secret"), s.Now)
	s.pass(t)
	s.pass(t)
	if len(h.bodies) != 1 || h.bodies[0]["news"].([]any)[0].(map[string]any)["kind"] != "firing" {
		t.Errorf("told %v", h.bodies)
	}
	known, err = s.Catalog.Alerts.List(t.Context(), nil)
	if err != nil || len(known) != 1 || known[0].ToldAt.IsZero() {
		t.Errorf("with a channel: %+v, %v", known, err)
	}
}
