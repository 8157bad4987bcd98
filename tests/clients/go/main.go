// The tutorials of RabbitMQ on amqp091-go. Argument: URL. Prints what each receives.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

var background = context.Background()

func must[T any](value T, err error) T {
	done(err)
	return value
}

func done(err error) {
	if err != nil {
		log.Panic(err)
	}
}

func python(yes bool) string {
	if yes {
		return "True"
	}
	return "False"
}

func connect() *amqp.Connection { return must(amqp.Dial(os.Args[1])) }

func publish(channel *amqp.Channel, exchange, key string, message amqp.Publishing) {
	done(channel.PublishWithContext(background, exchange, key, false, false, message))
}

func text(body string) amqp.Publishing { return amqp.Publishing{Body: []byte(body)} }

func own(channel *amqp.Channel) string {
	return must(channel.QueueDeclare("", false, false, true, false, nil)).Name
}

// The first messages that a consumer gets.
func received(channel *amqp.Channel, queue string, count int, autoAck bool) []amqp.Delivery {
	tag := "consumer of " + queue
	deliveries := must(channel.Consume(queue, tag, autoAck, false, false, false, nil))
	var messages []amqp.Delivery
	for len(messages) < count {
		delivery := <-deliveries
		messages = append(messages, delivery)
		if !autoAck {
			done(delivery.Ack(false))
		}
	}
	done(channel.Cancel(tag, false))
	return messages
}

func hello(channel *amqp.Channel) {
	queue := must(channel.QueueDeclare("hello", false, false, false, false, nil))
	publish(channel, "", queue.Name, text("Hello World!"))
	for _, message := range received(channel, queue.Name, 1, true) {
		fmt.Printf("hello: %s\n", message.Body)
	}
}

func workQueues(channel *amqp.Channel) {
	queue := must(channel.QueueDeclare("task_queue", true, false, false, false, nil)).Name
	for _, task := range []string{"First.", "Second..", "Third..."} {
		message := text(task)
		message.DeliveryMode = amqp.Persistent
		publish(channel, "", queue, message)
	}
	show := func(message amqp.Delivery) {
		word := "first"
		if message.Redelivered {
			word = "redelivered"
		}
		fmt.Printf("work: %s %s\n", message.Body, word)
	}
	// A worker that dies before it acknowledges.
	lost := connect()
	dying := must(lost.Channel())
	done(dying.Qos(1, 0, false))
	show(<-must(dying.Consume(queue, "", false, false, false, false, nil)))
	done(lost.Close())
	done(channel.Qos(1, 0, false))
	for _, message := range received(channel, queue, 3, false) {
		show(message)
	}
	left := "none"
	if _, isThere, err := channel.Get(queue, true); isThere || err != nil {
		left = "one"
	}
	fmt.Printf("work: %s left\n", left)
}

func publishSubscribe(channel *amqp.Channel) {
	done(channel.ExchangeDeclare("logs", "fanout", false, false, false, false, nil))
	queues := []string{own(channel), own(channel)}
	areGenerated := true
	for _, queue := range queues {
		areGenerated = areGenerated && strings.HasPrefix(queue, "amq.gen-")
		done(channel.QueueBind(queue, "", "logs", false, nil))
	}
	fmt.Printf("subscribe: %s\n", python(areGenerated))
	publish(channel, "logs", "", text("info: Hello World!"))
	for _, queue := range queues {
		for _, message := range received(channel, queue, 1, true) {
			fmt.Printf("subscribe: %s\n", message.Body)
		}
	}
}

func byKey(channel *amqp.Channel, name, exchange, kind string, bindings, keys []string, count int) {
	done(channel.ExchangeDeclare(exchange, kind, false, false, false, false, nil))
	queue := own(channel)
	for _, binding := range bindings {
		done(channel.QueueBind(queue, binding, exchange, false, nil))
	}
	for _, key := range keys {
		publish(channel, exchange, key, text("from "+key))
	}
	publish(channel, "", queue, text("the end"))
	for _, message := range received(channel, queue, count+1, true) {
		from := message.RoutingKey + " "
		if message.RoutingKey == queue {
			from = ""
		}
		fmt.Printf("%s: %s%s\n", name, from, message.Body)
	}
}

func fibonacci(number int) int {
	if number < 2 {
		return number
	}
	return fibonacci(number-1) + fibonacci(number-2)
}

// Answers one request.
func serve(connection *amqp.Connection, requests string) {
	server := must(connection.Channel())
	done(server.Qos(1, 0, false))
	for _, request := range received(server, requests, 1, false) {
		answer := text(strconv.Itoa(fibonacci(must(strconv.Atoi(string(request.Body))))))
		answer.CorrelationId = request.CorrelationId
		publish(server, "", request.ReplyTo, answer)
	}
}

func rpc(connection *amqp.Connection, name, answers string) {
	channel := must(connection.Channel())
	requests := must(channel.QueueDeclare("rpc_queue", false, false, false, false, nil)).Name
	if answers == "" {
		answers = own(channel)
	}
	got := must(channel.Consume(answers, "", true, false, false, false, nil))
	call := strconv.FormatInt(time.Now().UnixNano(), 36)
	request := text("10")
	request.CorrelationId, request.ReplyTo = call, answers
	publish(channel, "", requests, request)
	serve(connection, requests)
	answer := <-got
	fmt.Printf("%s: %s %s\n", name, answer.Body, python(answer.CorrelationId == call))
}

func confirms(connection *amqp.Connection) {
	channel := must(connection.Channel())
	queue := own(channel)
	done(channel.Confirm(false))
	// Not deferred confirmations: version 1.5.0 loses one that comes before its publication has returned.
	confirmations := channel.NotifyPublish(make(chan amqp.Confirmation, 1))
	for number := 0; number < 50; number++ {
		publish(channel, "", queue, text(strconv.Itoa(number)))
		if confirmation := <-confirmations; !confirmation.Ack {
			log.Panicf("message %d is refused", number)
		}
	}
	bodies := map[string]bool{}
	for _, message := range received(channel, queue, 50, true) {
		bodies[string(message.Body)] = true
	}
	fmt.Printf("confirms: %d\n", len(bodies))
	returns := channel.NotifyReturn(make(chan amqp.Return, 1))
	done(channel.PublishWithContext(background, "", "nowhere", true, false, text("lost")))
	back := <-returns
	fmt.Printf("confirms: %d %s\n", back.ReplyCode, back.ReplyText)
}

func main() {
	connection := connect()
	channel := must(connection.Channel())
	hello(channel)
	workQueues(channel)
	publishSubscribe(channel)
	byKey(channel, "routing", "direct_logs", "direct",
		[]string{"warning", "error"}, []string{"info", "warning", "error"}, 2)
	byKey(channel, "topics", "topic_logs", "topic", []string{"kern.*", "*.critical.#"},
		[]string{"kern.info", "cron.critical", "cron.info", "kern.critical", "cron.critical.disk"}, 4)
	rpc(connection, "rpc", "")
	rpc(connection, "direct reply-to", "amq.rabbitmq.reply-to")
	confirms(connection)
	done(connection.Close())
}
