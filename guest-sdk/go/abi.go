//go:build wasip1

package hive

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
	"unsafe"
)

// The contract in memory, in the layout of the component model's canonical ABI. Addresses have 32 bits.

// The memory of an answer until the next delivery. The memory of a delivery belongs to memory.wat.
var kept [][]uint64

func allocate(size uint32) uint32 {
	block := make([]uint64, size/8+1)
	kept = append(kept, block)
	return uint32(uintptr(unsafe.Pointer(&block[0])))
}

func memory(at, size uint32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(uintptr(at))), size)
}

//go:wasmexport hive:consumer/handler@0.1.0#handle
func handle(at uint32) uint32 {
	delivery := reader{memory(at, 208)}.delivery()
	kept = nil
	answer, err := handled(delivery)
	result := writer{memory(allocate(40), 40)}
	if err == nil {
		err = result.at(8).action(answer)
	}
	if err != nil {
		result.data[0] = 1
		result.at(8).text(err.Error())
	}
	return uint32(uintptr(unsafe.Pointer(&result.data[0])))
}

type reader struct{ data []byte }

func (from reader) at(offset uint32) reader { return reader{from.data[offset:]} }
func (from reader) flag() bool              { return from.data[0] != 0 }
func (from reader) u32() uint32             { return binary.LittleEndian.Uint32(from.data) }
func (from reader) u64() uint64             { return binary.LittleEndian.Uint64(from.data) }

func (from reader) list(size uint32) (reader, uint32) {
	start, count := from.u32(), from.at(4).u32()
	if count == 0 {
		return reader{}, 0
	}
	return reader{memory(start, count*size)}, count
}

func (from reader) bytes() []byte {
	list, _ := from.list(1)
	return append([]byte{}, list.data...)
}

func (from reader) text() string { return string(from.bytes()) }

func (from reader) optionalText() string {
	if !from.flag() {
		return ""
	}
	return from.at(4).text()
}

func (from reader) optionalU64() *uint64 {
	if !from.flag() {
		return nil
	}
	value := from.at(8).u64()
	return &value
}

func (from reader) delivery() *Delivery {
	return &Delivery{
		Message:      Message{Properties: from.properties(), Body: from.at(152).bytes()},
		Queue:        from.at(160).text(),
		Exchange:     from.at(168).text(),
		RoutingKey:   from.at(176).text(),
		Redelivered:  from.at(184).flag(),
		Attempt:      from.at(188).u32(),
		StreamOffset: from.at(192).optionalU64(),
	}
}

func (from reader) properties() Properties {
	properties := Properties{
		ContentType:     from.optionalText(),
		ContentEncoding: from.at(12).optionalText(),
		Persistent:      from.at(32).flag(),
		CorrelationID:   from.at(36).optionalText(),
		ReplyTo:         from.at(48).optionalText(),
		ExpirationMs:    from.at(64).optionalU64(),
		MessageID:       from.at(80).optionalText(),
		Type:            from.at(112).optionalText(),
		UserID:          from.at(124).optionalText(),
		AppID:           from.at(136).optionalText(),
	}
	if from.at(33).flag() {
		priority := from.data[34]
		properties.Priority = &priority
	}
	if seconds := from.at(96).optionalU64(); seconds != nil {
		properties.Timestamp = moment(*seconds)
	}
	headers, count := from.at(24).list(24)
	for i := range count {
		header := headers.at(i * 24)
		properties.Headers = append(properties.Headers, Header{header.text(), header.at(8).field()})
	}
	return properties
}

func (from reader) field() any {
	value := from.at(8)
	switch from.data[0] {
	case 1:
		return value.flag()
	case 2:
		return int64(value.u64())
	case 3:
		return math.Float64frombits(value.u64())
	case 4:
		return value.text()
	case 5:
		return value.bytes()
	case 6:
		return moment(value.u64())
	case 7:
		return Nested(value.text())
	default:
		return nil
	}
}

func moment(seconds uint64) time.Time { return time.Unix(int64(seconds), 0).UTC() }

type writer struct{ data []byte }

func (to writer) at(offset uint32) writer { return writer{to.data[offset:]} }
func (to writer) u32(value uint32)        { binary.LittleEndian.PutUint32(to.data, value) }
func (to writer) u64(value uint64)        { binary.LittleEndian.PutUint64(to.data, value) }

func (to writer) flag(value bool) {
	if value {
		to.data[0] = 1
	}
}

func (to writer) list(count int, size uint32) writer {
	start := allocate(uint32(count) * size)
	to.u32(start)
	to.at(4).u32(uint32(count))
	return writer{memory(start, uint32(count)*size)}
}

func (to writer) bytes(value []byte) { copy(to.list(len(value), 1).data, value) }
func (to writer) text(value string)  { copy(to.list(len(value), 1).data, value) }

func (to writer) optionalText(value string) {
	if value != "" {
		to.flag(true)
		to.at(4).text(value)
	}
}

func (to writer) optionalU64(value *uint64) {
	if value != nil {
		to.flag(true)
		to.at(8).u64(*value)
	}
}

func (to writer) action(answer Answer) error {
	to.data[0] = byte(answer.kind)
	value := to.at(8)
	switch answer.kind {
	case published:
		list := value.list(len(answer.publications), 200)
		for i, publication := range answer.publications {
			if err := list.at(uint32(i) * 200).publication(publication); err != nil {
				return err
			}
		}
	case retried:
		value.text(answer.reason)
		value.at(8).optionalU64(answer.delayMs)
	case rejected:
		value.text(answer.reason)
	}
	return nil
}

func (to writer) publication(publication Publication) error {
	to.text(publication.Exchange)
	to.at(8).text(publication.RoutingKey)
	to.at(168).bytes(publication.Message.Body)
	to.at(176).flag(publication.Mandatory)
	to.at(184).optionalU64(publication.DelayMs)
	return to.at(16).properties(publication.Message.Properties)
}

func (to writer) properties(properties Properties) error {
	to.optionalText(properties.ContentType)
	to.at(12).optionalText(properties.ContentEncoding)
	to.at(32).flag(properties.Persistent)
	if properties.Priority != nil {
		to.at(33).flag(true)
		to.data[34] = *properties.Priority
	}
	to.at(36).optionalText(properties.CorrelationID)
	to.at(48).optionalText(properties.ReplyTo)
	to.at(64).optionalU64(properties.ExpirationMs)
	to.at(80).optionalText(properties.MessageID)
	if !properties.Timestamp.IsZero() {
		seconds := uint64(properties.Timestamp.Unix())
		to.at(96).optionalU64(&seconds)
	}
	to.at(112).optionalText(properties.Type)
	to.at(124).optionalText(properties.UserID)
	to.at(136).optionalText(properties.AppID)
	headers := to.at(24).list(len(properties.Headers), 24)
	for i, header := range properties.Headers {
		at := headers.at(uint32(i) * 24)
		at.text(header.Name)
		if err := at.at(8).field(header); err != nil {
			return err
		}
	}
	return nil
}

func (to writer) field(header Header) error {
	kind, value := byte(0), to.at(8)
	switch of := header.Value.(type) {
	case nil:
	case bool:
		kind = 1
		value.flag(of)
	case int:
		kind = 2
		value.u64(uint64(of))
	case int64:
		kind = 2
		value.u64(uint64(of))
	case float64:
		kind = 3
		value.u64(math.Float64bits(of))
	case string:
		kind = 4
		value.text(of)
	case []byte:
		kind = 5
		value.bytes(of)
	case time.Time:
		kind = 6
		value.u64(uint64(of.Unix()))
	case Nested:
		kind = 7
		value.text(string(of))
	default:
		return fmt.Errorf("the header %s is a %T", header.Name, of)
	}
	to.data[0] = kind
	return nil
}
