//! The signature table from outside: published vectors, forgeries, refusals, their cost.

#[cfg(test)]
mod cost;
#[cfg(test)]
mod forgery;
#[cfg(test)]
mod support;
#[cfg(test)]
mod url_variants;
#[cfg(test)]
mod vectors;
#[cfg(test)]
mod verifier;
