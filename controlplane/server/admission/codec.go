package admission

import (
	"context"
	"fmt"

	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc/encoding"
	encodingproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

const (
	// maxDecoded bounds what one message becomes in memory. The heaviest that anybody honest sends,
	// a page of an inventory with only short names, is 16 MiB.
	maxDecoded = 24 << 20
	// light is what is decoded without waiting for others.
	light = 1 << 20
	// decoding is what all messages that are decoded at a time become, the light ones
	// apart.
	decoding = 3 * maxDecoded
)

// Codec is gRPC's codec of protobuf messages, within the controller's limits: what an encoded
// message becomes in memory is known before it is decoded. Two bytes on the wire may be a struct of
// hundreds. Anyone who sends more than is taken has the call ended.
func (d *Controller) Codec() encoding.CodecV2 {
	return weightedCodec{
		CodecV2: encoding.GetCodecV2(encodingproto.Name), turns: semaphore.NewWeighted(decoding),
		tooHeavy: d.refused.WithLabelValues("messages").Inc,
	}
}

type weightedCodec struct {
	encoding.CodecV2
	turns    *semaphore.Weighted
	tooHeavy func()
}

// Unmarshal implements encoding.CodecV2.
func (w weightedCodec) Unmarshal(message mem.BufferSlice, v any) error {
	into, ok := v.(proto.Message)
	if !ok {
		return w.CodecV2.Unmarshal(message, v)
	}
	whole := message.MaterializeToBuffer(mem.DefaultBufferPool())
	defer whole.Free()
	weight := weigh(whole.ReadOnlyData(), into.ProtoReflect().Descriptor(), maxDecoded)
	if weight > maxDecoded {
		w.tooHeavy()
		return fmt.Errorf("a message of %d bytes would take more than %d in memory", whole.Len(), maxDecoded)
	}
	if weight > light {
		if err := w.turns.Acquire(context.Background(), int64(weight)); err != nil {
			return err
		}
		defer w.turns.Release(int64(weight))
	}
	return w.CodecV2.Unmarshal(mem.BufferSlice{whole}, v)
}
