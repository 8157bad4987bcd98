package hive

import (
	"fmt"
	"unsafe"
)

//go:wasmimport hive:consumer/requests@0.1.0 request
func callRequest(arguments, result uint32)

func request(publication Publication, timeoutMs *uint64) (Message, error) {
	arguments := writer{memory(allocate(192), 192)}
	arguments.text(publication.Exchange)
	arguments.at(8).text(publication.RoutingKey)
	arguments.at(168).bytes(publication.Message.Body)
	arguments.at(176).optionalU64(timeoutMs)
	if err := arguments.at(16).properties(publication.Message.Properties); err != nil {
		return Message{}, &RequestError{Refused, fmt.Sprint(err)}
	}
	result := reader{memory(allocate(168), 168)}
	callRequest(address32(arguments.data), address32(result.data))
	value := result.at(8)
	if result.flag() {
		return Message{}, &RequestError{Failure(value.data[0]), value.at(4).text()}
	}
	return Message{Properties: value.properties(), Body: value.at(152).bytes()}, nil
}

func address32(data []byte) uint32 {
	return uint32(uintptr(unsafe.Pointer(&data[0])))
}
