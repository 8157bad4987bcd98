// Does to a container what the body asks for, as tests/guests/examples/objects.rs does.
package main

import (
	"bytes"
	"strconv"
	"strings"

	hive "hive-guest"
	"hive-guest/objects"
)

func init() {
	hive.Consume(handle)
}

func main() {}

func handle(delivery *hive.Delivery) (hive.Answer, error) {
	words := strings.Split(string(delivery.Body), " ")
	fails := words[0] == "fail"
	if fails {
		words = words[1:]
	}
	answer, err := carryOut(words)
	if err != nil && fails {
		return hive.Answer{}, err
	}
	if err != nil {
		answer = "error: " + err.Error()
	}
	return hive.Publish(hive.ToQueue("out").Text(answer)), nil
}

func carryOut(words []string) (string, error) {
	container, err := objects.Open(words[0])
	if err != nil {
		return "", err
	}
	defer container.Close()
	verb, name := words[1], words[2]
	switch verb {
	case "put":
		return "done", container.Put(name, []byte(words[3]))
	case "put-large":
		size, _ := strconv.Atoi(words[3])
		return "done", container.Put(name, bytes.Repeat([]byte{1}, size))
	case "delete":
		return "done", container.Delete(name)
	case "exists":
		there, err := container.Exists(name)
		return strconv.FormatBool(there), err
	case "get":
		content, err := container.Get(name)
		if content == nil {
			return "-", err
		}
		return string(content), err
	case "size":
		info, err := container.Info(name)
		if info == nil {
			return "-", err
		}
		return strconv.FormatUint(info.Size, 10), err
	}
	return "what?", nil
}
