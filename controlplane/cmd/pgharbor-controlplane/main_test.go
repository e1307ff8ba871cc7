package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/internal/exit"
)

// execute runs the program as main does.
func execute(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(ctx, args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestInitPrintsWhatAScriptNeeds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	code, out, errs := execute(t.Context(), "init", "--data-dir", dir, "--advertise", "cp.example:9443", "--owner", "anna@example.org", "-o", "json")
	if code != exit.Done || errs != "" {
		t.Fatalf("exit %d: %s", code, errs)
	}
	var made map[string]string
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		t.Fatal(err)
	}
	invite, err := pki.ParseInvite(made["invite"])
	if err != nil || invite.Address != "cp.example:9443" || invite.Fingerprint != made["ca_fingerprint"] {
		t.Errorf("the invite is %+v, %v; the CA is %s", invite, err, made["ca_fingerprint"])
	}

	// A second time it fails, prints nothing that could be taken for an
	// invite, and says what to do instead.
	code, out, errs = execute(t.Context(), "init", "--data-dir", dir, "-o", "json")
	if code != exit.Failed || out != "" || !strings.Contains(errs, "nothing was changed") || !strings.Contains(errs, "\nhint: pgharbor-controlplane serve --data-dir "+dir+"\n") {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
}

func TestInitForAPerson(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	code, out, _ := execute(t.Context(), "init", "--data-dir", dir)
	if code != exit.Done || !strings.Contains(out, "pgharbor login pgharbor1_") || !strings.Contains(out, "serve --data-dir "+dir) {
		t.Errorf("exit %d: %s", code, out)
	}
}

// Anyone who pastes what init prints serves where the invites lead.
func TestInitSaysWhereToServe(t *testing.T) {
	for advertise, listen := range map[string]string{
		"127.0.0.1:7443":          "",
		"127.0.0.1:9443":          " --listen 127.0.0.1:9443",
		"backup.example.com:7443": " --listen 0.0.0.0:7443",
		"[2001:db8::1]:9443":      " --listen 0.0.0.0:9443",
		"[::1]:7443":              ` --listen \[::1\]:7443`,
	} {
		dir := filepath.Join(t.TempDir(), "data")
		code, out, _ := execute(t.Context(), "init", "--data-dir", dir, "--advertise", advertise)
		if code != exit.Done || !strings.Contains(out, "serve --data-dir "+dir+listen+"\n") {
			t.Errorf("%s: exit %d: %s", advertise, code, out)
		}
	}
}

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--help"}, exit.Done, ""},
		{[]string{"--version"}, exit.Done, ""},
		{[]string{"init", "--help"}, exit.Done, ""},
		{[]string{}, exit.Usage, "init, serve, audit or recover-owner"},
		{[]string{"destroy"}, exit.Usage, "destroy"},
		{[]string{"init"}, exit.Usage, "--data-dir"},
		{[]string{"init", "--data-dir", dir, "extra"}, exit.Usage, "extra"},
		{[]string{"init", "--data-dir", dir, "--advertise", "nowhere"}, exit.Usage, "--advertise"},
		{[]string{"init", "--data-dir", dir, "--owner", "a b"}, exit.Usage, "--owner"},
		{[]string{"init", "--data-dir", dir, "-o", "yaml"}, exit.Usage, "yaml"},
		{[]string{"init", "--no-such-flag"}, exit.Usage, "no-such-flag"},
		{[]string{"recover-owner"}, exit.Usage, "--data-dir"},
		{[]string{"recover-owner", "--data-dir", dir, "--owner", "a b"}, exit.Usage, "--owner"},
		{[]string{"recover-owner", "--data-dir", dir, "-o", "yaml"}, exit.Usage, "yaml"},
		{[]string{"recover-owner", "--data-dir", dir}, exit.Failed, "holds no control plane"},
		{[]string{"serve"}, exit.Usage, "--data-dir"},
		{[]string{"audit"}, exit.Usage, "say verify"},
		{[]string{"audit", "verify"}, exit.Usage, "--data-dir"},
		{[]string{"audit", "verify", "--data-dir", dir, "--head", "7"}, exit.Usage, "SEQUENCE:HASH"},
		{[]string{"serve", "--data-dir", dir, "--heartbeat", "0s"}, exit.Usage, "--heartbeat"},
		{[]string{"serve", "--data-dir", dir, "--heartbeat", "soon"}, exit.Usage, "soon"},
		{[]string{"serve", "--data-dir", dir}, exit.Failed, "holds no control plane"},
		{[]string{"serve", "--data-dir", dir, "--agent-databases", "0"}, exit.Usage, "--agent-databases is from 1"},
		{[]string{"serve", "--data-dir", dir, "--agent-databases", "1000000"}, exit.Usage, "--agent-databases is from 1"},
		{[]string{"serve", "--data-dir", dir, "--agent-runs", "2000"}, exit.Usage, "--agent-runs is 2256 at least"},
		{[]string{"serve", "--data-dir", dir, "--agent-bytes", "1"}, exit.Usage, "--agent-bytes"},
		{[]string{"serve", "--data-dir", dir, "--runs-days", "7"}, exit.Usage, "8 at least"},
		{[]string{"serve", "--data-dir", dir, "--invites-days", "0"}, exit.Usage, "--invites-days is 1"},
		{[]string{"serve", "--data-dir", dir, "--jobs-days", "1000000000"}, exit.Failed, "holds no control plane"},
		{[]string{"audit", "seal"}, exit.Usage, "1 arg"},
		{[]string{"audit", "seal", "--data-dir", dir, "file"}, exit.Usage, "--year"},
		{[]string{"audit", "seal", "--data-dir", dir, "--year", "9000", "file"}, exit.Usage, "is not a year that is over"},
		{[]string{"audit", "seal", "--data-dir", dir, "--year", "2020", "file"}, exit.Failed, "holds no control plane"},
		{[]string{"ca"}, exit.Usage, "list, rotate or retire"},
		{[]string{"ca", "list"}, exit.Usage, "--data-dir"},
		{[]string{"ca", "rotate", "--data-dir", dir}, exit.Failed, "holds no control plane"},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			code, _, errs := execute(t.Context(), tt.args...)
			if code != tt.code || !strings.Contains(errs, tt.says) {
				t.Errorf("exit %d, want %d: %q", code, tt.code, errs)
			}
		})
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("they left %v, %v", left, err)
	}
}

// Every flag has a variable, and a flag that is given wins.
func TestFlagsFromTheEnvironment(t *testing.T) {
	fromEnvironment, fromFlag := filepath.Join(t.TempDir(), "environment"), filepath.Join(t.TempDir(), "flag")
	t.Setenv("PGHARBOR_DATA_DIR", fromEnvironment)
	t.Setenv("PGHARBOR_ADVERTISE", "env.example:1")
	t.Setenv("PGHARBOR_OUTPUT", "json")
	for _, tt := range []struct {
		args []string
		dir  string
	}{{[]string{"init"}, fromEnvironment}, {[]string{"init", "--data-dir", fromFlag}, fromFlag}} {
		code, out, errs := execute(t.Context(), tt.args...)
		if code != exit.Done || !strings.HasPrefix(out, "{") {
			t.Errorf("exit %d, %q, %q", code, out, errs)
		}
		if _, err := os.Stat(filepath.Join(tt.dir, "catalog.db")); err != nil {
			t.Error(err)
		}
	}
	t.Setenv("PGHARBOR_HEARTBEAT", "soon")
	if code, _, errs := execute(t.Context(), "serve"); code != exit.Usage || !strings.Contains(errs, "PGHARBOR_HEARTBEAT") {
		t.Errorf("a bad variable: exit %d, %q", code, errs)
	}
}

// A signal ends serve with 0.
func TestServeUntilASignal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if code, _, errs := execute(t.Context(), "init", "--data-dir", dir); code != exit.Done {
		t.Fatal(errs)
	}
	ctx, signal := context.WithTimeout(t.Context(), time.Minute)
	defer signal()
	errs := &untilText{text: "msg=serving", seen: signal}
	code := run(ctx, []string{"serve", "--data-dir", dir, "--listen", "127.0.0.1:0", "--http-listen", ""}, &bytes.Buffer{}, errs)
	if code != exit.Done || !strings.Contains(errs.all.String(), "shutting down") {
		t.Errorf("exit %d: %s", code, &errs.all)
	}
}

// untilText calls seen when a text has been written; slog writes a line at a
// time.
type untilText struct {
	text string
	seen func()
	all  bytes.Buffer
}

func (u *untilText) Write(line []byte) (int, error) {
	if strings.Contains(string(line), u.text) {
		u.seen()
	}
	return u.all.Write(line)
}
