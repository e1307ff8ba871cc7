package admission

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// listenHTTP serves "ok" behind small bounds, and blocks requests of /wait until release.
func listenHTTP(t *testing.T, limits HTTPLimits) (l *HTTPListener, arrived, release chan struct{}) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l = New(Default, time.Now, prometheus.NewRegistry()).HTTPListener(listener, limits, time.Now)
	arrived, release = make(chan struct{}, 100), make(chan struct{})
	server := &http.Server{ReadHeaderTimeout: time.Minute, ConnState: l.ConnState, Handler: l.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			arrived <- struct{}{}
			<-release
		}
		if r.URL.Path == "/large" {
			_, _ = w.Write(make([]byte, largeAnswer))
		}
		_, _ = io.WriteString(w, "ok")
	}))}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close(); <-ended })
	return l, arrived, release
}

func ask(t *testing.T, l *HTTPListener, from, path string) (int, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.Addr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	return response.StatusCode, nil
}

func TestWhoOnlyHoldsConnectionsOpenKeepsNobodyOut(t *testing.T) {
	limits := HTTPLimits{Connections: 8, ConnectionsOfAddress: 4, Requests: 1000, Burst: 1000, Working: 4, Unread: 1 << 30}
	l, _, _ := listenHTTP(t, limits)
	for _, from := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"} {
		for range 30 {
			conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext(t.Context(), "tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
		}
	}
	for _, from := range []string{"127.0.0.1", "127.0.0.9"} {
		if code, err := ask(t, l, from, "/"); err != nil || code != http.StatusOK {
			t.Errorf("from %s: %d, %v", from, code, err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.conns) > limits.Connections {
		t.Errorf("%d connections are open", len(l.conns))
	}
}

// Anyone who is being answered keeps the place, and a newcomer is then refused.
func TestWhoIsBusyIsNotSentAway(t *testing.T) {
	l, arrived, release := listenHTTP(t, HTTPLimits{Connections: 8, ConnectionsOfAddress: 3, Requests: 1000, Burst: 1000, Working: 8, Unread: 1 << 30})
	answers := make(chan int, 3)
	for range 3 {
		go func() { code, _ := ask(t, l, "127.0.0.2", "/wait"); answers <- code }()
		<-arrived
	}
	if _, err := ask(t, l, "127.0.0.2", "/"); err == nil {
		t.Error("a fourth of one address is served")
	}
	if code, err := ask(t, l, "127.0.0.1", "/"); err != nil || code != http.StatusOK {
		t.Errorf("another address: %d, %v", code, err)
	}
	close(release)
	for range 3 {
		if code := <-answers; code != http.StatusOK {
			t.Errorf("one who was busy got %d", code)
		}
	}
}

func TestWhoAsksTooOftenIsToldToWait(t *testing.T) {
	l, _, _ := listenHTTP(t, HTTPLimits{Connections: 8, ConnectionsOfAddress: 8, Requests: 1, Burst: 3, Working: 4, Unread: 1 << 30})
	l.rates.now = func() time.Time { return time.Unix(1000, 0) } // any flood is a fast one
	for n, want := range []int{200, 200, 200, 429} {
		if code, err := ask(t, l, "127.0.0.2", "/"); err != nil || code != want {
			t.Errorf("request %d: %d, %v", n, code, err)
		}
	}
	if code, err := ask(t, l, "127.0.0.1", "/"); err != nil || code != http.StatusOK {
		t.Errorf("another address: %d, %v", code, err)
	}
}

// Whatever the limit of descriptors, some are left for files, and those with certificates have a part.
func TestConnectionsAreShared(t *testing.T) {
	for _, connections := range []int{64, 128, 896, 1 << 20} {
		limits, http := Share(connections)
		if limits.Accepted+http.Connections > connections || limits.Handshakes+limits.Anonymous > limits.Accepted/2 ||
			limits.HandshakesOfAddress < 1 || http.ConnectionsOfAddress < 1 || limits.AnonymousOfAddress >= limits.Anonymous {
			t.Errorf("%d: %+v %+v", connections, limits, http)
		}
	}
	if limits, http := Share(1 << 20); limits.Handshakes != Default.Handshakes || limits.Anonymous != Default.Anonymous || http != DefaultHTTP {
		t.Errorf("with plenty: %+v %+v", limits, http)
	}
}
