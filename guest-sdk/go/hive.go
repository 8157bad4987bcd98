// Package hive is the face of Hive for consumers in Go: a function from a delivery to an answer.
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
// An error that the function returns, and a panic with its stack, stand in the log and in the dead
// letter; the delivery is retried by the consumer's policy.
package hive

import (
	"encoding/json"
	"fmt"
	"time"
)

// Headers are values of Go's own types: nil, bool, int64, float64, string, []byte, time.Time for a
// timestamp, and Nested for a table or an array. An int is written as an int64.
type Headers []Header

// Header is one of them. A table has each name once.
type Header struct {
	Name  string
	Value any
}

// Nested is a table or an array, as JSON text.
type Nested string

// Get gives the value of the header of this name, nil where there is none.
func (headers Headers) Get(name string) any {
	for _, header := range headers {
		if header.Name == name {
			return header.Value
		}
	}
	return nil
}

// Properties of a message. An empty text, a nil and a zero time are absent.
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

// Delivery is one message, as it came off one queue.
type Delivery struct {
	Message
	// Queue that it was consumed from.
	Queue string
	// Exchange and RoutingKey that it was published with. A retry keeps them.
	Exchange, RoutingKey string
	// Redelivered: the broker handed this message out before and got no answer.
	Redelivered bool
	// Attempt is 1 for the first try, then one more for each retry.
	Attempt uint32
	// StreamOffset in a stream queue, else nil.
	StreamOffset *uint64
}

// JSON reads the body into a value.
func (delivery *Delivery) JSON(into any) error {
	if err := json.Unmarshal(delivery.Body, into); err != nil {
		return fmt.Errorf("the body is not the JSON expected: %w", err)
	}
	return nil
}

// Forward is a publication of the message as it is.
func (delivery *Delivery) Forward(exchange, routingKey string) Publication {
	return Publication{Exchange: exchange, RoutingKey: routingKey, Message: delivery.Message, Mandatory: true}
}

// Reply is a publication to the reply-to of the message with its correlation id, not mandatory, since
// whoever asked may be gone; false where the message has no reply-to.
func (delivery *Delivery) Reply() (Publication, bool) {
	reply := ToQueue(delivery.ReplyTo)
	reply.Mandatory = false
	reply.Message.CorrelationID = delivery.CorrelationID
	return reply, delivery.ReplyTo != ""
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

// To is an empty publication to an exchange: persistent and mandatory.
func To(exchange, routingKey string) Publication {
	persistent := Message{Properties: Properties{Persistent: true}}
	return Publication{Exchange: exchange, RoutingKey: routingKey, Message: persistent, Mandatory: true}
}

// ToQueue is the same to a queue, through the default exchange.
func ToQueue(queue string) Publication {
	return To("", queue)
}

// Text gives it a body.
func (publication Publication) Text(text string) Publication {
	publication.Message.Body = []byte(text)
	return publication
}

// JSON gives it a value as its body.
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

// Answer says what is to become of a delivery. The zero answer is Ack.
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

// Publish these, in this order; the delivery is acknowledged once the broker has confirmed every one.
func Publish(publications ...Publication) Answer {
	return Answer{kind: published, publications: publications}
}

// Retry: not now. The delivery comes again after the delay of the consumer's retry policy.
func Retry(reason string) Answer {
	return Answer{kind: retried, reason: reason}
}

// RetryAfter is the same after a delay, in whole milliseconds.
func RetryAfter(reason string, delay time.Duration) Answer {
	delayMs := uint64(max(0, delay.Milliseconds()))
	return Answer{kind: retried, reason: reason, delayMs: &delayMs}
}

// Reject: never. The delivery is dead-lettered now.
func Reject(reason string) Answer {
	return Answer{kind: rejected, reason: reason}
}

// Publications that the answer asks for, for tests.
func (answer Answer) Publications() []Publication {
	return answer.publications
}

// Rejected gives the reason of a rejection, for tests.
func (answer Answer) Rejected() (string, bool) {
	return answer.reason, answer.kind == rejected
}

// Handler is what a consumer's author writes.
type Handler func(*Delivery) (Answer, error)

var handler Handler

// Consume makes a component of a function. Call it in init, once.
func Consume(handle Handler) {
	handler = handle
}
