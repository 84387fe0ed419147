//! The password of a connection, which is looked for when the server wants it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
};

use moorline_core::{
    error::{Failure, Kind, Outcome},
    options::PlainValue,
    secret::Secret,
};
use moorline_net::{blocking::run_blocking, secret_requests::SecretRequests};

use super::config::{PasswordKey, PasswordOrigin, find_password};

/// The future of a password.
pub type PasswordFuture<'a> = Pin<Box<dyn Future<Output = Outcome<Secret>> + Send + 'a>>;

/// The connection for which a password is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordRequest {
    /// The host, or the directory of the socket.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The user.
    pub user: String,
}

/// The user's function that gives a password, whenever a connection needs one.
pub trait PasswordSource: Send + Sync {
    /// Returns the password of a connection.
    fn password<'a>(&'a self, request: &'a PasswordRequest) -> PasswordFuture<'a>;
}

/// Hands a request over, with its number; it must return at once.
pub type AskPassword = Box<dyn Fn(u32, &PasswordRequest) + Send + Sync>;

/// Passwords that somebody else answers for, by the number of the request.
pub struct PasswordRequests {
    ask: AskPassword,
    requests: SecretRequests,
}

impl PasswordRequests {
    const OPTION: &str = "options.password";

    /// None yet; each is handed over by `ask`.
    pub fn new(ask: AskPassword) -> Self {
        Self {
            ask,
            requests: SecretRequests::default(),
        }
    }

    /// Answers the request `id` by what the user's function has given.
    pub fn answer(&self, id: u32, password: PlainValue) {
        let answers = PlainValue::List(vec![password]);
        self.requests.answer(id, Self::OPTION, answers);
    }

    /// Answers the request `id` by the error of the user's function.
    pub fn refuse(&self, id: u32, error: String) {
        self.requests.refuse(id, Kind::Auth, Self::OPTION, error);
    }
}

impl PasswordSource for PasswordRequests {
    fn password<'a>(&'a self, request: &'a PasswordRequest) -> PasswordFuture<'a> {
        Box::pin(async move {
            let secrets = self.requests.request(|id| (self.ask)(id, request)).await?;
            secrets.into_iter().next().ok_or_else(Failure::defect)
        })
    }
}

/// The password of one connection.
#[derive(Clone)]
pub(super) struct Password {
    pub(super) origin: PasswordOrigin,
    pub(super) source: Option<Arc<dyn PasswordSource>>,
    pub(super) request: PasswordRequest,
}

impl Password {
    /// Looks for it.
    pub(super) async fn get(&self) -> Outcome<Secret> {
        match &self.origin {
            PasswordOrigin::Given(secret) => Ok(secret.clone()),
            PasswordOrigin::Function => {
                let source = self.source.as_ref().ok_or_else(Failure::defect)?;
                source.password(&self.request).await
            }
            PasswordOrigin::File(path) => self.find(path.clone()).await,
            PasswordOrigin::None => Err(missing("")),
        }
    }

    async fn find(&self, path: PathBuf) -> Outcome<Secret> {
        let (path, read) = run_blocking(move || {
            let read = read_file(&path);
            (path, read)
        })
        .await?;
        let path = path.display();
        let file = match read {
            Ok(file) => file,
            Err(Unusable::Absent) => return Err(missing("")),
            Err(Unusable::Ignored(why)) => {
                return Err(missing(&format!(
                    "; the password file {path} is not used, since {why}"
                )));
            }
            Err(Unusable::Unreadable(error)) => {
                let why = format!("; the password file {path} cannot be read");
                return Err(missing(&why).with_cause(error.to_string(), None));
            }
        };
        let PasswordRequest {
            host,
            port,
            database,
            user,
        } = &self.request;
        let key = PasswordKey {
            host,
            port: *port,
            database,
            user,
        };
        find_password(file.expose(), key).ok_or_else(|| {
            missing(&format!(
                "; the password file {path} has none for {host}:{port}:{database}:{user}"
            ))
        })
    }
}

/// Why a password file does not count.
enum Unusable {
    Absent,
    Ignored(&'static str),
    Unreadable(io::Error),
}

/// The file, as far as libpq reads it as well: one that others can read is passed over.
fn read_file(path: &Path) -> Result<Secret, Unusable> {
    let metadata = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Unusable::Absent,
        _ => Unusable::Unreadable(error),
    })?;
    if !metadata.is_file() {
        return Err(Unusable::Ignored("it is no file"));
    }
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0 {
        return Err(Unusable::Ignored("others may read it (chmod 0600)"));
    }
    fs::read(path)
        .map(Secret::new)
        .map_err(Unusable::Unreadable)
}

fn missing(why: &str) -> Failure {
    let message = format!("The server wants a password, and none was given{why}");
    Failure::new(Kind::Auth, message)
        .with_code("ERR_POSTGRES_PASSWORD_MISSING")
        .with_attempts(1)
}
