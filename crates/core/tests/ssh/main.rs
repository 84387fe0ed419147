//! Host keys from outside: OpenSSH's own verdicts, what a verdict holds, hostile files, the cost.

#[cfg(test)]
mod cost;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod openssh;
#[cfg(test)]
mod support;
#[cfg(test)]
mod verdict;
