package notify

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/mail"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/pgharbor/pgharbor/internal/secretfile"
)

// Config is the file of the channels, JSON. Secrets are in separate files.
type Config struct {
	Webhooks []WebhookConfig `json:"webhooks"`
	Mail     []MailConfig    `json:"mail"`
}

// WebhookConfig is one webhook.
type WebhookConfig struct {
	Name       string `json:"name"`
	URL        string `json:"url"`
	SecretFile string `json:"secret_file"` // none: not signed
}

// MailConfig is one set of recipients.
type MailConfig struct {
	Name         string   `json:"name"`
	Server       string   `json:"server"` // host:port
	TLS          bool     `json:"tls"`    // from the first byte on; else STARTTLS if the server has it
	CAFile       string   `json:"ca_file"`
	From         string   `json:"from"`
	To           []string `json:"to"`
	User         string   `json:"user"`
	PasswordFile string   `json:"password_file"`
}

var channelName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,40}$`)

// Load reads the file of the channels. An error names all that is wrong with it.
func Load(path string, now func() time.Time) ([]Channel, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the alert channels: %w", err)
	}
	var config Config
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&config); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	channels, err := config.channels(now)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := secretfile.CheckChange(path); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return channels, nil
}

// Exposed returns what is wrong with each file of the channels that others can read:
// the file itself, whose URLs may hold tokens, and those of the secrets. Load has
// refused what they can change.
func Exposed(path string) (exposed []error) {
	var config Config
	content, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(content, &config) != nil {
		return nil // Load says so
	}
	files := []string{path}
	for _, w := range config.Webhooks {
		files = append(files, w.SecretFile)
	}
	for _, m := range config.Mail {
		files = append(files, m.PasswordFile)
	}
	for _, file := range files {
		if err := secretfile.Check(file); file != "" && errors.Is(err, secretfile.ErrReadable) {
			exposed = append(exposed, fmt.Errorf("%s: %w", file, err))
		}
	}
	return exposed
}

func (c Config) channels(now func() time.Time) ([]Channel, error) {
	var all []Channel
	var wrong []error
	taken := map[string]bool{}
	add := func(name string, channel Channel, err error) {
		switch {
		case err != nil:
			wrong = append(wrong, fmt.Errorf("channel %q: %w", name, err))
		case !channelName.MatchString(name):
			wrong = append(wrong, fmt.Errorf("channel %q: a name is 1 to 41 of a-z 0-9 -", name))
		case taken[name]:
			wrong = append(wrong, fmt.Errorf("channel %q is there twice", name))
		}
		taken[name] = true
		all = append(all, channel)
	}
	for _, w := range c.Webhooks {
		channel, err := w.channel(now)
		add(w.Name, channel, err)
	}
	for _, m := range c.Mail {
		channel, err := m.channel(now)
		add(m.Name, channel, err)
	}
	return all, errors.Join(wrong...)
}

func (c WebhookConfig) channel(now func() time.Time) (*Webhook, error) {
	target, err := url.Parse(c.URL)
	if err != nil || (target.Scheme != "https" && target.Scheme != "http") || target.Host == "" {
		return nil, errors.New("url must be https://… or http://…") // the URL itself may hold a token
	}
	secret, err := secretIn(c.SecretFile)
	if err != nil {
		return nil, fmt.Errorf("secret_file: %w", err)
	}
	client := &http.Client{
		// What is posted here is for nobody else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &Webhook{name: c.Name, url: c.URL, secret: []byte(secret), client: client, now: now}, nil
}

func (c MailConfig) channel(now func() time.Time) (*Mail, error) {
	if _, _, err := net.SplitHostPort(c.Server); err != nil {
		return nil, fmt.Errorf("server must be host:port: %w", err)
	}
	if len(c.To) == 0 {
		return nil, errors.New("to names nobody")
	}
	for _, address := range append([]string{c.From}, c.To...) {
		parsed, err := mail.ParseAddress(address)
		if err != nil || parsed.Address != address {
			return nil, fmt.Errorf("%q is no plain mail address", address)
		}
	}
	password, err := secretIn(c.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("password_file: %w", err)
	}
	roots, err := rootsIn(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	return &Mail{
		name: c.Name, server: c.Server, implicit: c.TLS, from: c.From, to: c.To, user: c.User, password: password, roots: roots, now: now,
	}, nil
}

// secretIn reads the first line of a file; nothing for no file.
func secretIn(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if err := secretfile.CheckChange(path); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	line, _, _ := strings.Cut(string(content), "\n")
	if line = strings.TrimRight(line, "\r"); line == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return line, nil
}

func rootsIn(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("%s holds no certificate", path)
	}
	return pool, nil
}

// withoutURL keeps a token that a URL may hold out of logs.
func withoutURL(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}
