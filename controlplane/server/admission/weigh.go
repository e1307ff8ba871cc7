package admission

import (
	"reflect"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

const (
	// slotWeight is the place of a pointer or a number in a list that has grown by
	// doubling, and stringWeight that of a string or of bytes.
	slotWeight, stringWeight = 3 * 8, 6 * 8
	// allocation is what the least of them takes.
	allocation = 16
	// unknownWeight is a message of a kind that this program does not know.
	unknownWeight = 512
)

// weigh is about how many bytes an encoded message becomes in memory, or more than most once it is
// more than that. It makes nothing of what it reads. What can't be decoded weighs what comes before
// it: the decoder says what is wrong.
func weigh(encoded []byte, m protoreflect.MessageDescriptor, most int) int {
	weight := structOf(m)
	for len(encoded) > 0 && weight <= most {
		number, kind, n := protowire.ConsumeTag(encoded)
		if n < 0 {
			break
		}
		length := protowire.ConsumeFieldValue(number, kind, encoded[n:])
		if length < 0 {
			break
		}
		weight += weighField(encoded[n:n+length], kind, m.Fields().ByNumber(number), most-weight)
		encoded = encoded[n+length:]
	}
	return weight
}

// weighField weighs the value of one field, as often as it is there: also of a field that holds one
// value, each may be made before the next takes its place.
func weighField(value []byte, kind protowire.Type, field protoreflect.FieldDescriptor, most int) int {
	if field == nil {
		return len(value) // is kept as it is
	}
	if kind != protowire.BytesType {
		return slotWeight
	}
	content, _ := protowire.ConsumeBytes(value)
	switch field.Kind() {
	case protoreflect.MessageKind:
		return slotWeight + weigh(content, field.Message(), most)
	case protoreflect.StringKind, protoreflect.BytesKind:
		if field.IsList() {
			return stringWeight + allocation + len(content)
		}
		return allocation + len(content)
	default: // numbers, packed: a byte each may be eight
		return slotWeight + 8*len(content)
	}
}

var structs sync.Map // of protoreflect.FullName: int

// structOf is the size of the struct of a kind of message.
func structOf(m protoreflect.MessageDescriptor) int {
	if size, known := structs.Load(m.FullName()); known {
		return size.(int)
	}
	size := unknownWeight
	if kind, err := protoregistry.GlobalTypes.FindMessageByName(m.FullName()); err == nil {
		size = int(reflect.TypeOf(kind.Zero().Interface()).Elem().Size())
	}
	structs.Store(m.FullName(), size)
	return size
}
