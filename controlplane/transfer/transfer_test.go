package transfer_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/mem"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/transfer"
	"github.com/pgharbor/pgharbor/internal/chunk"
)

func claim(t *testing.T, b *transfer.Broker, id, instance string) *transfer.Transfer {
	t.Helper()
	sender, err := b.Claim(id, instance)
	if err != nil {
		t.Fatal(err)
	}
	return sender
}

func content(text string) chunk.Chunk { return chunk.New(mem.SliceBuffer(text)) }

func text(t *testing.T, c chunk.Chunk) string {
	t.Helper()
	var b strings.Builder
	if _, err := c.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestBytesArriveInOrderAndThenTheEnd(t *testing.T) {
	var b transfer.Broker
	receiver := b.Open("t1", "db1")
	defer receiver.Close()
	sender := claim(t, &b, "t1", "db1")
	go func() {
		for _, part := range []string{"one", "two", ""} {
			if err := sender.Send(t.Context(), content(part)); err != nil {
				t.Error(err)
			}
		}
		sender.Finish(nil)
	}()
	for _, want := range []string{"one", "two", ""} {
		if got, err := receiver.Receive(t.Context()); err != nil || text(t, got) != want {
			t.Errorf("got %v, %v, want %q", got, err, want)
		}
	}
	for range 2 {
		if got, err := receiver.Receive(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("at the end came %v, %v", got, err)
		}
	}
}

func TestOnlyTheAgentOfTheInstanceSendsAndOnce(t *testing.T) {
	var b transfer.Broker
	receiver := b.Open("t1", "db1")
	for _, tt := range []struct {
		id, instance string
		cause        error
	}{
		{"t1", "db2", fleet.ErrNotFound},
		{"t2", "db1", fleet.ErrNotFound},
		{"", "", fleet.ErrNotFound},
		{"t1", "db1", nil},
		{"t1", "db1", fleet.ErrConflict},
		{"t1", "db2", fleet.ErrNotFound},
	} {
		if _, err := b.Claim(tt.id, tt.instance); !errors.Is(err, tt.cause) {
			t.Errorf("%q by %q: %v, want %v", tt.id, tt.instance, err, tt.cause)
		}
	}
	if !receiver.Claimed() {
		t.Error("it does not count as claimed")
	}
	receiver.Close()
	receiver.Close() // as often as one likes
	if _, err := b.Claim("t1", "db1"); !errors.Is(err, fleet.ErrNotFound) {
		t.Errorf("after the receiver left: %v", err)
	}
	if n := b.Count(); n != 0 {
		t.Errorf("%d transfers are open", n)
	}
}

func TestErrorOfTheSenderReachesTheReceiver(t *testing.T) {
	var b transfer.Broker
	receiver := b.Open("t1", "db1")
	defer receiver.Close()
	broken := errors.New("the disk is gone")
	claim(t, &b, "t1", "db1").Finish(broken)
	if got, err := receiver.Receive(t.Context()); !errors.Is(err, broken) {
		t.Errorf("got %v, %v", got, err)
	}
}

// A receiver that stalls holds its sender: one chunk is on the way, and no
// more, however long it takes.
func TestStalledReceiverStopsTheSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b transfer.Broker
		receiver := b.Open("t1", "db1")
		sender := claim(t, &b, "t1", "db1")
		sent, ended := 0, make(chan error)
		go func() {
			for {
				if err := sender.Send(t.Context(), content("x")); err != nil {
					ended <- err
					return
				}
				sent++
			}
		}()
		synctest.Wait() // until nothing can go on
		if sent != 0 {
			t.Errorf("%d chunks were taken from the sender before anybody received", sent)
		}
		for range 3 {
			if _, err := receiver.Receive(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if sent != 3 {
			t.Errorf("%d chunks were sent, and 3 received", sent)
		}
		receiver.Close()
		if err := <-ended; !errors.Is(err, transfer.ErrReceiverGone) {
			t.Errorf("the sender ended with %v", err)
		}
	})
}

// Transfers do not wait for each other.
func TestStalledTransferHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b transfer.Broker
		stalled, brisk := b.Open("t1", "db1"), b.Open("t2", "db1")
		for _, id := range []string{"t1", "t2"} {
			sender := claim(t, &b, id, "db1")
			go func() { sender.Finish(sender.Send(t.Context(), content(id))) }()
		}
		synctest.Wait()
		if got, err := brisk.Receive(t.Context()); err != nil || text(t, got) != "t2" {
			t.Errorf("got %v, %v", got, err)
		}
		brisk.Close()
		stalled.Close()
	})
}

func TestEndOfTheContextEndsTheWait(t *testing.T) {
	var b transfer.Broker
	receiver := b.Open("t1", "db1")
	defer receiver.Close()
	sender := claim(t, &b, "t1", "db1")
	revoked := errors.New("revoked")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(revoked)
	if err := sender.Send(ctx, content("x")); !errors.Is(err, revoked) {
		t.Errorf("Send: %v", err)
	}
	if _, err := receiver.Receive(ctx); !errors.Is(err, revoked) {
		t.Errorf("Receive: %v", err)
	}
}
