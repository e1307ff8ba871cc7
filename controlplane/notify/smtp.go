package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/smtp"
	"net/textproto"
	"strings"
	"time"
	"unicode"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// Mail sends a message to some people by SMTP, over TLS wherever the server has
// it. A password is never sent without.
type Mail struct {
	name     string
	server   string // host:port
	implicit bool   // TLS from the first byte on, as on port 465
	from     string
	to       []string
	user     string
	password string
	roots    *x509.CertPool // nil for the system's
	now      func() time.Time
}

// Name implements Channel.
func (m *Mail) Name() string { return m.name }

// Deliver implements Channel. It is delivered when the server has taken it for
// every recipient.
func (m *Mail) Deliver(ctx context.Context, n fleet.Notification) error {
	err := m.send(ctx, n)
	var refusal *textproto.Error
	if errors.As(err, &refusal) && refusal.Code >= 500 {
		err = fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if err != nil {
		return fmt.Errorf("mail %s: %w", m.name, err)
	}
	return nil
}

func (m *Mail) send(ctx context.Context, n fleet.Notification) (err error) {
	host, _, err := net.SplitHostPort(m.server)
	if err != nil {
		return err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", m.server)
	if err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return errors.Join(err, conn.Close())
		}
	}
	conn = &fewWords{Conn: conn, left: maxServerBytes}
	secure := &tls.Config{ServerName: host, RootCAs: m.roots, MinVersion: tls.VersionTLS12}
	if m.implicit {
		conn = tls.Client(conn, secure)
	}
	client, err := smtp.NewClient(conn, host)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	defer func() { _ = client.Close() }() // Quit has ended it if all went well
	if offered, _ := client.Extension("STARTTLS"); offered && !m.implicit {
		if err := client.StartTLS(secure); err != nil {
			return err
		}
	}
	if m.user != "" {
		// PlainAuth itself refuses a connection without TLS, but for one to localhost.
		if err := client.Auth(smtp.PlainAuth("", m.user, m.password, host)); err != nil {
			return err
		}
	}
	return m.write(client, n)
}

func (m *Mail) write(client *smtp.Client, n fleet.Notification) error {
	if err := client.Mail(m.from); err != nil {
		return err
	}
	refused, err := m.address(client)
	if err != nil {
		return err
	}
	w, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(m.compose(n)); err != nil {
		return errors.Join(err, w.Close())
	}
	if err := w.Close(); err != nil {
		return err
	}
	_ = client.Quit() // the server has the message, however it takes its leave
	if refused != nil {
		return fmt.Errorf("%w, and the others have it: %w", ErrRefused, refused)
	}
	return nil
}

// maxServerBytes is more than a mail server has to say, TLS and all. Its lines have no end of their
// own to anyone who reads them.
const maxServerBytes = 1 << 20

// fewWords is a connection on which the other side says no more than a bound.
type fewWords struct {
	net.Conn
	left int64 // bytes
}

// Read implements net.Conn.
func (c *fewWords) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errTooLong
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

var errTooLong = errors.New("the mail server says too much")

// address names the recipients. A mailbox that is gone keeps nobody else from being told: what the
// server says of it is refused, and err only if it takes none.
func (m *Mail) address(client *smtp.Client) (refused, err error) {
	taken := 0
	for _, to := range m.to {
		err := client.Rcpt(to)
		var answer *textproto.Error
		switch {
		case err == nil:
			taken++
		case !errors.As(err, &answer):
			return nil, err
		case refused == nil:
			refused = fmt.Errorf("%s: %w", to, err)
		default:
			refused = fmt.Errorf("%w; %s: %w", refused, to, err)
		}
	}
	if taken == 0 {
		return nil, refused
	}
	return refused, nil
}

// compose writes the message, as RFC 5322 has it. Its id is the notification's, so
// that a mail program can tell one that comes twice.
func (m *Mail) compose(n fleet.Notification) []byte {
	var text strings.Builder
	_, domain, _ := strings.Cut(m.from, "@")
	for _, header := range [][2]string{
		{"From", m.from}, {"To", strings.Join(m.to, ", ")}, {"Subject", mime.QEncoding.Encode("utf-8", subject(n))},
		{"Date", m.now().Format(time.RFC1123Z)}, {"Message-ID", "<" + n.ID + "@" + domain + ">"},
		{"MIME-Version", "1.0"}, {"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "quoted-printable"},
	} {
		fmt.Fprintf(&text, "%s: %s\r\n", header[0], header[1])
	}
	text.WriteString("\r\n")
	body := quotedprintable.NewWriter(&text)
	_, _ = body.Write([]byte(strings.ReplaceAll(bodyOf(n), "\n", "\r\n"))) // into memory
	_ = body.Close()
	return []byte(text.String())
}

// subject reports how many of what there are, and names the only one.
func subject(n fleet.Notification) string {
	if len(n.News) == 1 && n.More == 0 {
		return "pgharbor: " + headline(n.News[0])
	}
	counts := map[string]int{}
	for _, one := range n.News {
		counts[one.Kind]++
	}
	var parts []string
	for _, kind := range []string{fleet.NewsFiring, fleet.NewsReminder, fleet.NewsResolved, fleet.NewsTest} {
		if counts[kind] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[kind], kind))
		}
	}
	if n.More > 0 {
		parts = append(parts, fmt.Sprintf("%d more to follow", n.More))
	}
	return "pgharbor: " + strings.Join(parts, ", ")
}

func headline(n fleet.News) string {
	if n.Kind == fleet.NewsTest {
		return "test"
	}
	return visible(strings.Join(strings.Fields(fmt.Sprintf("%s: %s %s %s", n.Kind, n.Verdict, n.Instance, n.Database)), " "))
}

func bodyOf(all fleet.Notification) string {
	var text strings.Builder
	for _, n := range all.News {
		fmt.Fprintf(&text, "%s\n  %s\n  since %s\n", headline(n), visible(n.Text), n.Since.UTC().Format(time.RFC3339))
		if n.NextStep != "" && n.Kind != fleet.NewsResolved {
			fmt.Fprintf(&text, "  do: %s\n", visible(n.NextStep))
		}
		text.WriteString("\n")
	}
	if all.More > 0 {
		fmt.Fprintf(&text, "%d more are told by the messages that follow; pgharbor alerts list has them all\n", all.More)
	}
	return text.String()
}

// visible replaces what a mail program would act upon or hide, such as a change of the
// direction of writing: names are those of databases.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
