//! One connection through a proxy, from its acceptance to its end.

use std::net::Ipv4Addr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::pump::{Pump, Stop};
use super::rules::{Direction, Door, End, Rules};

/// How long what the peers still send is read after a FIN: closing on unread bytes would send a RST.
const LINGER: Duration = Duration::from_secs(1);

/// A connection that was accepted.
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) upstream_port: u16,
    pub(super) rules: watch::Receiver<Rules>,
}

/// The sockets of a connection that is over, and how their peers learn of it.
pub(super) struct Parting {
    end: End,
    sockets: Vec<TcpStream>,
}

impl Line {
    /// Serves it until it is over.
    pub(super) async fn serve(self, mut client: TcpStream) -> Parting {
        let door = self.rules.borrow().door;
        let mut sockets = Vec::new();
        let end = match door {
            Door::Refusing => End::Fin,
            Door::Silent => self.hold(&mut client).await,
            Door::Open => {
                match TcpStream::connect((Ipv4Addr::LOCALHOST, self.upstream_port)).await {
                    Ok(mut broker) => {
                        let end = self.carry(&mut client, &mut broker).await;
                        sockets.push(broker);
                        end
                    }
                    Err(_) => End::Rst,
                }
            }
        };
        sockets.push(client);
        Parting { end, sockets }
    }

    async fn carry(&self, client: &mut TcpStream, broker: &mut TcpStream) -> End {
        for socket in [&*client, &*broker] {
            // Small frames would wait for one another. A socket that is already gone causes an error below.
            drop(socket.set_nodelay(true));
        }
        let both = async {
            let (from_client, to_client) = client.split();
            let (from_broker, to_broker) = broker.split();
            tokio::try_join!(
                self.pump(Direction::ToBroker).run(from_client, to_broker),
                self.pump(Direction::ToClient).run(from_broker, to_client),
            )
        };
        match self.until_ended(both).await {
            Err(end) => end,
            Ok(Ok(_)) => End::Fin,
            Ok(Err(Stop::Gone { word })) if self.rules.borrow().swallows(word, self.number) => {
                let unaware = match word {
                    Direction::ToBroker => broker,
                    _ => client,
                };
                self.hold(unaware).await
            }
            Ok(Err(_)) => End::Rst,
        }
    }

    fn pump(&self, way: Direction) -> Pump<'_> {
        Pump::new(&self.rules, self.number, way)
    }

    /// Keeps a socket open and says nothing on it, until its peer has enough.
    async fn hold(&self, socket: &mut TcpStream) -> End {
        let ended = self.until_ended(discard(socket)).await;
        ended.err().unwrap_or(End::Fin)
    }

    /// The result of `work`, unless the connection ends first.
    async fn until_ended<T>(&self, work: impl Future<Output = T>) -> Result<T, End> {
        let mut rules = self.rules.clone();
        let ended = rules.wait_for(|rules| rules.end_of(self.number).is_some());
        tokio::select! {
            done = work => Ok(done),
            rules = ended => {
                let end = rules.ok().and_then(|rules| rules.end_of(self.number));
                Err(end.unwrap_or(End::Rst))
            }
        }
    }
}

impl Parting {
    /// Tells the peers.
    pub(super) async fn finish(self) {
        for mut socket in self.sockets {
            match self.end {
                // It may be gone already, which is as good.
                End::Rst => drop(SockRef::from(&socket).set_linger(Some(Duration::ZERO))),
                End::Fin => {
                    if socket.shutdown().await.is_ok() {
                        drop(timeout(LINGER, discard(&mut socket)).await);
                    }
                }
            }
        }
    }
}

/// Reads until the peer has no more.
async fn discard(socket: &mut TcpStream) {
    let mut bytes = [0; 1024];
    while socket.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
}
