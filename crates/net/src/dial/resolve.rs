//! Names to addresses, by the system's resolver and on threads of their own.
//!
//! The system's resolver cannot be interrupted: a look-up that hangs keeps its thread until it ends by itself, also
//! when no caller waits for it any more. So callers of one name share one look-up, whether its first caller still waits
//! or not; no other work needs these threads; and a name that needs no DNS query never waits for one of them.

use std::{
    collections::HashMap,
    error::Error as StdError,
    fs, io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, MutexGuard},
    thread,
};

use moorline_core::{
    error::Failure,
    resolve::{Endpoint, Resolve, ResolveFuture},
    sync::lock,
};
use reqwest::dns;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::{
    error::{Phase, phase_failure},
    shared::Shared,
    target::Target,
};

/// The number of look-ups that may run, or hang, at once.
const LOOKUPS_AT_ONCE: usize = 64;

static SYSTEM: LazyLock<Arc<Resolver>> = LazyLock::new(|| {
    let look_up = |name: &str| {
        let addresses = (name, 0).to_socket_addrs()?;
        Ok(addresses.map(|address| address.ip()).collect())
    };
    Resolver::new(LOOKUPS_AT_ONCE, hosts_file(), look_up)
});

/// The system's resolver: the addresses of a host in the system's order of preference. Giving up leaves the look-up to end by
/// itself.
#[derive(Debug)]
pub struct SystemNames;

impl SystemNames {
    /// The resolver for a configuration; it is the same in all of them.
    pub(super) fn shared() -> Shared<dyn Resolve> {
        static SHARED: LazyLock<Arc<SystemNames>> = LazyLock::new(|| Arc::new(SystemNames));
        let resolver: Arc<dyn Resolve> = Arc::<SystemNames>::clone(&SHARED);
        Shared(resolver)
    }
}

impl Resolve for SystemNames {
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> ResolveFuture<'a> {
        Box::pin(async move {
            let addresses = SYSTEM.resolve(name, port).await.map_err(|error| {
                phase_failure(Phase::Dns, &Target::new(name, port, false), &error)
            })?;
            Ok(addresses.into_iter().map(Endpoint::from).collect())
        })
    }
}

impl dns::Resolve for SystemNames {
    fn resolve(&self, name: dns::Name) -> dns::Resolving {
        Box::pin(async move {
            let addresses = SYSTEM.resolve(name.as_str(), 0).await;
            let addresses =
                addresses.map_err(|error| Box::new(error) as Box<dyn StdError + Send + Sync>)?;
            Ok(Box::new(addresses.into_iter()) as dns::Addrs)
        })
    }
}

/// The result of a look-up, for each caller that waits for it.
type Found = Result<Vec<IpAddr>, (io::ErrorKind, String)>;
type LookUp = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

struct Resolver {
    look_up: Box<LookUp>,
    hosts: PathBuf,
    permits: Arc<Semaphore>,
    /// The look-ups that have not ended, by name.
    running: Mutex<HashMap<String, Arc<watch::Sender<Option<Found>>>>>,
}

impl Resolver {
    fn new(
        at_once: usize,
        hosts: PathBuf,
        look_up: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            look_up: Box::new(look_up),
            hosts,
            permits: Arc::new(Semaphore::new(at_once)),
            running: Mutex::default(),
        })
    }

    async fn resolve(self: &Arc<Self>, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let mut found = self.subscribe(host);
        let found = found.wait_for(Option::is_some).await;
        match found.as_deref() {
            Ok(Some(Ok(addresses))) => {
                let at = |ip: &IpAddr| SocketAddr::new(*ip, port);
                Ok(addresses.iter().map(at).collect())
            }
            Ok(Some(Err((kind, message)))) => Err(io::Error::new(*kind, message.clone())),
            _ => Err(io::Error::other("the DNS lookup was cancelled")),
        }
    }

    /// Subscribes to the running look-up of a name, or to a new one.
    fn subscribe(self: &Arc<Self>, host: &str) -> watch::Receiver<Option<Found>> {
        let name = host.to_ascii_lowercase();
        let mut running = self.running();
        if let Some(under_way) = running.get(&name) {
            return under_way.subscribe();
        }
        let (sender, found) = watch::channel(None);
        let sender = Arc::new(sender);
        running.insert(name.clone(), Arc::clone(&sender));
        drop(running);
        tokio::spawn(Arc::clone(self).begin(name, sender));
        found
    }

    /// Starts a look-up once there is a permit for it; before that it is dropped with its last caller.
    async fn begin(self: Arc<Self>, name: String, sender: Arc<watch::Sender<Option<Found>>>) {
        loop {
            tokio::select! {
                biased;
                () = sender.closed() => {
                    let mut running = self.running();
                    // Another caller may have subscribed meanwhile.
                    if sender.receiver_count() == 0 {
                        running.remove(&name);
                        return;
                    }
                }
                permit = self.permit(&name) => return self.run(&name, permit),
            }
        }
    }

    /// The permit of one look-up. A name that needs no network does without where all are taken.
    async fn permit(&self, name: &str) -> Option<OwnedSemaphorePermit> {
        match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) if is_local_name(name, &self.hosts) => None,
            Err(_) => Arc::clone(&self.permits).acquire_owned().await.ok(),
        }
    }

    fn run(self: Arc<Self>, name: &str, permit: Option<OwnedSemaphorePermit>) {
        let this = Arc::clone(&self);
        let of = name.to_owned();
        let work = move || {
            let _permit = permit;
            this.end(&of, (this.look_up)(&of));
        };
        let thread = thread::Builder::new().name("moorline-names".to_owned());
        if thread.spawn(work).is_err() {
            self.end(name, Err(io::Error::other(Failure::refused_thread())));
        }
    }

    fn end(&self, name: &str, found: io::Result<Vec<IpAddr>>) {
        let found = found.map_err(|error| (error.kind(), error.to_string()));
        if let Some(sender) = self.running().remove(name) {
            sender.send_replace(Some(found));
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Arc<watch::Sender<Option<Found>>>>> {
        lock(&self.running)
    }
}

fn hosts_file() -> PathBuf {
    match std::env::var_os("SystemRoot").filter(|_| cfg!(windows)) {
        Some(root) => Path::new(&root).join("System32\\drivers\\etc\\hosts"),
        None => "/etc/hosts".into(),
    }
}

/// Whether the system resolves a name without a DNS query.
fn is_local_name(name: &str, hosts: &Path) -> bool {
    let listed = |line: &str| {
        let names = line.split('#').next().unwrap_or_default();
        let mut names = names.split_ascii_whitespace().skip(1);
        names.any(|known| known.eq_ignore_ascii_case(name))
    };
    name == "localhost" || fs::read_to_string(hosts).is_ok_and(|text| text.lines().any(listed))
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc::{Receiver, Sender, channel},
        time::Duration,
    };

    use tokio::time::timeout;

    use super::*;

    /// A resolver whose look-ups of `slow…` hang until something is sent, and the names that it looked up.
    struct Fixture {
        resolver: Arc<Resolver>,
        lookups: Arc<Mutex<Vec<String>>>,
        release: Sender<()>,
    }

    impl Fixture {
        fn new(at_once: usize, hosts: &Path) -> Self {
            let lookups: Arc<Mutex<Vec<String>>> = Arc::default();
            let (release, released) = channel();
            let released: Mutex<Receiver<()>> = Mutex::new(released);
            let started = Arc::clone(&lookups);
            let look_up = move |name: &str| {
                started.lock().unwrap().push(name.to_owned());
                if name.starts_with("slow") {
                    // Ends with the test, too.
                    let _ = released.lock().unwrap().recv();
                }
                if name == "unknown" {
                    return Err(io::Error::new(io::ErrorKind::NotFound, "not found"));
                }
                Ok(vec![IpAddr::from([10, 0, 0, 1])])
            };
            let resolver = Resolver::new(at_once, hosts.to_owned(), look_up);
            Self {
                resolver,
                lookups,
                release,
            }
        }

        async fn get(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
            let limit = Duration::from_secs(20);
            let found = timeout(limit, self.resolver.resolve(name, 5)).await;
            found.unwrap()
        }

        /// A caller that gives up once its look-up has begun.
        async fn give_up(&self, name: &str) {
            let mut waiting = Box::pin(self.resolver.resolve(name, 5));
            for _ in 0..20_000 {
                if self.has_started(name) {
                    return;
                }
                let _ = timeout(Duration::from_millis(1), &mut waiting).await;
            }
            panic!("{name} was not looked up");
        }

        fn has_started(&self, name: &str) -> bool {
            self.lookups.lock().unwrap().iter().any(|one| one == name)
        }
    }

    fn nowhere() -> &'static Path {
        Path::new("/no/such/file")
    }

    fn address(text: &str) -> Vec<SocketAddr> {
        vec![text.parse().unwrap()]
    }

    #[tokio::test]
    async fn an_address_needs_no_look_up_and_a_name_gets_all_of_its_addresses() {
        let resolve = async |name| Resolve::resolve(&SystemNames, name, 5).await.unwrap();
        let address: SocketAddr = "[::1]:5".parse().unwrap();
        assert_eq!(resolve("::1").await, [Endpoint::from(address)]);
        let named = resolve("localhost").await;
        assert!(named.iter().all(|one| one.address.ip().is_loopback()));
        assert!(!named.is_empty());
    }

    #[tokio::test]
    async fn an_unknown_name_is_an_error() {
        let resolved = Resolve::resolve(&SystemNames, "no-such-host.invalid", 5).await;
        let failure = resolved.unwrap_err();
        assert_eq!(
            (failure.code.as_ref(), &failure.detail["phase"]),
            ("ENOTFOUND", &"dns".into())
        );
        let fixture = Fixture::new(1, nowhere());
        let error = fixture.get("unknown").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(error.to_string(), "not found");
    }

    #[tokio::test]
    async fn callers_of_one_name_share_its_look_up_also_after_the_first_has_given_up() {
        let fixture = Fixture::new(2, nowhere());
        fixture.give_up("slow").await;
        let both = async { tokio::join!(fixture.get("slow"), fixture.resolver.resolve("SLOW", 6)) };
        let release = async {
            assert_eq!(fixture.get("quick").await.unwrap(), address("10.0.0.1:5"));
            fixture.release.send(()).unwrap();
        };
        let ((first, second), ()) = tokio::join!(both, release);
        assert_eq!(first.unwrap(), address("10.0.0.1:5"));
        assert_eq!(second.unwrap(), address("10.0.0.1:6"));
        assert_eq!(*fixture.lookups.lock().unwrap(), ["slow", "quick"]);
        fixture.get("quick").await.unwrap();
        assert_eq!(fixture.lookups.lock().unwrap().len(), 3, "nothing is kept");
    }

    #[tokio::test]
    async fn local_names_do_not_wait_for_look_ups_that_hang() {
        let hosts = std::env::temp_dir().join(format!("moorline-hosts-{}", std::process::id()));
        fs::write(&hosts, "# a list\n10.0.0.1 Db.internal db # other\n").unwrap();
        let fixture = Fixture::new(1, &hosts);
        fixture.give_up("slow").await;
        for name in ["localhost", "10.0.0.1", "db.internal", "DB"] {
            assert_eq!(
                fixture.get(name).await.unwrap(),
                address("10.0.0.1:5"),
                "{name}"
            );
        }
        assert!(!is_local_name("other", &hosts) && !is_local_name("list", &hosts));
        fs::remove_file(&hosts).unwrap();
    }

    #[tokio::test]
    async fn a_queued_name_is_not_looked_up_after_its_caller_has_left() {
        let fixture = Fixture::new(1, nowhere());
        fixture.give_up("slow").await;
        let waiting = timeout(
            Duration::from_millis(10),
            fixture.resolver.resolve("unwanted", 5),
        );
        assert!(waiting.await.is_err());
        let release = async { fixture.release.send(()).unwrap() };
        let (wanted, ()) = tokio::join!(fixture.get("wanted"), release);
        assert_eq!(wanted.unwrap(), address("10.0.0.1:5"));
        assert_eq!(*fixture.lookups.lock().unwrap(), ["slow", "wanted"]);
        assert!(fixture.resolver.running().is_empty());
    }
}
