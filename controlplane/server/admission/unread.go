package admission

import (
	"context"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	"github.com/pgharbor/pgharbor/controlplane/pki"
)

// readWithin is how long a person may leave answers unread while they ask for more.
const readWithin = time.Minute

// unread knows what was answered to people and has not left yet. A call that is no stream ends with
// its answer on the way: from then on the connection alone tells whether the requester reads it.
type unread struct {
	now func() time.Time
	mu  sync.Mutex
	of  map[string]map[string]*owed // by person, and by the address of the connection
}

// owed is what was answered over a connection, as if only answers left by it.
type owed struct {
	conn     *meteredConn
	answered int64
	since    time.Time // when it last owed nothing
}

// left is how much of it has not left.
func (o *owed) left() int64 { return max(0, o.answered-o.conn.sent.Load()) }

func (u *unread) add(who string, conn *meteredConn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.of == nil {
		u.of = map[string]map[string]*owed{}
	}
	if u.of[who] == nil {
		u.of[who] = map[string]*owed{}
	}
	u.of[who][conn.RemoteAddr().String()] = &owed{conn: conn}
}

func (u *unread) release(who string, conn *meteredConn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.of[who], conn.RemoteAddr().String())
	if len(u.of[who]) == 0 {
		delete(u.of, who)
	}
}

// answer notes an answer over the connection from an address, unless more than most bytes of its
// person are unread. What left before does not count: having read much does not allow leaving much
// unread.
func (u *unread) answer(who string, from net.Addr, bytes, most int64) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	var all int64
	for _, o := range u.of[who] {
		all += o.left()
	}
	if all > most {
		return false
	}
	if o := u.of[who][from.String()]; o != nil {
		if o.left() == 0 {
			o.since = u.now()
		}
		o.answered = max(o.answered, o.conn.sent.Load()) + bytes
	}
	return true
}

// stuck is the connection of a person that has owed the most, if that is for too long. It may be
// that nothing is held for it any longer, if the requester has taken the call back.
func (u *unread) stuck(who string) *meteredConn {
	u.mu.Lock()
	defer u.mu.Unlock()
	var most *owed
	for _, o := range u.of[who] {
		if most == nil || o.left() > most.left() {
			most = o
		}
	}
	if most == nil || u.now().Sub(most.since) < readWithin {
		return nil
	}
	return most.conn
}

// AnswerUnary gives a person who does not read answers no more of them.
func (d *Controller) AnswerUnary(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	from, who := person(ctx)
	if who == "" {
		return handler(ctx, request)
	}
	if !d.unread.answer(who, from, 0, d.limits.Unread) {
		return nil, d.refuseAnswer(who)
	}
	answer, err := handler(ctx, request)
	if message, ok := answer.(proto.Message); ok && err == nil && !d.unread.answer(who, from, int64(proto.Size(message)), d.limits.Unread) {
		return nil, d.refuseAnswer(who)
	}
	return answer, err
}

// AnswerStream counts what streams send: it leaves by the same connections. It refuses
// nothing, for a stream waits for its reader.
func (d *Controller) AnswerStream(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if from, who := person(stream.Context()); who != "" {
		stream = &countedStream{ServerStream: stream, admission: d, who: who, from: from}
	}
	return handler(server, stream)
}

type countedStream struct {
	grpc.ServerStream
	admission *Controller
	who       string
	from      net.Addr
}

func (s *countedStream) SendMsg(message any) error {
	if m, ok := message.(proto.Message); ok {
		s.admission.unread.answer(s.who, s.from, int64(proto.Size(m)), 1<<62)
	}
	return s.ServerStream.SendMsg(message)
}

// refuseAnswer also ends the connection that is in the way.
func (d *Controller) refuseAnswer(who string) error {
	if conn := d.unread.stuck(who); conn != nil {
		_ = conn.Close() // its transport meets the end of it
	}
	return d.refuse("answers", who+" has not read what was answered before: read it, then ask again")
}

// person is who calls, if it is one, and from which address.
func person(ctx context.Context) (net.Addr, string) {
	from, ok := peer.FromContext(ctx)
	if !ok {
		return nil, ""
	}
	if who, kind := whoIs(from.AuthInfo, from.Addr); kind == pki.KindUser {
		return from.Addr, who
	}
	return nil, ""
}
