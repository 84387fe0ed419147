//! Nixtla

pub mod frequency;
pub mod local;
pub mod moment;
pub mod series;
