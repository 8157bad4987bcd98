//go:build !wasip1

package objects

import "errors"

// In a native test there is no object store.
var errNative = errors.New("there is no object store in a native build")

// Open returns the container of this name. An instance has 64 open at once; Close those that are not needed any more.
func Open(name string) (*Container, error) { return &Container{}, nil }

// Close gives the container back.
func (container *Container) Close() {}

// Put writes an object, and replaces one of the same name. It appears whole or not at all.
func (container *Container) Put(name string, content []byte) error { return errNative }

// Get returns the content of an object of up to 12 MiB; nil if there is no such object.
func (container *Container) Get(name string) ([]byte, error) { return nil, errNative }

// Info returns what is known of an object; nil if there is no such object.
func (container *Container) Info(name string) (*Info, error) { return nil, errNative }

// Exists tells whether there is an object of this name.
func (container *Container) Exists(name string) (bool, error) { return false, errNative }

// Delete deletes an object, if it exists.
func (container *Container) Delete(name string) error { return errNative }
