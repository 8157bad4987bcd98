// Package hive is the Go SDK of Hive: a consumer is a function that takes a delivery and returns an answer.
//
//	func init() {
//		hive.Consume(func(delivery *hive.Delivery) (hive.Answer, error) {
//			if len(delivery.Body) == 0 {
//				return hive.Reject("the body is empty"), nil
//			}
//			return hive.Publish(hive.ToQueue("greetings").Text("hello " + string(delivery.Body))), nil
//		})
//	}
//
//	func main() {}
//
// The host writes an error of the function, and a panic with its stack, to the log and to the dead letter,
// and retries the delivery by the consumer's policy.
package hive

import (
	"encoding/json"
	"fmt"
	"time"
)

// Headers are values of Go types: nil, bool, int64, float64, string, []byte, time.Time for a
// timestamp, and Nested for a table or an array. An int is written as an int64.
type Headers []Header

// Header is one header. A table has each name once.
type Header struct {
	Name  string
	Value any
}

// Nested is a table or an array, as JSON text.
type Nested string

// Get returns the value of the header with this name, or nil.
func (headers Headers) Get(name string) any {
	for _, header := range headers {
		if header.Name == name {
			return header.Value
		}
	}
	return nil
}

// Properties of a message. An empty text, a nil and a zero time mean: not set.
type Properties struct {
	ContentType, ContentEncoding string
	Headers                      Headers
	Persistent                   bool
	Priority                     *uint8
	CorrelationID, ReplyTo       string
	// ExpirationMs is the time to live in milliseconds.
	ExpirationMs *uint64
	MessageID    string
	Timestamp    time.Time
	Type         string
	UserID       string
	AppID        string
}

// Message is properties and body.
type Message struct {
	Properties
	Body []byte
}

// Text replaces the body.
func (message Message) Text(text string) Message {
	message.Body = []byte(text)
	return message
}

// Delivery is one message, as it was consumed from one queue.
type Delivery struct {
	Message
	// Queue that it was consumed from.
	Queue string
	// Exchange and RoutingKey that it was published with. A retry keeps them.
	Exchange, RoutingKey string
	// Redelivered: the broker delivered this message before and got no answer.
	Redelivered bool
	// Attempt is 1 for the first attempt, then one more for each retry.
	Attempt uint32
	// StreamOffset is the offset in a stream, otherwise nil.
	StreamOffset *uint64
}

// Forward returns a publication of the unchanged message.
func (delivery *Delivery) Forward(exchange, routingKey string) Publication {
	return Publication{Exchange: exchange, RoutingKey: routingKey, Message: delivery.Message, Mandatory: true}
}

// Reply returns a publication to the reply-to of the message with its correlation id. It is not mandatory,
// because the requester may be gone. It returns false if the message has no reply-to.
func (delivery *Delivery) Reply() (Publication, bool) {
	reply := ToQueue(delivery.ReplyTo)
	reply.Mandatory = false
	reply.Message.CorrelationID = delivery.CorrelationID
	return reply, delivery.ReplyTo != ""
}

// JSON reads the body into a value.
func (message Message) JSON(into any) error {
	if err := json.Unmarshal(message.Body, into); err != nil {
		return fmt.Errorf("the body is not the JSON expected: %w", err)
	}
	return nil
}

// Publication is a message for the host to publish.
type Publication struct {
	// Exchange is empty for the default exchange.
	Exchange, RoutingKey string
	Message              Message
	// Mandatory: a message that no queue takes fails the delivery.
	Mandatory bool
	// DelayMs: publish it this much later, in milliseconds.
	DelayMs *uint64
}

// To returns an empty publication to an exchange: persistent and mandatory.
func To(exchange, routingKey string) Publication {
	persistent := Message{Properties: Properties{Persistent: true}}
	return Publication{Exchange: exchange, RoutingKey: routingKey, Message: persistent, Mandatory: true}
}

// ToQueue returns the same for a queue, through the default exchange.
func ToQueue(queue string) Publication {
	return To("", queue)
}

// Text sets a text as its body.
func (publication Publication) Text(text string) Publication {
	publication.Message.Body = []byte(text)
	return publication
}

// JSON sets a value as its body, in JSON.
func (publication Publication) JSON(value any) (Publication, error) {
	body, err := json.Marshal(value)
	if err != nil {
		return publication, fmt.Errorf("the value cannot be written as JSON: %w", err)
	}
	publication.Message.Body = body
	publication.Message.ContentType = "application/json"
	return publication, nil
}

// Header adds a header.
func (publication Publication) Header(name string, value any) Publication {
	headers := publication.Message.Headers
	publication.Message.Headers = append(headers[:len(headers):len(headers)], Header{name, value})
	return publication
}

// Answer decides what happens to a delivery. The zero answer is Ack.
type Answer struct {
	kind         answerKind
	publications []Publication
	reason       string
	delayMs      *uint64
}

type answerKind uint8

const (
	acked answerKind = iota
	published
	retried
	rejected
)

// Ack: done.
func Ack() Answer {
	return Answer{}
}

// Publish these, in this order; the host acknowledges the delivery when the broker has confirmed all of them.
func Publish(publications ...Publication) Answer {
	return Answer{kind: published, publications: publications}
}

// Retry: not now. The delivery comes again after the delay of the consumer's retry policy.
func Retry(reason string) Answer {
	return Answer{kind: retried, reason: reason}
}

// RetryAfter is the same, after a delay in whole milliseconds.
func RetryAfter(reason string, delay time.Duration) Answer {
	delayMs := uint64(max(0, delay.Milliseconds()))
	return Answer{kind: retried, reason: reason, delayMs: &delayMs}
}

// Reject: never. The delivery is dead-lettered now.
func Reject(reason string) Answer {
	return Answer{kind: rejected, reason: reason}
}

// Publications of the answer, for tests.
func (answer Answer) Publications() []Publication {
	return answer.publications
}

// Rejected returns the reason of a rejection, for tests.
func (answer Answer) Rejected() (string, bool) {
	return answer.reason, answer.kind == rejected
}

// Handler is the function that you write.
type Handler func(*Delivery) (Answer, error)

var handler Handler

// Consume turns a function into a component. Call it once, in init.
func Consume(handle Handler) {
	handler = handle
}
