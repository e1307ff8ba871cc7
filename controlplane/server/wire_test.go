package server_test

import (
	"bytes"
	"crypto/tls"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
)

// A path without its leading slash once went past interceptors that compare paths; it is refused,
// no matter who sends it.
func TestPathWithoutItsSlashIsRefused(t *testing.T) {
	cp := servertest.Start(t)
	owner := certificateIn(t, cp.Enroll(t, cp.OwnerInvite))
	for _, tt := range []struct {
		path string
		cert *tls.Certificate
		ok   bool
	}{
		{"/pgharbor.v1.IdentityService/GetIdentity", owner, true}, // the test itself works
		{"pgharbor.v1.IdentityService/GetIdentity", owner, false},
		{"pgharbor.v1.UserService/ListUsers", nil, false},
		{"pgharbor.v1.EnrollmentService/Enroll", nil, false},
		{"//pgharbor.v1.UserService/ListUsers", nil, false},
		{"/pgharbor.v1.UserService//ListUsers", nil, false},
		{"", nil, false},
		{"/", nil, false},
		{"*", nil, false},
	} {
		answer := rawCall(t, cp, tt.cert, tt.path)
		if got := answer == "0"; got != tt.ok {
			t.Errorf("%q was answered with grpc-status %q", tt.path, answer)
		}
	}
}

// rawCall sends one empty gRPC message over HTTP/2 with this :path, and returns the grpc-status of
// the answer, or "reset" if the stream was refused as such.
func rawCall(t *testing.T, cp *servertest.ControlPlane, cert *tls.Certificate, path string) string {
	t.Helper()
	config := pki.ClientConfig(authority(t, cp).Certificate(), func() *tls.Certificate { return cert })
	conn, err := tls.Dial("tcp", cp.Address(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	sendRequest(t, framer, path)
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return "reset" // the whole connection
		}
		switch f := frame.(type) {
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return "reset"
		case *http2.MetaHeadersFrame:
			for _, field := range f.Fields {
				if field.Name == "grpc-status" {
					return field.Value
				}
			}
		}
	}
}

func sendRequest(t *testing.T, framer *http2.Framer, path string) {
	t.Helper()
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range []hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "controlplane"},
		{Name: ":path", Value: path}, {Name: "content-type", Value: "application/grpc"}, {Name: "te", Value: "trailers"},
	} {
		if err := encoder.WriteField(field); err != nil {
			t.Fatal(err)
		}
	}
	err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := framer.WriteData(1, true, []byte{0, 0, 0, 0, 0}); err != nil { // a message of no bytes
		t.Fatal(err)
	}
}
