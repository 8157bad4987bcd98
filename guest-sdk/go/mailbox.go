//go:build wasip1

package hive

import "unsafe"

// What the host puts a delivery into; memory.wat hands it out. Untouched pages of it take no memory.
var mailbox [16 << 20]byte

// How memory.wat finds it: two words that stand nowhere else, then where it is and how large. It is laid
// out by the linker, and so is there before Go's runtime starts.
var address = struct {
	first, second uint64
	at            *[len(mailbox)]byte
	size          uint64
}{0x5c6f1d8e2b94a037, 0x3a91e7504cd8b26f, &mailbox, uint64(len(mailbox))}

// Tells memory.wat that Go has started. The argument is what makes the linker keep the variable.
//
//go:wasmimport memory started
func started(address unsafe.Pointer)

func init() {
	started(unsafe.Pointer(&address))
}
