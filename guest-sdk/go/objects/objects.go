// Package objects reads and writes objects in buckets and directories, `allow.blobstore` in hive.toml.
//
// It is a package of its own, because a component that imports it imports wasi:blobstore. Build with the world
// hive:guest/storing-consumer. An object store that is away, full or refuses the host is an error; a handler that
// returns it has its delivery kept by the host, and no retry is used.
package objects

// Info is what is known of an object: bytes, and the last write in seconds since 1970.
type Info struct {
	Size    uint64
	Written uint64
}

// Container has the objects under one name of `allow.blobstore`.
type Container struct {
	handle uint32
}
