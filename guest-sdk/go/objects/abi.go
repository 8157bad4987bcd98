//go:build wasip1

package objects

import (
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"unsafe"
)

// The interfaces of wasi:blobstore and wasi:io in the layout of the component model's canonical ABI. A handle is a
// number; the last parameter is where the host puts the result.

//go:wasmimport wasi:blobstore/blobstore@0.2.0-draft get-container
func getContainer(name unsafe.Pointer, size uint32, result unsafe.Pointer)

//go:wasmimport wasi:blobstore/container@0.2.0-draft [resource-drop]container
func dropContainer(container uint32)

//go:wasmimport wasi:blobstore/container@0.2.0-draft [method]container.write-data
func writeData(container uint32, name unsafe.Pointer, size uint32, value uint32, result unsafe.Pointer)

//go:wasmimport wasi:blobstore/container@0.2.0-draft [method]container.get-data
func getData(container uint32, name unsafe.Pointer, size uint32, first, last uint64, result unsafe.Pointer)

//go:wasmimport wasi:blobstore/container@0.2.0-draft [method]container.has-object
func hasObject(container uint32, name unsafe.Pointer, size uint32, result unsafe.Pointer)

//go:wasmimport wasi:blobstore/container@0.2.0-draft [method]container.object-info
func objectInfo(container uint32, name unsafe.Pointer, size uint32, result unsafe.Pointer)

//go:wasmimport wasi:blobstore/container@0.2.0-draft [method]container.delete-object
func deleteObject(container uint32, name unsafe.Pointer, size uint32, result unsafe.Pointer)

//go:wasmimport wasi:blobstore/types@0.2.0-draft [static]outgoing-value.new-outgoing-value
func newValue() uint32

//go:wasmimport wasi:blobstore/types@0.2.0-draft [method]outgoing-value.outgoing-value-write-body
func writeBody(value uint32, result unsafe.Pointer)

//go:wasmimport wasi:blobstore/types@0.2.0-draft [static]outgoing-value.finish
func finish(value uint32, result unsafe.Pointer)

//go:wasmimport wasi:blobstore/types@0.2.0-draft [resource-drop]outgoing-value
func dropValue(value uint32)

//go:wasmimport wasi:blobstore/types@0.2.0-draft [static]incoming-value.incoming-value-consume-sync
func consume(value uint32, result unsafe.Pointer)

//go:wasmimport wasi:io/streams@0.2.12 [method]output-stream.check-write
func checkWrite(stream uint32, result unsafe.Pointer)

//go:wasmimport wasi:io/streams@0.2.12 [method]output-stream.write
func write(stream uint32, content unsafe.Pointer, size uint32, result unsafe.Pointer)

//go:wasmimport wasi:io/streams@0.2.12 [method]output-stream.subscribe
func subscribe(stream uint32) uint32

//go:wasmimport wasi:io/streams@0.2.12 [resource-drop]output-stream
func dropStream(stream uint32)

//go:wasmimport wasi:io/error@0.2.12 [method]error.to-debug-string
func toDebugString(failure uint32, result unsafe.Pointer)

//go:wasmimport wasi:io/error@0.2.12 [resource-drop]error
func dropError(failure uint32)

//go:wasmimport wasi:io/poll@0.2.12 [method]pollable.block
func block(pollable uint32)

//go:wasmimport wasi:io/poll@0.2.12 [resource-drop]pollable
func dropPollable(pollable uint32)

// The place of a result: the largest is that of object-info, with 48 bytes.
type result [6]uint64

func (of *result) at() unsafe.Pointer { return unsafe.Pointer(of) }

func (of *result) bytes() []byte { return unsafe.Slice((*byte)(of.at()), len(of)*8) }

func (of *result) isError() bool { return of.bytes()[0] != 0 }

func (of *result) u32(offset int) uint32 { return binary.LittleEndian.Uint32(of.bytes()[offset:]) }

func (of *result) u64(offset int) uint64 { return binary.LittleEndian.Uint64(of.bytes()[offset:]) }

// A list that the host has put into memory, copied: the memory is used again for the next delivery.
func (of *result) list(offset int) []byte {
	at, size := of.u32(offset), of.u32(offset+4)
	if size == 0 {
		return []byte{}
	}
	return append([]byte{}, unsafe.Slice((*byte)(unsafe.Pointer(uintptr(at))), size)...)
}

// The error of a result<T, string>, whose payload is at this offset.
func (of *result) told(offset int) error {
	if !of.isError() {
		return nil
	}
	return errors.New(string(of.list(offset)))
}

// The error of a stream, whose variant is at this offset.
func (of *result) failed(offset int) error {
	if of.bytes()[offset] != 0 {
		return errors.New("the stream is closed")
	}
	failure := of.u32(offset + 4)
	var text result
	toDebugString(failure, text.at())
	dropError(failure)
	return errors.New(string(text.list(0)))
}

func data(bytes []byte) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.SliceData(bytes)), uint32(len(bytes))
}

func text(name string) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.StringData(name)), uint32(len(name))
}

// Open returns the container of this name. An instance has 64 open at once; Close those that are not needed any more.
func Open(name string) (*Container, error) {
	var found result
	at, size := text(name)
	getContainer(at, size, found.at())
	runtime.KeepAlive(name)
	if err := found.told(4); err != nil {
		return nil, err
	}
	return &Container{found.u32(4)}, nil
}

// Close gives the container back.
func (container *Container) Close() { dropContainer(container.handle) }

// Put writes an object, and replaces one of the same name. It appears whole or not at all.
func (container *Container) Put(name string, content []byte) error {
	var done result
	value := newValue()
	at, size := text(name)
	writeData(container.handle, at, size, value, done.at())
	runtime.KeepAlive(name)
	if err := done.told(4); err != nil {
		dropValue(value)
		return err
	}
	writeBody(value, done.at())
	if done.isError() {
		dropValue(value)
		return errors.New("too many objects are being written at once")
	}
	stream := done.u32(4)
	err := writeAll(stream, content)
	// The value must not be finished before its stream is gone.
	dropStream(stream)
	if err != nil {
		dropValue(value)
		return err
	}
	finish(value, done.at())
	return done.told(4)
}

func writeAll(stream uint32, content []byte) error {
	for len(content) > 0 {
		var done result
		checkWrite(stream, done.at())
		if done.isError() {
			return done.failed(8)
		}
		room := done.u64(8)
		if room == 0 {
			pollable := subscribe(stream)
			block(pollable)
			dropPollable(pollable)
			continue
		}
		some := content[:min(uint64(len(content)), room)]
		at, size := data(some)
		write(stream, at, size, done.at())
		runtime.KeepAlive(content)
		if done.isError() {
			return done.failed(4)
		}
		content = content[len(some):]
	}
	return nil
}

// Get returns the content of an object of up to 12 MiB; nil if there is no such object.
func (container *Container) Get(name string) ([]byte, error) {
	var found result
	at, size := text(name)
	getData(container.handle, at, size, 0, math.MaxUint64, found.at())
	runtime.KeepAlive(name)
	if err := found.told(4); err != nil {
		return nil, container.ifThere(name, err)
	}
	consume(found.u32(4), found.at())
	if err := found.told(4); err != nil {
		return nil, err
	}
	return found.list(4), nil
}

// Info returns what is known of an object; nil if there is no such object.
func (container *Container) Info(name string) (*Info, error) {
	var found result
	at, size := text(name)
	objectInfo(container.handle, at, size, found.at())
	runtime.KeepAlive(name)
	if err := found.told(8); err != nil {
		return nil, container.ifThere(name, err)
	}
	return &Info{Size: found.u64(32), Written: found.u64(24)}, nil
}

// Exists tells whether there is an object of this name.
func (container *Container) Exists(name string) (bool, error) {
	var found result
	at, size := text(name)
	hasObject(container.handle, at, size, found.at())
	runtime.KeepAlive(name)
	if err := found.told(4); err != nil {
		return false, err
	}
	return found.bytes()[4] != 0, nil
}

// Delete deletes an object, if it exists.
func (container *Container) Delete(name string) error {
	var done result
	at, size := text(name)
	deleteObject(container.handle, at, size, done.at())
	runtime.KeepAlive(name)
	return done.told(4)
}

func (container *Container) ifThere(name string, err error) error {
	if there, asked := container.Exists(name); asked == nil && !there {
		return nil
	}
	return err
}
