//go:build wasip1

package hive

import "unsafe"

// The memory into which the host writes a delivery; memory.wat allocates from it. Unused pages take no memory.
var mailbox [16 << 20]byte

// memory.wat finds the mailbox by two words that occur nowhere else, followed by its address and size. The
// linker lays this out, so it exists before Go's runtime starts.
var address = struct {
	first, second uint64
	at            *[len(mailbox)]byte
	size          uint64
}{0x5c6f1d8e2b94a037, 0x3a91e7504cd8b26f, &mailbox, uint64(len(mailbox))}

// Notifies memory.wat that Go has started. The argument makes the linker keep the variable.
//
//go:wasmimport memory started
func started(address unsafe.Pointer)

func init() {
	started(unsafe.Pointer(&address))
}
