package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/controlplane/client"
	"github.com/pgharbor/pgharbor/controlplane/server"
)

const (
	// serveVariable makes a test's program a control plane on that data folder.
	serveVariable = "PGHARBOR_TEST_SERVE"
	// alertsVariable is its Config.AlertsFile.
	alertsVariable = "PGHARBOR_TEST_ALERTS"
	// httpVariable lets it listen for HTTP too.
	httpVariable = "PGHARBOR_TEST_HTTP"
	// descriptorsVariable is how many descriptors it has.
	descriptorsVariable = "PGHARBOR_TEST_DESCRIPTORS"
)

// served runs a control plane until SIGTERM, and writes its address to standard
// output.
func served(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var httpListen string
	if os.Getenv(httpVariable) != "" {
		httpListen = "127.0.0.1:0"
	}
	if n, err := strconv.ParseUint(os.Getenv(descriptorsVariable), 10, 64); err == nil {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	err := server.Run(ctx, server.Config{
		HTTPListen: httpListen,
		DataDir:    dir, Listen: "127.0.0.1:0", Heartbeat: server.DefaultHeartbeat, CertificateLife: server.DefaultCertificateLife,
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Now: time.Now, AlertsFile: os.Getenv(alertsVariable),
		Ready: func(grpc, http net.Addr) {
			said := listening{GRPC: grpc.String()}
			if http != nil {
				said.HTTP = http.String()
			}
			_ = json.NewEncoder(os.Stdout).Encode(said)
		},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// listening is where it does.
type listening struct{ GRPC, HTTP string }

// process is a control plane that is a process of its own, so that it can be killed
// and its disk can be full.
type process struct {
	cmd     *exec.Cmd
	address string
	http    string // where it listens for HTTP
	wait    func() error
}

// startProcess serves a data folder that nobody serves.
func startProcess(t *testing.T, dir string, environ ...string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), serveVariable+"="+dir), environ...)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, wait: sync.OnceValue(cmd.Wait)}
	t.Cleanup(func() { p.kill(t) })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	var at listening
	if err == nil {
		err = json.Unmarshal(line, &at)
	}
	p.address, p.http = at.GRPC, at.HTTP
	if err != nil {
		t.Fatalf("the control plane did not start: %v", err)
	}
	return p
}

// kill ends the process with SIGKILL, unless it has ended.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
	_ = p.wait() // it was killed
}

// fileSizes bounds what the process may write to a file from now on; with 0, its
// disk is full.
func (p *process) fileSizes(t *testing.T, limit uint64) {
	t.Helper()
	if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: limit, Max: unix.RLIM_INFINITY}, nil); err != nil {
		t.Fatal(err)
	}
}

// dial opens a connection of the identity in a folder.
func (p *process) dial(t testing.TB, dir string) *grpc.ClientConn {
	t.Helper()
	identity, err := client.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := identity.Dial(grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", p.address)
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}
