//! Objects in buckets and directories, through `wasi:blobstore`.
//!
//! hive.toml must grant a container, and says where its objects are:
//! `allow.blobstore = { tracks = "s3://bucket/frequency" }` of the component. A component imports the interfaces only
//! if it calls this. In native tests every container can be opened; it is empty at first, and each test has its own.
//!
//! An object appears whole or not at all: with [`Container::put`], or when a [`Writer`] is finished.
//!
//! ```
//! use std::io::Write;
//! use hive_guest::objects::Container;
//!
//! let tracks = Container::open("tracks")?;
//! tracks.put("2026/11/30.txt", b"a track\n")?;
//! assert_eq!(tracks.get("2026/11/30.txt")?.as_deref(), Some(&b"a track\n"[..]));
//!
//! let mut large = tracks.create("large")?;
//! for line in 0..1000 {
//!     writeln!(large, "{line}")?;
//! }
//! large.finish()?;
//! assert_eq!(tracks.info("large")?.unwrap().size, 3890);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! If an object store is away, full or refuses the host, a call returns an error. A handler that returns it has its
//! deliveries kept by the host and handed over again; that uses no retry.

use std::fmt;
use std::io::{self, Read, Write};

/// Why an object store did not do what it was asked, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}

/// What is known of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    /// In bytes.
    pub size: u64,
    /// When it was written last, in seconds since the Unix epoch.
    pub written: u64,
}

/// The objects under one name of `allow.blobstore`.
#[derive(Debug)]
pub struct Container {
    name: String,
    source: source::Container,
}

impl Container {
    /// The container of this name.
    pub fn open(name: &str) -> Result<Self, Error> {
        let source = source::open(name)?;
        let name = name.to_owned();
        Ok(Self { name, source })
    }

    /// Writes an object, and replaces one of the same name.
    pub fn put(&self, name: &str, content: &[u8]) -> Result<(), Error> {
        let mut writer = self.create(name)?;
        writer.source.write_all(content)?;
        writer.finish()
    }

    /// Begins an object whose content is written piece by piece.
    pub fn create(&self, name: &str) -> Result<Writer, Error> {
        let source = source::create(&self.source, name)?;
        Ok(Writer { source })
    }

    /// The content of an object of up to 16 MiB; `None` if there is no such object.
    pub fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let got = source::get(&self.source, name, 0, u64::MAX);
        self.if_there(name, got)
    }

    /// The bytes from `first` to `last`, both included, as far as the object has them.
    pub fn get_range(&self, name: &str, first: u64, last: u64) -> Result<Option<Vec<u8>>, Error> {
        let got = source::get(&self.source, name, first, last);
        self.if_there(name, got)
    }

    /// The content of an object of any size, to be read piece by piece.
    pub fn read(&self, name: &str) -> Result<Option<Reader>, Error> {
        let got = source::read(&self.source, name);
        Ok(self.if_there(name, got)?.map(|source| Reader { source }))
    }

    /// What is known of an object.
    pub fn info(&self, name: &str) -> Result<Option<Info>, Error> {
        let found = source::info(&self.source, name);
        self.if_there(name, found)
    }

    /// Whether there is an object of this name.
    pub fn exists(&self, name: &str) -> Result<bool, Error> {
        source::exists(&self.source, name)
    }

    /// Deletes an object, if it exists.
    pub fn delete(&self, name: &str) -> Result<(), Error> {
        source::delete(&self.source, name)
    }

    /// The names of all objects, in no order.
    pub fn names(&self) -> Result<Vec<String>, Error> {
        source::names(&self.source)
    }

    /// Copies an object to a name in a container, which may be this one, and replaces what is there.
    pub fn copy(&self, name: &str, target: &Self, to: &str) -> Result<(), Error> {
        source::copy((&self.name, name), (&target.name, to))
    }

    /// An error of an object that is not there is no error, but nothing.
    fn if_there<T>(&self, name: &str, got: Result<T, Error>) -> Result<Option<T>, Error> {
        match got {
            Ok(got) => Ok(Some(got)),
            Err(error) => match self.exists(name) {
                Ok(false) => Ok(None),
                _ => Err(error),
            },
        }
    }
}

/// The content of an object that is being written. Dropped before [`Writer::finish`], it leaves nothing.
#[derive(Debug)]
pub struct Writer {
    source: source::Writer,
}

impl Writer {
    /// The content is complete. The object is there, as a whole, when this returns without an error.
    pub fn finish(self) -> Result<(), Error> {
        source::finish(self.source)
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.source.write(bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The content of an object that is being read.
#[derive(Debug)]
pub struct Reader {
    source: source::Reader,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.source.read(buffer)?)
    }
}

#[cfg(target_family = "wasm")]
mod source {
    use super::{Error, Info};
    use crate::bindings::storing::wasi::blobstore::types::{
        IncomingValue, ObjectId, OutgoingValue,
    };
    use crate::bindings::storing::wasi::blobstore::{blobstore, container};
    use crate::bindings::storing::wasi::io::streams::{InputStream, OutputStream, StreamError};

    pub(super) use container::Container;

    /// Bytes that are read at once.
    const READ_AT_ONCE: u64 = 64 * 1024;

    #[derive(Debug)]
    pub(super) struct Writer {
        // The stream goes first: the value must not be without it.
        body: OutputStream,
        value: OutgoingValue,
    }

    #[derive(Debug)]
    pub(super) struct Reader(InputStream);

    fn failed(error: StreamError) -> Error {
        match error {
            StreamError::LastOperationFailed(error) => Error(error.to_debug_string()),
            StreamError::Closed => Error("the stream is closed".to_owned()),
        }
    }

    pub(super) fn open(name: &str) -> Result<Container, Error> {
        blobstore::get_container(name).map_err(Error)
    }

    pub(super) fn create(container: &Container, name: &str) -> Result<Writer, Error> {
        let value = OutgoingValue::new_outgoing_value();
        let body = value
            .outgoing_value_write_body()
            .map_err(|()| Error("too many objects are being written at once".to_owned()))?;
        container.write_data(name, &value).map_err(Error)?;
        Ok(Writer { body, value })
    }

    impl Writer {
        pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
            if bytes.is_empty() {
                return Ok(0);
            }
            loop {
                let room = self.body.check_write().map_err(failed)?;
                if room == 0 {
                    self.body.subscribe().block();
                    continue;
                }
                let room = usize::try_from(room).unwrap_or(usize::MAX);
                let some = &bytes[..bytes.len().min(room)];
                self.body.write(some).map_err(failed)?;
                return Ok(some.len());
            }
        }

        pub(super) fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
            while !bytes.is_empty() {
                let written = self.write(bytes)?;
                bytes = &bytes[written..];
            }
            Ok(())
        }
    }

    pub(super) fn finish(writer: Writer) -> Result<(), Error> {
        let Writer { body, value } = writer;
        drop(body);
        OutgoingValue::finish(value).map_err(Error)
    }

    pub(super) fn get(
        container: &Container,
        name: &str,
        first: u64,
        last: u64,
    ) -> Result<Vec<u8>, Error> {
        let value = container.get_data(name, first, last).map_err(Error)?;
        IncomingValue::incoming_value_consume_sync(value).map_err(Error)
    }

    pub(super) fn read(container: &Container, name: &str) -> Result<Reader, Error> {
        let value = container.get_data(name, 0, u64::MAX).map_err(Error)?;
        let stream = IncomingValue::incoming_value_consume_async(value).map_err(Error)?;
        Ok(Reader(stream))
    }

    impl Reader {
        pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
            let most = READ_AT_ONCE.min(buffer.len() as u64);
            match self.0.blocking_read(most) {
                Ok(bytes) => {
                    buffer[..bytes.len()].copy_from_slice(&bytes);
                    Ok(bytes.len())
                }
                Err(StreamError::Closed) => Ok(0),
                Err(error) => Err(failed(error)),
            }
        }
    }

    pub(super) fn info(container: &Container, name: &str) -> Result<Info, Error> {
        let found = container.object_info(name).map_err(Error)?;
        Ok(Info {
            size: found.size,
            written: found.created_at,
        })
    }

    pub(super) fn exists(container: &Container, name: &str) -> Result<bool, Error> {
        container.has_object(name).map_err(Error)
    }

    pub(super) fn delete(container: &Container, name: &str) -> Result<(), Error> {
        container.delete_object(name).map_err(Error)
    }

    pub(super) fn names(container: &Container) -> Result<Vec<String>, Error> {
        let listing = container.list_objects().map_err(Error)?;
        let mut all = Vec::new();
        loop {
            let (names, is_end) = listing.read_stream_object_names(1000).map_err(Error)?;
            all.extend(names);
            if is_end {
                return Ok(all);
            }
        }
    }

    pub(super) fn copy(from: (&str, &str), to: (&str, &str)) -> Result<(), Error> {
        let id = |(container, object): (&str, &str)| ObjectId {
            container: container.to_owned(),
            object: object.to_owned(),
        };
        blobstore::copy_object(&id(from), &id(to)).map_err(Error)
    }
}

/// A table for each container, for each thread: tests run in parallel, each in its own thread.
#[cfg(not(target_family = "wasm"))]
mod source {
    use super::{Error, Info};
    use crate::testing::with_objects;

    pub(super) type Container = String;

    #[derive(Debug)]
    pub(super) struct Writer {
        container: Container,
        name: String,
        content: Vec<u8>,
    }

    #[derive(Debug)]
    pub(super) struct Reader {
        content: Vec<u8>,
        at: usize,
    }

    fn missing(name: &str) -> Error {
        Error(format!("there is no such object: {name}"))
    }

    fn asked(container: &str) -> Result<(), Error> {
        crate::testing::objects_fault(container).map_or(Ok(()), |reason| Err(Error(reason)))
    }

    pub(super) fn open(name: &str) -> Result<Container, Error> {
        Ok(name.to_owned())
    }

    pub(super) fn create(container: &Container, name: &str) -> Result<Writer, Error> {
        let is_plain = |part: &str| !matches!(part, "" | "." | "..");
        if !name.split('/').all(is_plain) {
            return Err(Error(format!("{name:?} is not the name of an object")));
        }
        Ok(Writer {
            container: container.clone(),
            name: name.to_owned(),
            content: Vec::new(),
        })
    }

    impl Writer {
        pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
            self.content.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        pub(super) fn write_all(&mut self, bytes: &[u8]) -> Result<(), Error> {
            self.write(bytes).map(drop)
        }
    }

    pub(super) fn finish(writer: Writer) -> Result<(), Error> {
        let Writer {
            container,
            name,
            content,
        } = writer;
        asked(&container)?;
        with_objects(&container, |objects| objects.insert(name, content));
        Ok(())
    }

    pub(super) fn get(
        container: &Container,
        name: &str,
        first: u64,
        last: u64,
    ) -> Result<Vec<u8>, Error> {
        asked(container)?;
        let found = with_objects(container, |objects| objects.get(name).cloned());
        let content = found.ok_or_else(|| missing(name))?;
        let bytes = (0..)
            .zip(content)
            .filter(|(at, _)| (first..=last).contains(at));
        Ok(bytes.map(|(_, byte)| byte).collect())
    }

    pub(super) fn read(container: &Container, name: &str) -> Result<Reader, Error> {
        let content = get(container, name, 0, u64::MAX)?;
        Ok(Reader { content, at: 0 })
    }

    impl Reader {
        pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
            let rest = &self.content[self.at..];
            let some = rest.len().min(buffer.len());
            buffer[..some].copy_from_slice(&rest[..some]);
            self.at += some;
            Ok(some)
        }
    }

    pub(super) fn info(container: &Container, name: &str) -> Result<Info, Error> {
        let content = get(container, name, 0, u64::MAX)?;
        Ok(Info {
            size: content.len() as u64,
            written: 0,
        })
    }

    pub(super) fn exists(container: &Container, name: &str) -> Result<bool, Error> {
        asked(container)?;
        Ok(with_objects(container, |objects| {
            objects.contains_key(name)
        }))
    }

    pub(super) fn delete(container: &Container, name: &str) -> Result<(), Error> {
        asked(container)?;
        with_objects(container, |objects| objects.remove(name));
        Ok(())
    }

    pub(super) fn names(container: &Container) -> Result<Vec<String>, Error> {
        asked(container)?;
        Ok(with_objects(container, |objects| {
            objects.keys().cloned().collect()
        }))
    }

    pub(super) fn copy(from: (&str, &str), to: (&str, &str)) -> Result<(), Error> {
        let content = get(&from.0.to_owned(), from.1, 0, u64::MAX)?;
        asked(to.0)?;
        with_objects(to.0, |objects| objects.insert(to.1.to_owned(), content));
        Ok(())
    }
}
