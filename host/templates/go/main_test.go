package main

import (
	"strings"
	"testing"

	hive "hive-guest"
)

func answer(t *testing.T, body string) hive.Answer {
	t.Helper()
	answer, err := handle(&hive.Delivery{Message: hive.Message{Body: []byte(body)}, Attempt: 1})
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestWhoeverIsNamedIsGreeted(t *testing.T) {
	greetings := answer(t, `{"name": "Ada"}`).Publications()
	if len(greetings) != 1 || greetings[0].RoutingKey != "{{name}}.out" {
		t.Fatalf("expected one greeting, got %+v", greetings)
	}
	if body := string(greetings[0].Message.Body); !strings.HasSuffix(body, "Ada") {
		t.Errorf("it says %q", body)
	}
}

func TestAMessageWithoutANameIsRejected(t *testing.T) {
	for _, body := range []string{"{}", "Ada", ""} {
		if _, rejected := answer(t, body).Rejected(); !rejected {
			t.Errorf("%q was not rejected", body)
		}
	}
}
