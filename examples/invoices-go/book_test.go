package main

import (
	"encoding/json"
	"os"
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

const small = `<invoice number="7"><supplier>acme</supplier><currency>EUR</currency>` +
	`<line><text>tea</text><amount>12.50</amount></line><total>12.50</total></invoice>`

func TestAnInvoiceIsBookedInJSON(t *testing.T) {
	publications := answer(t, small).Publications()
	if len(publications) != 1 || publications[0].RoutingKey != "booked.acme" {
		t.Fatalf("expected one booking, got %+v", publications)
	}
	var booked map[string]any
	if err := json.Unmarshal(publications[0].Message.Body, &booked); err != nil {
		t.Fatal(err)
	}
	if booked["total_cents"] != 1250.0 || publications[0].Message.MessageID != "acme/7" {
		t.Fatalf("booked as %v", booked)
	}
}

func TestALargeOneIsLookedAtAsWell(t *testing.T) {
	publications := answer(t, strings.ReplaceAll(small, "12.50", "10000.00")).Publications()
	if len(publications) != 2 || publications[1].RoutingKey != "large.acme" {
		t.Fatalf("got %+v", publications)
	}
}

func TestEveryFaultIsNamed(t *testing.T) {
	reason, rejected := answer(t, `<invoice><total>1.00</total></invoice>`).Rejected()
	for _, part := range []string{"number", "supplier", "currency", "0 cents"} {
		if !rejected || !strings.Contains(reason, part) {
			t.Errorf("%s is missing in %q", part, reason)
		}
	}
}

func TestTheSamplesComeToWhatTheirNamesSay(t *testing.T) {
	samples, err := os.ReadDir("messages")
	if err != nil || len(samples) < 3 {
		t.Fatalf("%d samples, %v", len(samples), err)
	}
	for _, sample := range samples {
		body, err := os.ReadFile("messages/" + sample.Name())
		if err != nil {
			t.Fatal(err)
		}
		outcome := "published"
		if _, rejected := answer(t, string(body)).Rejected(); rejected {
			outcome = "rejected"
		}
		if !strings.HasPrefix(sample.Name(), outcome) {
			t.Errorf("%s was %s", sample.Name(), outcome)
		}
	}
}
