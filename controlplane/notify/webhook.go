package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// The headers of a webhook's request.
const (
	headerDelivery  = "Pgharbor-Delivery"  // the notification's id: the same one may come twice
	headerTimestamp = "Pgharbor-Timestamp" // seconds since the epoch, at this attempt
	headerSignature = "Pgharbor-Signature" // "sha256=" and hexadecimal HMAC-SHA256 of timestamp "." body
)

// maxAnswer is how much is read of an answer, so that the connection can be used
// again.
const maxAnswer = 4 << 10

// Webhook posts JSON to a URL, signed if it has a secret.
type Webhook struct {
	name   string
	url    string
	secret []byte // none if empty
	client *http.Client
	now    func() time.Time
}

// message is the body of a webhook's request.
type message struct {
	Version  int       `json:"version"`
	Delivery string    `json:"delivery"`
	SentAt   time.Time `json:"sent_at"`
	News     []item    `json:"news"`
	More     int       `json:"more,omitempty"`
}

// item is one piece of news, as people and programs outside see it.
type item struct {
	Kind     string    `json:"kind"`
	Instance string    `json:"instance,omitempty"`
	Database string    `json:"database,omitempty"`
	Verdict  string    `json:"verdict,omitempty"`
	Text     string    `json:"text"`
	NextStep string    `json:"next_step,omitempty"`
	Since    time.Time `json:"since"`
}

func itemOf(n fleet.News) item {
	return item{
		Kind: n.Kind, Instance: n.Instance, Database: n.Database, Verdict: string(n.Verdict),
		Text: n.Text, NextStep: n.NextStep, Since: n.Since.UTC(),
	}
}

// Name implements Channel.
func (w *Webhook) Name() string { return w.name }

// Deliver implements Channel. An answer that is no success is a failure; 4xx is a
// refusal, but for those that ask to try again.
func (w *Webhook) Deliver(ctx context.Context, n fleet.Notification) error {
	m := message{Version: 1, Delivery: n.ID, SentAt: w.now().UTC(), More: n.More}
	for _, news := range n.News {
		m.News = append(m.News, itemOf(news))
	}
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	stamp := strconv.FormatInt(m.SentAt.Unix(), 10)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(headerDelivery, n.ID)
	request.Header.Set(headerTimestamp, stamp)
	if len(w.secret) > 0 {
		request.Header.Set(headerSignature, "sha256="+sign(w.secret, stamp, body))
	}
	response, err := w.client.Do(request)
	if err != nil {
		return fmt.Errorf("webhook %s: %w", w.name, withoutURL(err))
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, maxAnswer) // what it says does not matter
	switch code := response.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, code >= 500:
		return fmt.Errorf("webhook %s: %s", w.name, response.Status)
	default:
		return fmt.Errorf("webhook %s: %w: %s", w.name, ErrRefused, response.Status)
	}
}

func sign(secret []byte, stamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}
