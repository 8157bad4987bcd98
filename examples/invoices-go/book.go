package main

import hive "hive-guest"

// From so many cents on, somebody looks at an invoice.
const large = 1_000_000

func handle(delivery *hive.Delivery) (hive.Answer, error) {
	invoice, err := read(delivery.Body)
	if err != nil {
		// It will be as faulty next time, so a retry would only waste one.
		return hive.Reject(err.Error()), nil
	}
	booked, err := hive.To("invoices", "booked."+invoice.Supplier).JSON(invoice)
	if err != nil {
		return hive.Answer{}, err
	}
	booked.Message.MessageID = invoice.Supplier + "/" + invoice.Number
	booked = booked.Header("total-cents", int64(invoice.Total))
	if invoice.Total < large {
		return hive.Publish(booked), nil
	}
	look := booked
	look.RoutingKey = "large." + invoice.Supplier
	look.Message.MessageID += "/large"
	return hive.Publish(booked, look), nil
}
