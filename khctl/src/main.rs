//! Run, try and watch checks from a terminal.

fn main() {}
