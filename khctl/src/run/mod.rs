//! `khctl run`: the checks of a manifest, once, on this machine.
mod yaml;
