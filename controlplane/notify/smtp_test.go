package notify_test

import (
	"bufio"
	"io"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/internal/shell/shelltest"
)

// postOffice is a mail server of a few words, without TLS, on loopback.
type postOffice struct {
	net.Listener
	refuse string // recipients that it does not know
	rude   bool   // it hangs up instead of saying goodbye
	from   string
	to     []string
	taken  int
	letter *mail.Message
	text   string
}

func newPostOffice(t *testing.T) *postOffice {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &postOffice{Listener: listener}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p.serve(t, conn)
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-ended })
	return p
}

func (p *postOffice) serve(t *testing.T, conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	say := func(line string) { _, _ = io.WriteString(conn, line+"\r\n") }
	say("220 mail.example.com")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch verb, rest, _ := strings.Cut(strings.TrimSpace(line), " "); strings.ToUpper(verb) {
		case "EHLO":
			say("250 mail.example.com")
		case "MAIL":
			p.from = rest
			say("250 ok")
		case "RCPT":
			if p.refuse != "" && strings.Contains(rest, p.refuse) {
				say("550 no such mailbox")
				continue
			}
			p.to = append(p.to, rest)
			say("250 ok")
		case "DATA":
			say("354 go on")
			p.read(t, in)
			p.taken++
			say("250 taken")
		case "QUIT":
			if !p.rude {
				say("221 bye")
			}
			return
		default:
			say("502 what?")
		}
	}
}

func (p *postOffice) read(t *testing.T, in *bufio.Reader) {
	var letter strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil || line == ".\r\n" {
			break
		}
		letter.WriteString(strings.TrimPrefix(line, "."))
	}
	var err error
	if p.letter, err = mail.ReadMessage(strings.NewReader(letter.String())); err != nil {
		t.Error(err)
		return
	}
	text, err := io.ReadAll(quotedprintable.NewReader(p.letter.Body))
	if err != nil {
		t.Error(err)
	}
	p.text = string(text)
}

func (p *postOffice) config(extra string) string {
	return `{"mail": [{"name": "duty", "server": "` + p.Addr().String() + `", "from": "harbor@example.com", "to": ["a@example.com", "b@example.com"]` + extra + `}]}`
}

func TestAMailSaysWhatIsWrongAndWhatToDo(t *testing.T) {
	p := newPostOffice(t)
	s := newStage(t, p.config(""))
	s.pass(t)
	s.pass(t)
	if p.letter == nil {
		t.Fatal("no mail")
	}
	if got := p.letter.Header.Get("Subject"); got != "pgharbor: firing: UNKNOWN db1" {
		t.Errorf("subject: %q", got)
	}
	for _, part := range []string{"the agent has never connected", "do: run pgharbor-agent enroll", "since 2026-03-01T12:01:00Z"} {
		if !strings.Contains(p.text, part) {
			t.Errorf("%q is not in\n%s", part, p.text)
		}
	}
	if len(p.to) != 2 || !strings.Contains(p.from, "harbor@example.com") {
		t.Errorf("from %s to %v", p.from, p.to)
	}
	if at, err := p.letter.Header.Date(); err != nil || at.Sub(s.at).Abs() > time.Second {
		t.Errorf("dated %s: %v", at, err)
	}
}

func TestAMailSaysHowManyMoreThereAre(t *testing.T) {
	p := newPostOffice(t)
	s := newStage(t, p.config(""))
	n := fleet.Notification{ID: fleet.NewID(), More: 12, News: []fleet.News{{Kind: fleet.NewsFiring, Alert: fleet.Alert{Text: "why", Since: s.at}}}}
	if err := s.Channels[0].Deliver(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if got := p.letter.Header.Get("Subject"); got != "pgharbor: 1 firing, 12 more to follow" || !strings.Contains(p.text, "12 more are told by the messages that follow") {
		t.Errorf("%q: %s", got, p.text)
	}
}

// A mail about a database with a hostile name has nothing in it that a mail program acts upon, and
// its next step is safe to paste.
func TestAMailOfAHostileName(t *testing.T) {
	p := newPostOffice(t)
	s := newStage(t, p.config(""))
	status := fleet.AgentStatus{BackupsEnabled: true}
	for _, name := range []string{"x';touch y;'", "$(touch y)", "a\nBcc: evil@example.com\n\ntouch y", "\u202etxt\u200b"} {
		facts := fleet.Facts{Instance: "db1", Database: name, Exists: true, Agent: fleet.AgentFacts{LastSeenAt: s.at, Status: status}}
		reason := fleet.Evaluate(facts, fleet.DefaultThresholds, s.at, time.Minute).Reasons[0]
		news := fleet.News{Kind: fleet.NewsFiring, Alert: fleet.Alert{
			AlertKey: fleet.AlertKey{Instance: "db1", Database: name, Verdict: reason.Verdict}, Text: name, NextStep: reason.NextStep,
		}}
		if err := s.Channels[0].Deliver(t.Context(), fleet.Notification{ID: fleet.NewID(), News: []fleet.News{news}}); err != nil {
			t.Fatal(err)
		}
		_, step, _ := strings.Cut(p.text, "do: ")
		if _, files := shelltest.Paste(t, step); len(files) > 0 {
			t.Errorf("%q: %s\nmade %q", name, step, files)
		}
		if strings.ContainsAny(p.text+p.letter.Header.Get("Subject"), "\u202e\u200b") || p.letter.Header.Get("Bcc") != "" || strings.Contains(p.text, "\ntouch") {
			t.Errorf("%q: %q", name, p.text)
		}
	}
}

// A server whose first line has no end is left before it takes memory.
func TestAMailServerThatNeverEndsItsLineIsLeft(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sent, ended := 0, make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for words := []byte("220 " + strings.Repeat("x", 64<<10)); sent < 256<<20; sent += len(words) {
			if _, err := conn.Write(words); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-ended })
	mail := load(t, `{"mail": [{"name": "duty", "server": "`+listener.Addr().String()+`", "from": "a@example.com", "to": ["b@example.com"]}]}`, time.Now)[0]
	err = mail.Deliver(t.Context(), fleet.Notification{ID: fleet.NewID()})
	if err == nil || !strings.Contains(err.Error(), "says too much") {
		t.Errorf("it ends with %v", err)
	}
	<-ended
	if sent > 32<<20 {
		t.Errorf("%d bytes were taken", sent)
	}
}

func TestAMailThatIsRefusedIsGivenUp(t *testing.T) {
	p := newPostOffice(t)
	p.refuse = "@example.com"
	s := newStage(t, p.config(""))
	for range 5 {
		s.pass(t)
	}
	left, err := s.Catalog.Notifications.Due(t.Context(), s.at.AddDate(1, 0, 0))
	if err != nil || len(left) != 0 || p.letter != nil {
		t.Errorf("left: %+v, %v; the letter is %v", left, err, p.letter)
	}
}

// A colleague has left, and the server hangs up once it has the letter: the others are told, once,
// and anyone who tries the channel learns of it.
func TestOneMailboxThatIsGoneKeepsNobodyElseFromBeingTold(t *testing.T) {
	p := newPostOffice(t)
	p.refuse, p.rude = "b@example.com", true
	s := newStage(t, p.config(""))
	for range 5 {
		s.pass(t)
	}
	if p.taken != 1 || len(p.to) != 1 || !strings.Contains(p.to[0], "a@example.com") {
		t.Errorf("%d letters to %v", p.taken, p.to)
	}
	if outcomes := s.Test(t.Context(), "user:ada"); outcomes[0].Err == nil || !strings.Contains(outcomes[0].Err.Error(), "b@example.com") {
		t.Errorf("the test of the channel: %v", outcomes[0].Err)
	}
}

// A password goes over TLS only, and 127.0.0.1 is the one place where its absence is forgiven by
// the standard library; a server that offers no login is distinguished.
func TestAPasswordIsNotSentToAServerThatOffersNoLogin(t *testing.T) {
	p := newPostOffice(t)
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("rosebud"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newStage(t, p.config(`, "user": "harbor", "password_file": "`+file+`"`))
	if outcomes := s.Test(t.Context(), "user:ada"); outcomes[0].Err == nil {
		t.Error("it was delivered without the login that was asked for")
	}
}
