//! The profiles of the specification: sizes and times of a Postgres pool and its tunnel, by deployment.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::{
    environment::is_production,
    options::{Options, PlainValue, Read},
};

/// The sizes and times of one deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: &'static str,
    /// The connections of a pool at most.
    pub max_connections: u32,
    /// How long a free connection is kept.
    pub idle_timeout: Duration,
    /// How long a connection is waited for.
    pub connection_timeout: Duration,
    /// The interval of a pool's health checks.
    pub health_check_interval: Duration,
    /// The tunnel's.
    pub tunnel: TunnelProfile,
}

/// The part that is about a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunnelProfile {
    /// The channels of one session.
    pub max_pool_size: u32,
    /// The attempts to connect again, in one outage.
    pub max_retries: u32,
    /// The delay before the second attempt.
    pub retry_delay: Duration,
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Profile {
    /// For a developer's machine.
    pub const DEVELOPMENT: Self = Self {
        name: "development",
        max_connections: 20,
        idle_timeout: seconds(30),
        connection_timeout: seconds(2),
        health_check_interval: seconds(60),
        tunnel: TunnelProfile {
            max_pool_size: 10,
            max_retries: 3,
            retry_delay: seconds(1),
        },
    };
    /// For production.
    pub const PRODUCTION: Self = Self {
        name: "production",
        max_connections: 100,
        idle_timeout: seconds(30),
        connection_timeout: seconds(3),
        health_check_interval: seconds(30),
        tunnel: TunnelProfile {
            max_pool_size: 20,
            max_retries: 5,
            retry_delay: seconds(2),
        },
    };

    /// Reads `profile`: a name, or `false` for none. Not given, the environment `variables` decide.
    pub fn read(options: &Options<'_>, variables: &PlainValue) -> Read<Option<Self>> {
        let by_variables = if is_production(variables) {
            Self::PRODUCTION
        } else {
            Self::DEVELOPMENT
        };
        if let Some(PlainValue::Bool(false)) = options.value("profile") {
            return Ok(None);
        }
        let choices = [Self::DEVELOPMENT, Self::PRODUCTION].map(|profile| (profile.name, profile));
        options.choice("profile", by_variables, &choices).map(Some)
    }

    /// All of them by name, as the specification has them, in milliseconds.
    pub fn describe_all() -> Json {
        let rows = [Self::DEVELOPMENT, Self::PRODUCTION];
        let rows = rows.map(|profile| (profile.name.to_owned(), profile.describe()));
        Json::Object(rows.into_iter().collect())
    }

    fn describe(&self) -> Json {
        let ms = |time: Duration| time.as_millis() as u64;
        json!({
            "maxConnections": self.max_connections,
            "idleTimeout": ms(self.idle_timeout),
            "connectionTimeout": ms(self.connection_timeout),
            "healthCheckInterval": ms(self.health_check_interval),
            "sshTunnel": {
                "maxPoolSize": self.tunnel.max_pool_size,
                "maxRetries": self.tunnel.max_retries,
                "retryDelay": ms(self.tunnel.retry_delay),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(profile: PlainValue, environment: &str) -> Read<Option<&'static str>> {
        let map = |key: &str, value| PlainValue::Map(vec![(key.to_owned(), value)]);
        let given = map("profile", profile);
        let variables = map("NODE_ENV", PlainValue::Text(environment.to_owned()));
        let options = Options::new("options", &given)?;
        Profile::read(&options, &variables).map(|profile| profile.map(|profile| profile.name))
    }

    #[test]
    fn the_environment_decides_unless_a_profile_is_named() {
        let text = |name: &str| PlainValue::Text(name.to_owned());
        let absent = PlainValue::Undefined;
        assert_eq!(read(absent.clone(), "production"), Ok(Some("production")));
        assert_eq!(read(absent, "test"), Ok(Some("development")));
        assert_eq!(
            read(text("development"), "production"),
            Ok(Some("development"))
        );
        assert_eq!(read(PlainValue::Bool(false), "production"), Ok(None));
        assert!(read(text("staging"), "test").is_err());
        assert!(read(PlainValue::Bool(true), "test").is_err());
    }
}
