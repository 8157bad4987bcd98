// Greets: a name in JSON comes in, a greeting goes out.
package main

import hive "hive-guest"

// Guest is what a message says.
type Guest struct {
	Name string `json:"name"`
}

func handle(delivery *hive.Delivery) (hive.Answer, error) {
	var guest Guest
	if err := delivery.JSON(&guest); err != nil {
		// It will be as malformed next time, so a retry would only waste one.
		return hive.Reject(err.Error()), nil
	}
	if guest.Name == "" {
		return hive.Reject("the message has no name"), nil
	}
	greeting := "hello " + guest.Name
	return hive.Publish(hive.ToQueue("{{name}}.out").Text(greeting)), nil
}

func init() {
	hive.Consume(handle)
}

func main() {}
