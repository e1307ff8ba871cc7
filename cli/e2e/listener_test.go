package e2e

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/pgharbor/pgharbor/controlplane/pki"
)

// listener is between the control plane and everybody else, with the control plane's own CA: it
// takes TLS off, keeps all that is said, and puts TLS on again, with a certificate for anyone who
// came. Nothing in the programs knows of it.
type listener struct {
	t     *testing.T
	pki   string // the control plane's folder of keys
	to    string
	pipes sync.WaitGroup

	mu  sync.Mutex
	all []*recording
}

// recording is one direction of one connection.
type recording struct {
	fromClient bool
	mu         sync.Mutex
	content    []byte
}

func (r *recording) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.content = append(r.content, p...)
	return len(p), nil
}

// listen records until the test has ended, and with it the programs that speak.
func listen(t *testing.T, address, to, harbor string) *listener {
	t.Helper()
	socket, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{t: t, pki: filepath.Join(harbor, "pki"), to: to}
	l.pipes.Go(func() {
		for {
			conn, err := socket.Accept()
			if err != nil {
				return
			}
			l.pipes.Go(func() { l.pass(conn) })
		}
	})
	t.Cleanup(func() { _ = socket.Close(); l.pipes.Wait() })
	return l
}

func (l *listener) pass(raw net.Conn) {
	defer raw.Close()
	cas, err := pki.LoadAuthorities(l.pki)
	if err != nil {
		l.t.Error(err)
		return
	}
	client := tls.Server(raw, cas.ServerConfig(time.Now, func(pki.Principal) error { return nil }))
	if err := client.Handshake(); err != nil {
		return // nobody's secret was said
	}
	certificate, err := certificateAs(cas, client.ConnectionState())
	if err != nil {
		l.t.Error(err)
		return
	}
	server, err := tls.Dial("tcp", l.to, pki.ClientConfigTrusting(cas.Certificates, func() *tls.Certificate { return certificate }))
	if err != nil {
		return // the control plane does not run yet, or no longer
	}
	var both sync.WaitGroup
	both.Go(func() { l.record(server, client, true) })
	both.Go(func() { l.record(client, server, false) })
	both.Wait()
}

// certificateAs certifies a new key for the peer of a connection; nil if it has shown no
// certificate.
func certificateAs(cas *pki.Authorities, peer tls.ConnectionState) (*tls.Certificate, error) {
	if len(peer.PeerCertificates) == 0 {
		return nil, nil
	}
	principal, err := pki.FromCertificate(peer.PeerCertificates[0])
	if err != nil {
		return nil, err
	}
	key, err := pki.NewKey()
	if err != nil {
		return nil, err
	}
	csr, err := pki.NewCSR(key)
	if err != nil {
		return nil, err
	}
	issued, err := cas.Sign(csr, principal, time.Hour, time.Now())
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: issued.Chain, PrivateKey: key}, nil
}

func (l *listener) record(to, from net.Conn, fromClient bool) {
	r := &recording{fromClient: fromClient}
	l.mu.Lock()
	l.all = append(l.all, r)
	l.mu.Unlock()
	_, _ = io.Copy(io.MultiWriter(to, r), from) // it ends with the connection
	_ = to.Close()
}

// heard returns all that was said, as it stood on the wire and as the messages and
// headers that it was made of, which frames and compression may have cut up.
func (l *listener) heard() [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all [][]byte
	for _, r := range l.all {
		r.mu.Lock()
		all = append(all, r.content)
		all = append(all, r.messages(l.t)...)
		r.mu.Unlock()
	}
	return all
}

func (r *recording) messages(t *testing.T) [][]byte {
	content := r.content
	if r.fromClient {
		content = bytes.TrimPrefix(content, []byte(http2.ClientPreface))
	}
	framer := http2.NewFramer(io.Discard, bytes.NewReader(content))
	framer.SetMaxReadFrameSize(1<<24 - 1)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	streams := map[uint32][]byte{}
	var headers []byte
	for {
		frame, err := framer.ReadFrame()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) { // the last frame was cut off
			break
		}
		if err != nil {
			t.Errorf("the traffic can't be read: %v", err)
			break
		}
		switch f := frame.(type) {
		case *http2.DataFrame:
			streams[f.StreamID] = append(streams[f.StreamID], f.Data()...)
		case *http2.MetaHeadersFrame:
			for _, field := range f.Fields {
				headers = append(headers, field.Name+"="+field.Value+"\n"...)
			}
		}
	}
	all := [][]byte{headers}
	for _, stream := range streams {
		all = append(all, stream)
	}
	return all
}
