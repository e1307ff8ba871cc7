package e2e

import (
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// line is a proxy before a control plane whose connections can be cut.
type line struct {
	listener net.Listener
	to       string
	budget   atomic.Int64 // bytes that may still pass towards the client; below 0: any number
	pipes    sync.WaitGroup

	mu   sync.Mutex
	dead bool
	open []net.Conn
}

// cut breaks every connection and lets no new one through, until mend.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = true
	for _, conn := range l.open {
		_ = conn.Close()
	}
	l.open = nil
}

func (l *line) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = false
}

// carries notes a connection, unless the line is cut.
func (l *line) carries(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		return false
	}
	l.open = append(l.open, conns...)
	return true
}

func newLine(t *testing.T, listen, to string) *line {
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	l := &line{listener: listener, to: to}
	l.budget.Store(-1)
	l.pipes.Go(l.serve)
	t.Cleanup(func() { _ = listener.Close() })
	return l
}

func (l *line) serve() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", l.to)
		if err != nil {
			_ = client.Close()
			continue
		}
		if !l.carries(client, server) {
			_, _ = client.Close(), server.Close()
			continue
		}
		l.pipes.Go(func() { _, _ = io.Copy(server, client); _ = server.Close() })
		l.pipes.Go(func() { l.down(client, server); _ = client.Close() })
	}
}

// down copies towards the client until the budget is used up.
func (l *line) down(client io.Writer, server io.Reader) {
	buffer := make([]byte, 16<<10)
	for {
		n, err := server.Read(buffer)
		if err != nil {
			return
		}
		if left := l.budget.Load(); left >= 0 && l.budget.Add(int64(-n)) < 0 {
			l.budget.Store(-1)
			return
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// TestDownloadResumes cuts the line in the middle of a download. The same command continues from
// where it was, and what it saves is whole.
func TestDownloadResumes(t *testing.T) {
	w := newWorld(t, programs(t))
	w.server.Exec(t, "postgres", "CREATE DATABASE shop")
	w.server.Exec(t, "shop", `CREATE TABLE goods AS
		SELECT i, (SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 32)) AS text FROM generate_series(1, 16000) i`)
	host := loopback(t)
	l := newLine(t, host+":7443", host+":7444")
	w.harbor(host+":7444", host+":7443")
	w.run("pgharbor", "backup", "shop-db")
	var listed struct {
		Backups []struct{ ID, Filename string }
	}
	w.decode(&listed, "pgharbor", "list", "-o", "json")
	stored, err := os.ReadFile(w.path("backups", "shop", listed.Backups[0].Filename))
	if err != nil {
		t.Fatal(err)
	}

	l.budget.Store(int64(len(stored)) / 2)
	w.run("pgharbor", "download", listed.Backups[0].ID, "--output", w.path("saved"))
	if l.budget.Load() >= 0 {
		t.Error("the line was not cut")
	}
	saved, err := os.ReadFile(w.path("saved"))
	if err != nil || string(saved) != string(stored) {
		t.Fatalf("what was saved is not what is stored: %v", err)
	}
	auditLog := w.run("pgharbor", "audit", "list", "-o", "json")
	if n := strings.Count(auditLog, `"from byte 0 of`); n != 1 {
		t.Errorf("%d downloads began at byte 0, not 1; the second is to go on", n)
	}
	if !strings.Contains(auditLog, "left, sha256") {
		t.Error("the audit log does not say how much left")
	}
}
