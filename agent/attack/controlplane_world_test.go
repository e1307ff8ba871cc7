package attack_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/job"
	"github.com/pgharbor/pgharbor/agent/policy"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/retention"
	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/agent/session"
	"github.com/pgharbor/pgharbor/agent/signing"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/agent/store"
	"github.com/pgharbor/pgharbor/agent/store/local"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/internal/random"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// planePatience bounds what an attack waits for; it is reached only where one fails.
const planePatience = time.Minute

// plane is a control plane that somebody has taken over: it has the agent's session, and says what it likes.
type plane struct {
	pgharborv1.UnimplementedSessionServiceServer
	pgharborv1.UnimplementedTransferServiceServer

	t        *testing.T
	sessions chan planeSession
	session  planeSession
	// fetched is what it hands out as another instance's backup, whatever is asked for.
	fetched plunder
}

// plunder is a backup as it is sent from one agent to another.
type plunder struct{ manifest, content []byte }

type planeSession = grpc.BidiStreamingServer[pgharborv1.ConnectRequest, pgharborv1.ConnectResponse]

// Connect hands the session to the attack.
func (p *plane) Connect(stream planeSession) error {
	if _, err := stream.Recv(); err != nil {
		return err
	}
	err := stream.Send(&pgharborv1.ConnectResponse{Message: &pgharborv1.ConnectResponse_Welcome{Welcome: &pgharborv1.Welcome{
		HeartbeatInterval: durationpb.New(time.Minute),
	}}})
	if err != nil {
		return err
	}
	p.sessions <- stream
	<-stream.Context().Done()
	return nil
}

// Fetch hands out what the control plane has made up.
func (p *plane) Fetch(_ *pgharborv1.FetchRequest, stream grpc.ServerStreamingServer[pgharborv1.FetchResponse]) error {
	header := &pgharborv1.FetchResponse_Header{Header: &pgharborv1.FetchHeader{Manifest: p.fetched.manifest}}
	if err := stream.Send(&pgharborv1.FetchResponse{Part: header}); err != nil {
		return err
	}
	return stream.Send(&pgharborv1.FetchResponse{Part: &pgharborv1.FetchResponse_Chunk{Chunk: p.fetched.content}})
}

// asks has a job done, and returns how it ended.
func (p *plane) asks(offer *pgharborv1.Offer) *pgharborv1.JobFinished {
	p.t.Helper()
	if offer.GetJobId() == "" {
		offer.JobId = random.ID()
	}
	if err := p.session.Send(&pgharborv1.ConnectResponse{Message: &pgharborv1.ConnectResponse_Offer{Offer: offer}}); err != nil {
		p.t.Fatal(err)
	}
	end := make(chan *pgharborv1.JobFinished, 1)
	go func() {
		for {
			message, err := p.session.Recv()
			if err != nil {
				close(end)
				return
			}
			if done := message.GetReport().GetJobFinished(); done.GetJobId() == offer.GetJobId() {
				end <- done
				return
			}
		}
	}()
	select {
	case done := <-end:
		return done
	case <-time.After(planePatience):
		p.t.Fatalf("nothing is heard of the job %v", offer)
		return nil
	}
}

func (p *plane) restore(spec *pgharborv1.RestoreSpec) *pgharborv1.JobFinished {
	p.t.Helper()
	return p.asks(&pgharborv1.Offer{Spec: &pgharborv1.Offer_Restore{Restore: spec}})
}

// sends has it hand out a backup as that of an instance, and asks for its restore.
func (p *plane) sends(what plunder, instance string, key ed25519.PublicKey, target string) *pgharborv1.JobFinished {
	p.t.Helper()
	p.fetched = what
	manifest, err := backup.ParseManifest(what.manifest)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.restore(&pgharborv1.RestoreSpec{
		BackupId: manifest.ID, TargetDatabase: target,
		Source: &pgharborv1.RestoreSource{Instance: instance, TransferId: "transfer", SigningKey: key},
	})
}

// refused wants a job to have ended by the host's word.
func (p *plane) refused(what string, done *pgharborv1.JobFinished) {
	p.t.Helper()
	if done.GetState() != state.StateFailed || done.GetFailure() != backup.FailureNotAllowed {
		p.t.Errorf("%s: it ends as %s, %q: %s", what, done.GetState(), done.GetFailure(), done.GetError())
	}
}

// succeeded wants a job to have been done: the trap is live.
func (p *plane) succeeded(what string, done *pgharborv1.JobFinished) {
	p.t.Helper()
	if done.GetState() != state.StateSucceeded {
		p.t.Errorf("%s: it ends as %s, %q: %s", what, done.GetState(), done.GetFailure(), done.GetError())
	}
}

// takenHost is an agent, shop-db, that serves a control plane which was taken over.
type takenHost struct {
	*postgrestest.Server
	t      *testing.T
	plane  *plane
	work   *job.Runner
	policy policy.File
}

const planePassphrase = "correct horse battery staple"

func newTakenHost(t *testing.T) *takenHost {
	t.Helper()
	h := &takenHost{Server: postgrestest.Start(t), t: t, policy: policy.File{Path: filepath.Join(t.TempDir(), "agent-policy.json"), Optional: true}}
	h.work = planeRunner(t, h.Server, "shop-db", h.policy.Read, func(host *backup.Config) {
		host.Trusts = func(instance string) bool { // as the daemon does it
			p, err := h.policy.Read()
			return err == nil && p.Trusts(instance)
		}
	})
	h.plane = newPlane(t, h.work)
	return h
}

// allows writes the policy of the host, which holds from the next job on.
func (h *takenHost) allows(content string) {
	h.t.Helper()
	if err := os.WriteFile(h.policy.Path, []byte(content), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// ownerOf is the role that owns a database; "" where there is no such database.
func (h *takenHost) ownerOf(database string) string {
	h.t.Helper()
	return h.Value(h.t, "postgres", `SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '`+database+`'`)
}

// planeRunner is a real agent's work on a server, with the default policy where hostPolicy is nil. The functions may
// change it before.
func planeRunner(t *testing.T, server *postgrestest.Server, name string, hostPolicy func() (policy.Policy, error), change ...func(*backup.Config)) *job.Runner {
	t.Helper()
	settings, err := postgres.SettingsFrom(server.Environ())
	if err != nil {
		t.Fatal(err)
	}
	instance, err := postgres.Open(settings, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	backups, err := local.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	folder, err := state.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	clock, err := retention.OpenClockGuard(filepath.Join(t.TempDir(), "clock.json"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		instance.Close()
		backups.Close()
	})
	host := backup.Config{
		Instance: instance, Store: backups, InstanceName: name, Now: time.Now, Signer: signing.Open(folder.Dir()),
		Keys: seal.Ring{Passphrases: seal.Passphrases{Current: planePassphrase}},
	}
	for _, f := range change {
		f(&host)
	}
	work := job.New(job.Config{
		Host: host, Backups: backup.New(host),
		State: folder, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		DefaultDatabase: "postgres", Clock: clock, HostPolicy: hostPolicy, Plan: job.Plan{Concurrency: 1, Retention: retention.Policy{Days: 30, KeepLast: 3}},
	})
	if err := work.Backups.Repository.BeginSigning(); err != nil {
		t.Fatal(err)
	}
	return work
}

// newPlane serves over mutual TLS, and has the agent's session.
func newPlane(t *testing.T, work *job.Runner) *plane {
	t.Helper()
	ca, err := pki.CreateCA(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &plane{t: t, sessions: make(chan planeSession)}
	anyone := func(pki.Principal) error { return nil }
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(ca.ServerConfig(time.Now, anyone))))
	pgharborv1.RegisterSessionServiceServer(server, p)
	pgharborv1.RegisterTransferServiceServer(server, p)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	identity := planeCertificate(t, ca)
	config := pki.ClientConfig(ca.Certificate(), func() *tls.Certificate { return identity })
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	agent := &session.Session{Conn: conn, Work: session.WorkOf(work), Version: "test", Timezone: "UTC", Log: slog.New(slog.DiscardHandler), Now: time.Now}
	var running sync.WaitGroup
	running.Go(func() { agent.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		work.Wait()
		err := conn.Close()
		server.Stop()
		if err = errors.Join(err, <-served); err != nil {
			t.Error(err)
		}
	})
	select {
	case p.session = <-p.sessions:
	case <-time.After(planePatience):
		t.Fatal("the agent does not connect")
	}
	return p
}

func planeCertificate(t *testing.T, ca *pki.CA) *tls.Certificate {
	t.Helper()
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	csr, err := pki.NewCSR(key)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := ca.Sign(csr, pki.Principal{Kind: pki.KindAgent, Name: "shop-db", Identity: "aaaaaaaaaaaaaaaa"}, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(issued.Chain[0])
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: issued.Chain, PrivateKey: key, Leaf: leaf}
}

// backedUp has an agent back a database up, and returns it as it would be sent, and its id.
func backedUp(t *testing.T, work *job.Runner, database, trigger string) (plunder, string) {
	t.Helper()
	outcomes := work.Runs.BackUp(t.Context(), job.Request{Trigger: trigger, Databases: []string{database}})
	if err := job.Failures(outcomes); err != nil {
		t.Fatal(err)
	}
	stored, err := work.Backups.Repository.Find(outcomes[0].Manifest.ID)
	if err != nil {
		t.Fatal(err)
	}
	path := folderOf(&work.Host).Path(stored.Location)
	var what plunder
	if what.manifest, err = os.ReadFile(store.ManifestName(path)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + ".globals"} {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		what.content = append(what.content, content...)
	}
	return what, stored.ID
}

// madeUp is a file that no agent ever wrote, and its manifest, which nobody has signed.
func madeUp(t *testing.T, instance, script string) plunder {
	t.Helper()
	content := []byte(script + "\n\n--\n-- PostgreSQL database dump complete\n--\n\n")
	sum := sha256.Sum256(content)
	now := time.Now().UTC()
	manifest, err := json.Marshal(backup.Manifest{
		Version: backup.ManifestVersion, ID: "madeupmadeupmade", RunID: "run1", Instance: instance, Database: "goods",
		Filename: "backup-2026-11-01-01-00-00.sql", Format: postgres.FormatPlain, Compression: backup.CompressionNone,
		Encryption: backup.Encryption{Scheme: seal.SchemeNone}, SizeBytes: int64(len(content)), SHA256: hex.EncodeToString(sum[:]),
		PlainSizeBytes: int64(len(content)), PlainSHA256: hex.EncodeToString(sum[:]), CreatedAt: now, StartedAt: now, FinishedAt: now,
		Trigger: backup.TriggerManual, Complete: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return plunder{manifest, content}
}
