package hive

import "time"

// Failure says why a request has no reply; wit/consumer.wit says more of each.
type Failure uint8

const (
	NotAllowed Failure = iota
	Refused
	Unroutable
	TimedOut
	Disconnected
	TooLarge
)

// RequestError is a request without a reply.
type RequestError struct {
	Failure Failure
	Text    string
}

func (err *RequestError) Error() string {
	return err.Text
}

// Request publishes a message and waits for the reply to it, at most for the time of the call. An error is a
// *RequestError. The world of the component must import hive:consumer/requests, as requesting-consumer does.
func Request(publication Publication) (Message, error) {
	return ask(publication, nil)
}

// RequestWithin is the same for a reply that is of no use after the wait, in whole milliseconds.
func RequestWithin(publication Publication, wait time.Duration) (Message, error) {
	timeoutMs := uint64(max(0, wait.Milliseconds()))
	return ask(publication, &timeoutMs)
}

func ask(publication Publication, timeoutMs *uint64) (Message, error) {
	if publication.DelayMs != nil {
		return Message{}, &RequestError{Refused, "a request cannot be delayed"}
	}
	return request(publication, timeoutMs)
}
