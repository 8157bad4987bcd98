// Does what the header `do` says: the guest of the contract test in Go.
package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	hive "hive-guest"
)

func init() {
	hive.Consume(handle)
}

func main() {}

func handle(delivery *hive.Delivery) (hive.Answer, error) {
	delay, _ := delivery.Headers.Get("delay-ms").(int64)
	delayMs := uint64(delay)
	out := hive.ToQueue("out")
	switch what := delivery.Headers.Get("do"); what {
	case "ack":
		return hive.Ack(), nil
	case "echo":
		return hive.Publish(delivery.Forward("", "out")), nil
	case "publish-none":
		return hive.Publish(), nil
	case "publish-one":
		return hive.Publish(out.Text("only")), nil
	case "publish-several":
		return hive.Publish(out.Text("first"), out.Text("second"), out.Text("third")), nil
	case "publish-everything":
		return hive.Publish(everything()), nil
	case "publish-delayed":
		out.DelayMs = &delayMs
		return hive.Publish(out.Text("late")), nil
	case "publish-nowhere":
		nowhere := hive.ToQueue("nowhere")
		nowhere.Mandatory = false
		return hive.Publish(nowhere), nil
	case "reply":
		reply, asked := delivery.Reply()
		if !asked {
			return hive.Reject("the message says no reply-to"), nil
		}
		return hive.Publish(reply.Text("to " + string(delivery.Body))), nil
	case "request":
		answer, err := asked(string(delivery.Body), delay)
		return hive.Publish(out.Text(answer)), err
	case "json":
		var got any
		if err := delivery.JSON(&got); err != nil {
			return hive.Answer{}, err
		}
		answer, err := out.JSON(map[string]any{"got": got})
		return hive.Publish(answer), err
	case "tell":
		return hive.Publish(out.Text(told(delivery))), nil
	case "retry":
		return hive.Retry("not now"), nil
	case "retry-after":
		return hive.RetryAfter("not now", time.Duration(delay)*time.Millisecond), nil
	case "reject":
		return hive.Reject("never: ünïcode ✓"), nil
	case "error":
		return hive.Answer{}, errors.New("plain words")
	case "exception":
		deep(delivery)
		return hive.Ack(), nil
	case "trap":
		os.Exit(3)
		return hive.Ack(), nil
	default:
		return hive.Answer{}, fmt.Errorf("nothing is called %v", what)
	}
}

func everything() hive.Publication {
	priority, expiration := uint8(7), uint64(3_600_000)
	publication := hive.To("everything", "every.thing")
	publication.Message = hive.Message{
		Body: []byte{0, 255, 128, 10},
		Properties: hive.Properties{
			ContentType:     "text/plain",
			ContentEncoding: "identity",
			Priority:        &priority,
			CorrelationID:   "correlation",
			ReplyTo:         "answers",
			ExpirationMs:    &expiration,
			MessageID:       "id-1",
			Timestamp:       time.Unix(1_700_000_000, 0),
			Type:            "kind",
			UserID:          "guest",
			AppID:           "contract",
			Headers: hive.Headers{
				{Name: "void", Value: nil},
				{Name: "yes", Value: true},
				{Name: "no", Value: false},
				{Name: "least", Value: int64(math.MinInt64)},
				{Name: "most", Value: int64(math.MaxInt64)},
				{Name: "small", Value: -5},
				{Name: "double", Value: 0.5},
				{Name: "whole", Value: 2.0},
				{Name: "text", Value: "ünïcode ✓"},
				{Name: "bytes", Value: []byte{0, 255}},
				{Name: "when", Value: time.Unix(1_700_000_000, 0)},
				{Name: "nested", Value: hive.Nested(`{"list":[1,"x",true]}`)},
				{Name: "list", Value: hive.Nested("[1,2]")},
			},
		},
	}
	return publication
}

func asked(text string, timeoutMs int64) (string, error) {
	question := hive.ToQueue("answers").Text(text)
	question.Message.Type = "question"
	var reply hive.Message
	var err error
	if timeoutMs == 0 {
		reply, err = hive.Request(question)
	} else {
		reply, err = hive.RequestWithin(question, time.Duration(timeoutMs)*time.Millisecond)
	}
	var failed *hive.RequestError
	if errors.As(err, &failed) {
		words := []string{"not-allowed", "refused", "unroutable", "timed-out", "disconnected", "too-large"}
		return words[failed.Failure], nil
	}
	return fmt.Sprintf("%s %s %v", reply.Body, reply.Type, reply.Headers.Get("number")), err
}

func told(delivery *hive.Delivery) string {
	redelivered := fmt.Sprint(delivery.Redelivered)
	parts := []string{delivery.Queue, delivery.Exchange, delivery.RoutingKey, redelivered, fmt.Sprint(delivery.Attempt)}
	return strings.Join(parts, "|")
}

func deep(delivery *hive.Delivery) {
	panic(fmt.Errorf("deep trouble over %s", delivery.Body))
}
