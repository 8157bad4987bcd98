//! The interfaces `blobstore` and `container`.

use std::time::UNIX_EPOCH;

use hive_objects::{Container, Fault};
use wasmtime::component::Resource;

use super::access::{Access, Answer, MOST_CONTAINERS, MOST_INCOMING, MOST_LISTINGS, take_place};
use super::bindings::wasi::blobstore::container::{
    ContainerMetadata, ObjectMetadata, StreamObjectNames,
};
use super::bindings::wasi::blobstore::types::{IncomingValue, ObjectId, OutgoingValue};
use super::bindings::wasi::blobstore::{blobstore, container};
use super::resources::{Incoming, Listing};

/// Names of one call.
const MOST_NAMES: usize = 1000;

const NOT_BY_COMPONENTS: &str =
    "a component makes and deletes no containers; `allow.blobstore` of hive.toml has them";

impl Access<'_> {
    async fn copy(&mut self, from: &ObjectId, to: &ObjectId) -> Result<Container, String> {
        let source = self.blobstore.container(&from.container)?;
        let target = self.blobstore.container(&to.container)?;
        self.blobstore.may_change()?;
        let until = self.blobstore.current.until();
        let copied = source.copy(&from.object, &target, &to.object, until).await;
        self.told(&source, copied)?;
        Ok(source)
    }
}

impl blobstore::Host for Access<'_> {
    async fn create_container(&mut self, name: String) -> Answer<Resource<Container>> {
        let asked = format!("to make the container {name:.200?}");
        Ok(Err(self.blobstore.deny(&asked, NOT_BY_COMPONENTS)))
    }

    async fn get_container(&mut self, name: String) -> Answer<Resource<Container>> {
        let found = match self.blobstore.container(&name) {
            Ok(found) => found,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let open = &mut self.blobstore.open.containers;
        if let Err(full) = take_place(open, MOST_CONTAINERS, "containers") {
            return Ok(Err(full));
        }
        Ok(Ok(self.table.push(found)?))
    }

    async fn delete_container(&mut self, name: String) -> Answer<()> {
        let asked = format!("to delete the container {name:.200?}");
        Ok(Err(self.blobstore.deny(&asked, NOT_BY_COMPONENTS)))
    }

    async fn container_exists(&mut self, name: String) -> Answer<bool> {
        Ok(Ok(self.blobstore.granted(&name).is_some()))
    }

    async fn copy_object(&mut self, from: ObjectId, to: ObjectId) -> Answer<()> {
        Ok(self.copy(&from, &to).await.map(drop))
    }

    async fn move_object(&mut self, from: ObjectId, to: ObjectId) -> Answer<()> {
        if (&from.container, &from.object) == (&to.container, &to.object) {
            return Ok(Err("an object cannot be moved to its own name".to_owned()));
        }
        let source = match self.copy(&from, &to).await {
            Ok(source) => source,
            Err(text) => return Ok(Err(text)),
        };
        let until = self.blobstore.current.until();
        let deleted = source.delete(&[from.object], until).await;
        Ok(self.told(&source, deleted))
    }
}

impl container::Host for Access<'_> {}

impl container::HostContainer for Access<'_> {
    async fn name(&mut self, this: Resource<Container>) -> Answer<String> {
        Ok(Ok(self.table.get(&this)?.name().to_string()))
    }

    async fn info(&mut self, this: Resource<Container>) -> Answer<ContainerMetadata> {
        Ok(Ok(ContainerMetadata {
            name: self.table.get(&this)?.name().to_string(),
            created_at: 0,
        }))
    }

    async fn get_data(
        &mut self,
        this: Resource<Container>,
        name: String,
        start: u64,
        end: u64,
    ) -> Answer<Resource<IncomingValue>> {
        let container = self.table.get(&this)?.clone();
        let open = &mut self.blobstore.open.incoming;
        if let Err(full) = take_place(open, MOST_INCOMING, "incoming values") {
            return Ok(Err(full));
        }
        let until = self.blobstore.current.until();
        let found = container.get(&name, start, end, until).await;
        match self.told(&container, found) {
            Ok(download) => Ok(Ok(self.table.push(Incoming::new(container, download))?)),
            Err(text) => {
                self.blobstore.open.incoming -= 1;
                Ok(Err(text))
            }
        }
    }

    async fn write_data(
        &mut self,
        this: Resource<Container>,
        name: String,
        data: Resource<OutgoingValue>,
    ) -> Answer<()> {
        let container = self.table.get(&this)?.clone();
        if let Err(refused) = self.blobstore.may_change() {
            return Ok(Err(refused));
        }
        let named = self.table.get(&data)?.goes_to(&container, &name).await;
        Ok(self.told(&container, named))
    }

    async fn list_objects(
        &mut self,
        this: Resource<Container>,
    ) -> Answer<Resource<StreamObjectNames>> {
        let container = self.table.get(&this)?.clone();
        let open = &mut self.blobstore.open.listings;
        if let Err(full) = take_place(open, MOST_LISTINGS, "listings") {
            return Ok(Err(full));
        }
        let names = container.list();
        Ok(Ok(self.table.push(Listing { container, names })?))
    }

    async fn delete_object(&mut self, this: Resource<Container>, name: String) -> Answer<()> {
        self.delete_objects(this, vec![name]).await
    }

    async fn delete_objects(
        &mut self,
        this: Resource<Container>,
        names: Vec<String>,
    ) -> Answer<()> {
        let container = self.table.get(&this)?.clone();
        if names.len() > MOST_NAMES {
            return Ok(Err(format!(
                "the call has {} names, and takes {MOST_NAMES}",
                names.len()
            )));
        }
        if let Err(refused) = self.blobstore.may_change() {
            return Ok(Err(refused));
        }
        let until = self.blobstore.current.until();
        let deleted = container.delete(&names, until).await;
        Ok(self.told(&container, deleted))
    }

    async fn has_object(&mut self, this: Resource<Container>, name: String) -> Answer<bool> {
        let container = self.table.get(&this)?.clone();
        let until = self.blobstore.current.until();
        let found = match container.info(&name, until).await {
            Ok(_) => Ok(true),
            Err(Fault::NotFound) => Ok(false),
            Err(fault) => Err(fault),
        };
        Ok(self.told(&container, found))
    }

    async fn object_info(
        &mut self,
        this: Resource<Container>,
        name: String,
    ) -> Answer<ObjectMetadata> {
        let container = self.table.get(&this)?.clone();
        let until = self.blobstore.current.until();
        let found = container.info(&name, until).await;
        let container_name = container.name().to_string();
        Ok(self.told(&container, found).map(|info| ObjectMetadata {
            name,
            container: container_name,
            created_at: info
                .written
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs(),
            size: info.size,
        }))
    }

    async fn clear(&mut self, this: Resource<Container>) -> Answer<()> {
        let container = self.table.get(&this)?.clone();
        if let Err(refused) = self.blobstore.may_change() {
            return Ok(Err(refused));
        }
        let until = self.blobstore.current.until();
        let cleared = container.clear(until).await;
        Ok(self.told(&container, cleared))
    }

    async fn drop(&mut self, this: Resource<Container>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        let open = &mut self.blobstore.open.containers;
        *open = open.saturating_sub(1);
        Ok(())
    }
}

impl container::HostStreamObjectNames for Access<'_> {
    async fn read_stream_object_names(
        &mut self,
        this: Resource<Listing>,
        len: u64,
    ) -> Answer<(Vec<String>, bool)> {
        let until = self.blobstore.current.until();
        let most = usize::try_from(len).unwrap_or(usize::MAX).min(MOST_NAMES);
        let listing = self.table.get_mut(&this)?;
        let mut names = Vec::new();
        while names.len() < most {
            match listing.names.next(until).await {
                Ok(Some(name)) => names.push(name),
                Ok(None) => return Ok(Ok((names, true))),
                Err(fault) => {
                    let container = listing.container.clone();
                    return Ok(self.told(&container, Err(fault)));
                }
            }
        }
        Ok(Ok((names, false)))
    }

    async fn skip_stream_object_names(
        &mut self,
        this: Resource<Listing>,
        num: u64,
    ) -> Answer<(u64, bool)> {
        let read = self.read_stream_object_names(this, num).await?;
        Ok(read.map(|(names, is_end)| (names.len() as u64, is_end)))
    }

    async fn drop(&mut self, this: Resource<Listing>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        let open = &mut self.blobstore.open.listings;
        *open = open.saturating_sub(1);
        Ok(())
    }
}
