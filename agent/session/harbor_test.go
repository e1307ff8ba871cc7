package session_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/controlplane/pki"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// patience bounds what a test waits for; it is reached only if one fails.
const patience = 30 * time.Second

// harbor is the far end of session.proto over TLS, played by the test.
type harbor struct {
	pgharborv1.UnimplementedSessionServiceServer
	pgharborv1.UnimplementedTransferServiceServer

	sessions chan *peer
	// uploads gets each transfer that an agent sent, as a whole.
	uploads chan upload
	// refuse, if set, is how an upload ends after its header.
	refuse error
}

type upload struct {
	id       string
	content  []byte
	messages int
}

// peer is one session as the control plane sees it.
type peer struct {
	t      *testing.T
	stream grpc.BidiStreamingServer[pgharborv1.ConnectRequest, pgharborv1.ConnectResponse]
	from   chan *pgharborv1.ConnectRequest
	over   chan error // what the test ends it with
}

func (h *harbor) Connect(stream grpc.BidiStreamingServer[pgharborv1.ConnectRequest, pgharborv1.ConnectResponse]) error {
	p := &peer{stream: stream, from: make(chan *pgharborv1.ConnectRequest, 1000), over: make(chan error, 1)}
	received := make(chan error, 1)
	go func() {
		for {
			message, err := stream.Recv()
			if err != nil {
				received <- err
				return
			}
			p.from <- message
		}
	}()
	h.sessions <- p
	select {
	case err := <-p.over:
		return err
	case err := <-received:
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
}

func (h *harbor) Upload(stream grpc.ClientStreamingServer[pgharborv1.UploadRequest, pgharborv1.UploadResponse]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if h.refuse != nil {
		return h.refuse
	}
	got := upload{id: first.GetHeader().GetTransferId()}
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			h.uploads <- got
			return stream.SendAndClose(&pgharborv1.UploadResponse{ReceivedBytes: int64(len(got.content))})
		}
		if err != nil {
			return err
		}
		got.messages++
		got.content = append(got.content, message.GetChunk()...)
	}
}

// openHarbor serves on loopback with a CA of its own, and returns a connection of
// an enrolled agent to it.
func openHarbor(t *testing.T) (*harbor, *grpc.ClientConn) {
	t.Helper()
	ca, err := pki.CreateCA(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &harbor{sessions: make(chan *peer), uploads: make(chan upload, 1)}
	anyone := func(pki.Principal) error { return nil }
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(ca.ServerConfig(time.Now, anyone))))
	pgharborv1.RegisterSessionServiceServer(server, h)
	pgharborv1.RegisterTransferServiceServer(server, h)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	identity := agentCertificate(t, ca)
	tlsConfig := pki.ClientConfig(ca.Certificate(), func() *tls.Certificate { return identity })
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(tlsConfig)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return h, conn
}

func agentCertificate(t *testing.T, ca *pki.CA) *tls.Certificate {
	t.Helper()
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	csr, err := pki.NewCSR(key)
	if err != nil {
		t.Fatal(err)
	}
	agent := pki.Principal{Kind: pki.KindAgent, Name: "shop-db", Identity: "aaaaaaaaaaaaaaaa"}
	issued, err := ca.Sign(csr, agent, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(issued.Chain[0])
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: issued.Chain, PrivateKey: key, Leaf: leaf}
}

// next returns the next session, after its hello was answered.
func (h *harbor) next(t *testing.T, heartbeat time.Duration) (*peer, *pgharborv1.Hello) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case p := <-h.sessions:
		p.t = t
		hello := p.receive().GetHello()
		if hello == nil {
			t.Fatal("the session does not begin with a hello")
		}
		p.send(&pgharborv1.ConnectResponse{Message: &pgharborv1.ConnectResponse_Welcome{Welcome: &pgharborv1.Welcome{
			HeartbeatInterval: durationpb.New(heartbeat), ServerTime: timestamppb.Now(),
		}}})
		return p, hello
	case <-ctx.Done():
		t.Fatal("no session came")
		return nil, nil
	}
}

func (p *peer) send(message *pgharborv1.ConnectResponse) {
	p.t.Helper()
	if err := p.stream.Send(message); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) receive() *pgharborv1.ConnectRequest {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	select {
	case message := <-p.from:
		return message
	case <-ctx.Done():
		p.t.Fatal("the agent says nothing more")
		return nil
	}
}

// until reads on to a message that f returns true for, and returns all up to it.
func (p *peer) until(f func(*pgharborv1.ConnectRequest) bool) []*pgharborv1.ConnectRequest {
	p.t.Helper()
	var all []*pgharborv1.ConnectRequest
	for {
		message := p.receive()
		all = append(all, message)
		if f(message) {
			return all
		}
	}
}

func (p *peer) acknowledge(id string) {
	p.t.Helper()
	p.send(&pgharborv1.ConnectResponse{Message: &pgharborv1.ConnectResponse_ReportAck{ReportAck: &pgharborv1.ReportAck{Id: id}}})
}

func (p *peer) offer(offer *pgharborv1.Offer) {
	p.t.Helper()
	p.send(&pgharborv1.ConnectResponse{Message: &pgharborv1.ConnectResponse_Offer{Offer: offer}})
}

func isHeartbeat(m *pgharborv1.ConnectRequest) bool { return m.GetHeartbeat() != nil }
