//go:build !wasip1

package hive

// AnswerRequests answers Request in unit tests; without it, no queue takes a request.
var AnswerRequests func(Publication) (Message, error)

func request(publication Publication, _ *uint64) (Message, error) {
	if AnswerRequests == nil {
		return Message{}, &RequestError{Unroutable, "this test answers no requests: set hive.AnswerRequests"}
	}
	return AnswerRequests(publication)
}
