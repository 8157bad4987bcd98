package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Invoice as a supplier sends it.
type Invoice struct {
	XMLName  xml.Name `xml:"invoice" json:"-"`
	Number   string   `xml:"number,attr" json:"number"`
	Supplier string   `xml:"supplier" json:"supplier"`
	Currency string   `xml:"currency" json:"currency"`
	Lines    []Line   `xml:"line" json:"lines"`
	Total    Cents    `xml:"total" json:"total_cents"`
}

// Line of an invoice.
type Line struct {
	Text   string `xml:"text" json:"text"`
	Amount Cents  `xml:"amount" json:"cents"`
}

// Cents are written 12.50 in XML, so that nothing is rounded here.
type Cents int64

// UnmarshalText reads an amount with two decimals.
func (cents *Cents) UnmarshalText(text []byte) error {
	whole, rest, found := strings.Cut(strings.TrimSpace(string(text)), ".")
	value, err := strconv.ParseInt(whole+rest, 10, 64)
	if !found || len(rest) != 2 || err != nil {
		return fmt.Errorf("%q is no amount with two decimals", text)
	}
	*cents = Cents(value)
	return nil
}

// read gives an invoice that is complete and adds up, or every fault of it.
func read(body []byte) (Invoice, error) {
	var invoice Invoice
	if err := xml.Unmarshal(body, &invoice); err != nil {
		return invoice, err
	}
	var faults []error
	for name, value := range map[string]string{
		"number": invoice.Number, "supplier": invoice.Supplier, "currency": invoice.Currency,
	} {
		if value == "" {
			faults = append(faults, fmt.Errorf("%s is missing", name))
		}
	}
	var sum Cents
	for _, line := range invoice.Lines {
		sum += line.Amount
	}
	if sum != invoice.Total {
		faults = append(faults, fmt.Errorf("the lines come to %d cents, the total says %d", sum, invoice.Total))
	}
	return invoice, errors.Join(faults...)
}
