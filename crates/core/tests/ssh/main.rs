//! Host keys from outside: OpenSSH's own verdicts, what a verdict holds, hostile files, the cost; tunnels over time.

#[cfg(test)]
mod cost;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod openssh;
#[cfg(test)]
mod reconnection;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod support;
#[cfg(test)]
mod verdict;
