//! Run, try and watch checks from a terminal.
mod run;
mod style;
mod table;
fn main() {}
