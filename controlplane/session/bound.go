package session

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// bound is what one field may say.
type bound struct {
	// check returns a value within the bound, or an error; nil for a message, whose
	// own fields are bounded.
	check func(protoreflect.Value) (protoreflect.Value, error)
	// most is how many items a list may have; 0 for what is none.
	most int
	// optional: what is over is left out alone.
	optional bool
}

// left is what was left out of a message that is taken anyway.
type left struct {
	texts []string // the first of them
	count int
}

// maxLeft bounds the texts of one message.
const maxLeft = 5

func (l *left) add(text string) {
	if l.count++; len(l.texts) < maxLeft {
		l.texts = append(l.texts, text)
	}
}

// Bound holds a message that an agent sent to the table of bounds: what is over
// is cut or left out of it, or the error, which wraps fleet.ErrInvalid, refuses it.
func Bound(m proto.Message) error {
	_, err := within(m)
	return err
}

func within(m proto.Message) (left, error) {
	var l left
	return l, l.within(m.ProtoReflect())
}

func (l *left) within(m protoreflect.Message) error {
	fields := m.Descriptor().Fields()
	for n := range fields.Len() {
		field := fields.Get(n)
		if !m.Has(field) {
			continue
		}
		b, bounded := bounds[field.FullName()]
		if !bounded {
			return invalid("%s has no bound", field.FullName())
		}
		err := l.field(m, field, b)
		if err != nil && b.optional {
			l.add(err.Error())
			m.Clear(field)
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (l *left) field(m protoreflect.Message, field protoreflect.FieldDescriptor, b bound) error {
	if field.IsList() {
		within := l.list(m.Get(field).List(), m.NewField(field).List(), field, b)
		m.Set(field, protoreflect.ValueOfList(within))
		return nil
	}
	value, err := l.value(m.Get(field), field, b)
	if err == nil {
		m.Set(field, value)
	}
	return err
}

// list returns the items without those that are over or too many. It is a new list:
// one that is made shorter still holds in memory what was dropped.
func (l *left) list(items, within protoreflect.List, field protoreflect.FieldDescriptor, b bound) protoreflect.List {
	if more := items.Len() - b.most; more > 0 {
		l.add(fmt.Sprintf("%s: %d more than %d", shortName(field), more, b.most))
	}
	for n := range min(items.Len(), b.most) {
		value, err := l.value(items.Get(n), field, b)
		if err != nil {
			l.add(err.Error())
			continue
		}
		within.Append(value)
	}
	return within
}

func (l *left) value(v protoreflect.Value, field protoreflect.FieldDescriptor, b bound) (protoreflect.Value, error) {
	if b.check == nil {
		return v, l.within(v.Message())
	}
	within, err := b.check(v)
	if err != nil {
		err = invalid("%s: %v", shortName(field), err)
	}
	return within, err
}

// shortName is a field as docs and people name it: "Backup.size_bytes".
func shortName(field protoreflect.FieldDescriptor) string {
	return strings.TrimPrefix(string(field.FullName()), "pgharbor.v1.")
}

func optional(b bound) bound { b.optional = true; return b }

func list(most int, b bound) bound { b.most = most; return b }

// message is bounded by its own fields.
var message = bound{}

func checked(check func(protoreflect.Value) (protoreflect.Value, error)) bound {
	return bound{check: check}
}

// flag is true or false.
var flag = checked(func(v protoreflect.Value) (protoreflect.Value, error) { return v, nil })

// words are somebody's own, and cut if they are long.
func words(most int) bound {
	return checked(func(v protoreflect.Value) (protoreflect.Value, error) {
		return protoreflect.ValueOfString(fleet.Cut(v.String(), most)), nil
	})
}

// name is one of pgharbor's making.
func name(most int) bound { return text(most, unicode.IsControl, "control characters") }

// holds reports whether a text is within a bound of texts.
func (b bound) holds(text string) bool {
	_, err := b.check(protoreflect.ValueOfString(text))
	return err == nil
}

// postgresName is what somebody has called something in Postgres.
var postgresName = text(maxName, func(c rune) bool { return c == 0 }, "a NUL")

func text(most int, never func(rune) bool, what string) bound {
	return checked(func(v protoreflect.Value) (protoreflect.Value, error) {
		switch text := v.String(); {
		case len(text) > most:
			return v, fmt.Errorf("%d bytes, and %d are taken", len(text), most)
		case strings.ContainsFunc(text, never):
			return v, fmt.Errorf("%.64q has %s", text, what)
		}
		return v, nil
	})
}

// id is empty or has the form of fleet.NewID's.
var id = checked(func(v protoreflect.Value) (protoreflect.Value, error) {
	if text := v.String(); text != "" && !fleet.ValidID(text) {
		return v, fmt.Errorf("%.64q is no id", text)
	}
	return v, nil
})

// hash is empty or a SHA-256, hexadecimal.
var hash = checked(func(v protoreflect.Value) (protoreflect.Value, error) {
	if text := v.String(); text != "" && !sha256Hex.MatchString(text) {
		return v, fmt.Errorf("%.80q is no SHA-256", text)
	}
	return v, nil
})

func raw(most int) bound {
	return checked(func(v protoreflect.Value) (protoreflect.Value, error) {
		if len(v.Bytes()) > most {
			return v, fmt.Errorf("%d bytes, and %d are taken", len(v.Bytes()), most)
		}
		return v, nil
	})
}

// size is that of a file or a dump, in bytes.
var size = number(fleet.MaxSize)

func number(most int64) bound {
	return checked(func(v protoreflect.Value) (protoreflect.Value, error) {
		if n := v.Int(); n < 0 || n > most {
			return v, fmt.Errorf("%d is not from 0 to %d", n, most)
		}
		return v, nil
	})
}

// count is a number of 32 bits.
func count(most int32) bound { return number(int64(most)) }

// amount is one of which only people think something: what is out of range is the
// nearest that is not.
var amount = checked(func(v protoreflect.Value) (protoreflect.Value, error) {
	return protoreflect.ValueOfInt64(min(max(v.Int(), 0), fleet.MaxSize)), nil
})

// moment is a time that makes sense.
var moment = checked(func(v protoreflect.Value) (protoreflect.Value, error) {
	at, err := timeOf(v)
	if err == nil && (at.Before(earliest) || at.After(latest)) {
		err = fmt.Errorf("%s is not from %d to %d", at.Format(time.RFC3339), earliest.Year(), latest.Year())
	}
	return v, err
})

// clock is what a clock shows, however wrong it is.
var clock = checked(func(v protoreflect.Value) (protoreflect.Value, error) {
	at, err := timeOf(v)
	switch {
	case err != nil:
		return v, err
	case at.Before(time.Unix(0, 0)):
		at = time.Unix(0, 0)
	case at.After(latest):
		at = latest
	}
	return protoreflect.ValueOfMessage(timestamppb.New(at).ProtoReflect()), nil
})

func timeOf(v protoreflect.Value) (time.Time, error) {
	stamp, ok := v.Message().Interface().(*timestamppb.Timestamp)
	if !ok || stamp.CheckValid() != nil {
		return time.Time{}, fmt.Errorf("it is no time")
	}
	return stamp.AsTime(), nil
}

// duration is one of something that has been.
var duration = checked(func(v protoreflect.Value) (protoreflect.Value, error) {
	span, ok := v.Message().Interface().(*durationpb.Duration)
	if !ok || span.CheckValid() != nil || span.GetSeconds() < 0 || span.GetSeconds() > int64(maxSpan/time.Second) || span.GetNanos() < 0 {
		return v, fmt.Errorf("%d s is no duration from 0 to %.0f h", span.GetSeconds(), math.Round(maxSpan.Hours()))
	}
	return v, nil
})
